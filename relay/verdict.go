package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A verdict is what a lane reads from a sink's answer.
type verdict struct {
	outcome    store.Outcome // 0: try again
	throttled  bool
	delay      time.Duration // what the target asks for
	handedBack bool          // the attempt was cut short by us: no fault of anybody's
	lost       bool          // no answer came to a request: the target may handle it later
	reason     string
	remedy     string // what to do about it, if the sink knows
	stack      []byte // of a panic
}

// failed reports whether the target failed: it did not take the event and gave no reason that is about the event or its own limits.
func (v *verdict) failed() bool { return v.outcome == 0 && !v.throttled && !v.handedBack }

// judge looks for behaviours in the error chain rather than for types, so that a client library can state them without
// importing this package, and so that wrapping an error loses nothing.
func judge(err error) verdict {
	if err == nil {
		return verdict{outcome: store.Delivered}
	}
	if e, ok := errors.AsType[interface {
		error
		Ignored() bool
	}](err); ok && e.Ignored() {
		return verdict{outcome: store.Ignored, reason: e.Error()}
	}
	v := verdict{reason: err.Error(), stack: stackOf(err)}
	if e, ok := errors.AsType[interface {
		error
		Remedy() string
	}](err); ok {
		v.remedy = e.Remedy()
	}
	if e, ok := errors.AsType[interface {
		error
		Permanent() bool
	}](err); ok && e.Permanent() {
		v.outcome = store.Dead
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

// answerLost reports whether a request may have reached the target although no answer came back. A client that knows says so with a method
// AnswerLost. Of any other error it is told by what net/http and the system say of a connection that ended, and by an end of the time for it.
// What a sink that panicked has sent is not known. cut says that the context of the attempt has ended.
func answerLost(err error, cut bool) bool {
	if err == nil {
		return false
	}
	if e, ok := errors.AsType[interface {
		error
		AnswerLost() bool
	}](err); ok {
		return e.AnswerLost()
	}
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	_, panicked := errors.AsType[*panicError](err)
	if cut || panicked || ok && timeout.Timeout() {
		return true
	}
	for _, end := range []error{
		context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE,
	} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
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
