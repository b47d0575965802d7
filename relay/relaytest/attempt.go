package relaytest

import (
	"errors"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// An Attempt is one request to the target, or one call of a sink.
type Attempt struct {
	// Seq is the entry's sequence number; see [Accepted] for who may leave it zero.
	Seq uint64
	// ID names the event as [relay.EventID] does; needed only where Seq is zero.
	ID string
	// Problem is the problem key.
	Problem string
	// State and Level are what the target was told.
	State guance.State
	Level guance.Level
	// Number is relay.Delivery.Attempt: 1 for the first since the process started. The checker does not read it.
	Number int
	// Start is when the attempt began.
	Start time.Time
	// End is when its sender knew the answer; zero if it never did: it was in flight when the process died, the sender gave up, or the
	// attempt still goes on.
	End time.Time
	// Answer is what became of it.
	Answer Answer
	// Err is what the sink returned. The checker does not read it.
	Err error
}

// String tells the attempt in one line.
func (a Attempt) String() string {
	what := a.State.String()
	if a.State == guance.StateProblem {
		what += "/" + a.Level.String()
	}
	return fmt.Sprintf("%s %s seq %d %s: %v", a.Start.UTC().Format(clock), a.Problem, a.Seq, what, a.Answer)
}

// clock has no date: a story is of one run.
const clock = "15:04:05.000"

// An Answer is what became of an attempt.
type Answer uint8

// What may become of an attempt.
const (
	Unknown   Answer = iota // the target may have taken it or not: no answer, a lost answer, an error
	Taken                   // the target took it
	Refused                 // the target did not take it and never will
	Throttled               // the target did not take it, as it was sent too much
	Unsent                  // nothing was on the wire: the sink asks for nothing
)

// String returns the answer's word.
func (a Answer) String() string {
	switch a {
	case Unknown:
		return "unknown"
	case Taken:
		return "taken"
	case Refused:
		return "refused"
	case Throttled:
		return "throttled"
	case Unsent:
		return "unsent"
	}
	return fmt.Sprintf("Answer(%d)", uint8(a))
}

// answerOf reads a sink's error as a lane does.
func answerOf(err error) Answer {
	switch {
	case err == nil:
		return Taken
	case isIgnore(err):
		return Unsent
	case isPermanent(err):
		return Refused
	case isThrottled(err):
		return Throttled
	}
	return Unknown
}

func isPermanent(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Permanent() bool
	}](err)
	return ok && e.Permanent()
}

func isThrottled(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Throttled() bool
	}](err)
	return ok && e.Throttled() || retryAfter(err) > 0
}

func retryAfter(err error) time.Duration {
	e, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err)
	if !ok {
		return 0
	}
	return e.RetryAfter()
}

func isIgnore(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Ignored() bool
	}](err)
	return ok && e.Ignored()
}
