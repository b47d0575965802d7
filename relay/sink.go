package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// A Sink delivers events to one target.
//
// Deliver is called concurrently for different problems and never for two events of one problem at a time. It must return
// soon after ctx ends. The lane decides what follows from the error: nil records the event as delivered; [Permanent] makes a
// dead letter; [RetryAfter] pauses the lane; [Ignore] records that there was nothing to do; anything else is tried again
// with backoff. A panic is taken as an error. The Delivery must not be kept after Deliver returns.
type Sink interface {
	Deliver(ctx context.Context, d *Delivery) error
}

// SinkFunc is a function that is a Sink.
type SinkFunc func(ctx context.Context, d *Delivery) error

// Deliver calls f.
func (f SinkFunc) Deliver(ctx context.Context, d *Delivery) error { return f(ctx, d) }

// A Chooser is a Sink that can tell without I/O that it asks nothing of an event. Such events are recorded as ignored when
// they are accepted: they never wait for the budget nor take from it.
type Chooser interface {
	Sink
	// Ignores returns why the event is ignored, or "" if it is to be delivered. It may be called concurrently.
	Ignores(e *guance.Event) string
}

// A Delivery is one attempt to bring one event to a target.
type Delivery struct {
	Event    *guance.Event
	Lane     string
	Problem  string    // the problem key
	Seq      uint64    // the entry's place in its lane
	Attempt  int       // 1 for the first attempt since the process started
	Accepted time.Time // when the relay took the event

	spend func(ctx context.Context) error
}

// Spend takes one more request from the lane's budget and waits for it if need be. The lane has paid for the first request of
// a delivery; a sink that sends another one, a quick retry for instance, calls Spend before it.
func (d *Delivery) Spend(ctx context.Context) error {
	if d.spend == nil {
		return nil
	}
	return d.spend(ctx)
}

type permanentError struct{ err error }

func (e *permanentError) Error() string   { return e.err.Error() }
func (e *permanentError) Unwrap() error   { return e.err }
func (e *permanentError) Permanent() bool { return true }

// Permanent marks an error that no retry can mend: the entry becomes a dead letter, kept with the reason.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type retryAfterError struct {
	err   error
	delay time.Duration
}

func (e *retryAfterError) Error() string             { return e.err.Error() }
func (e *retryAfterError) Unwrap() error             { return e.err }
func (e *retryAfterError) Throttled() bool           { return true }
func (e *retryAfterError) RetryAfter() time.Duration { return e.delay }

// RetryAfter marks an error of a target that wants to be left alone: the whole lane pauses for d, or for a time the lane
// chooses if d is not positive. It costs the entry no attempt.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err, d}
}

type ignoreError struct{ reason string }

func (e *ignoreError) Error() string { return "ignored: " + e.reason }

// Ignore returns the error by which a sink says that the event asks for nothing.
func Ignore(reason string) error { return &ignoreError{reason} }

// verdict is what a lane reads from a sink's answer.
type verdict struct {
	outcome   Outcome // 0: try again
	throttled bool
	delay     time.Duration
	reason    string
}

// judge looks for behaviours in the error chain rather than for types, so that a client library can state them without
// importing this package, and so that wrapping an error loses nothing.
func judge(err error) verdict {
	if err == nil {
		return verdict{outcome: Delivered}
	}
	if e, ok := errors.AsType[*ignoreError](err); ok {
		return verdict{outcome: Ignored, reason: e.reason}
	}
	v := verdict{reason: err.Error()}
	if e, ok := errors.AsType[interface {
		error
		Permanent() bool
	}](err); ok && e.Permanent() {
		v.outcome = Dead
		return v
	}
	if e, ok := errors.AsType[interface {
		error
		Throttled() bool
	}](err); ok {
		v.throttled = e.Throttled()
	}
	if e, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		v.delay = e.RetryAfter()
		v.throttled = v.throttled || v.delay > 0
	}
	return v
}

// deliver calls the sink and turns a panic into an error: a bug in one sink must not take the process, and with it every
// other lane, down.
func deliver(ctx context.Context, s Sink, d *Delivery) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("relay: the sink panicked: %v", p)
		}
	}()
	return s.Deliver(ctx, d)
}
