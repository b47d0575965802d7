package relay

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// A verdict is what a lane reads from a sink's answer.
type verdict struct {
	outcome    Outcome // 0: try again
	throttled  bool
	delay      time.Duration // what the target asks for
	handedBack bool          // the attempt was cut short by us: no fault of anybody's
	reason     string
	stack      []byte // of a panic
}

// judge looks for behaviours in the error chain rather than for types, so that a client library can state them without
// importing this package, and so that wrapping an error loses nothing.
func judge(err error) verdict {
	if err == nil {
		return verdict{outcome: Delivered}
	}
	if e, ok := errors.AsType[interface {
		error
		Ignored() bool
	}](err); ok && e.Ignored() {
		return verdict{outcome: Ignored, reason: e.Error()}
	}
	v := verdict{reason: err.Error(), stack: stackOf(err)}
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

// A panicError is a sink's panic.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("the sink panicked: %v", e.value) }

// deliver calls the sink and turns a panic into an error: a bug in one sink must not take the process, and with it every
// other lane, down.
func deliver(ctx context.Context, s Sink, d *Delivery) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p, debug.Stack()}
		}
	}()
	err = s.Deliver(ctx, d)
	judge(err) // whose methods may panic too, as those of a nil pointer in an error do
	return err
}
