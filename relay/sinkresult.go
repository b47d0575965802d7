package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/guance-relay/guance-relay/relay/internal/schedule"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A sinkResult is what the error of a sink means.
type sinkResult struct {
	schedule.Result
	delay  time.Duration // the pause that the target asked for
	remedy string        // what to do about it; empty: not known
	stack  []byte        // of a panic
}

func (r *sinkResult) failure(seq uint64) failure {
	return failure{r.Reason, r.remedy, seq, r.Throttled}
}

// resultOf reads the methods of the errors in the chain, and not their types: so a client library
// need not import this package, and a wrapped error means the same.
func resultOf(err error) (r sinkResult) {
	if err == nil {
		r.Outcome = store.Delivered
		return r
	}
	if e, ok := errorAs[interface{ Ignored() bool }](err); ok && e.Ignored() {
		r.Outcome, r.Reason = store.Ignored, e.(error).Error()
		return r
	}
	r.Reason = err.Error()
	if e, ok := errorAs[*panicError](err); ok {
		r.stack = e.stack
	}
	if e, ok := errorAs[interface{ Remedy() string }](err); ok {
		r.remedy = e.Remedy()
	}
	if e, ok := errorAs[interface{ Permanent() bool }](err); ok && e.Permanent() {
		r.Outcome = store.Dead
		return r
	}
	if e, ok := errorAs[interface{ Throttled() bool }](err); ok {
		r.Throttled = e.Throttled()
	}
	if e, ok := errorAs[interface{ RetryAfter() time.Duration }](err); ok {
		r.delay = e.RetryAfter()
		r.Throttled = r.Throttled || r.delay > 0
	}
	return r
}

// errorAs is errors.AsType for interfaces that do not embed error.
func errorAs[B any](err error) (b B, ok bool) {
	ok = errors.As(err, &b)
	return b, ok
}

// answerLost reports whether a request may have reached the target although no answer came back. A
// method AnswerLost of the error decides. Without one, a timeout, the end of a connection and a
// panic mean that it may. cut reports whether the context of the attempt has ended.
func answerLost(err error, cut bool) bool {
	if err == nil {
		return false
	}
	if e, ok := errorAs[interface{ AnswerLost() bool }](err); ok {
		return e.AnswerLost()
	}
	timeout, ok := errorAs[interface{ Timeout() bool }](err)
	_, panicked := errorAs[*panicError](err)
	if cut || panicked || ok && timeout.Timeout() {
		return true
	}
	for _, end := range []error{
		context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET,
		syscall.EPIPE,
	} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// A panicError is a panic of a sink.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("the sink panicked: %v", e.value) }

// deliver calls the sink and turns a panic into an error: a bug in one sink must not end the
// process and with it every other lane.
func deliver(ctx context.Context, s Sink, d *Delivery) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p, debug.Stack()}
		}
	}()
	err = s.Deliver(ctx, d)
	resultOf(err) // its methods may panic too, as those of a nil pointer do
	return err
}
