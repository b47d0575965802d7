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
	// ID is [relay.EventID] of the event. It is needed only where Seq is zero.
	ID string
	// Problem is the problem key.
	Problem string
	// State and Level are those that were sent.
	State guance.State
	Level guance.Level
	// Number is relay.Delivery.Attempt: 1 for the first since the process started. Check ignores
	// it.
	Number int
	// Start is when the attempt began.
	Start time.Time
	// End is when the sender knew the answer. It is zero if the sender never knew it: the process
	// died, the sender gave up, or the attempt is still in flight.
	End time.Time
	// Answer is the result.
	Answer Answer
	// Err is what the sink returned. Check ignores it.
	Err error
}

// String returns the attempt in one line.
func (a Attempt) String() string {
	what := a.State.String()
	if a.State == guance.StateProblem {
		what += "/" + a.Level.String()
	}
	return fmt.Sprintf("%s %s seq %d %s: %v", a.Start.UTC().Format(clock), a.Problem, a.Seq, what,
		a.Answer)
}

// clock is the format of times. It has no date, as a history is of one run.
const clock = "15:04:05.000"

// An Answer is the result of an attempt.
type Answer uint8

// The results of an attempt.
const (
	Unknown   Answer = iota // the target may have taken it: no answer, a lost answer, an error
	Taken                   // the target took it
	Refused                 // the target will never take it
	Throttled               // the target did not take it, as it gets too many requests
	Unsent                  // nothing was sent: the sink ignores the event
)

// String returns the name in small letters.
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

// answerOf returns what an error of a sink means to a lane.
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
