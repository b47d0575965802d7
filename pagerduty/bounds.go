package pagerduty

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// bounds are how long one attempt may take: from dialling to the header of the
// answer, and in all. No header bound is no bound at all.
//
// One timer keeps both, and is set once: http.Transport has a
// ResponseHeaderTimeout, whose timer would come on top, and setting a timer that
// runs out before all others wakes a thread, which costs more than all of
// preparing an event.
type bounds struct {
	header, whole time.Duration
}

var defaultBounds = bounds{header: 15 * time.Second, whole: 20 * time.Second}

// boundsOf are the bounds of an attempt for which the caller set a timeout.
func boundsOf(timeout time.Duration) bounds {
	timeout = max(timeout, 0)
	return bounds{header: timeout, whole: timeout}
}

// attemptLimit ends one attempt that takes too long.
type attemptLimit struct {
	bounds
	answered atomic.Bool // the header of the answer is there
	cancel   context.CancelFunc
	timer    *time.Timer
}

// begin returns a context that ends when a bound is reached.
func (l *attemptLimit) begin(ctx context.Context, b bounds) context.Context {
	if b.header <= 0 {
		return ctx
	}
	l.bounds = b
	ctx, l.cancel = context.WithCancel(ctx)
	l.timer = time.AfterFunc(b.header, l.expire)
	return ctx
}

func (l *attemptLimit) expire() {
	if rest := l.whole - l.header; rest > 0 && l.answered.Load() {
		time.AfterFunc(rest, l.cancel) // nobody stops it: a cancel too many does no harm
		return
	}
	l.cancel()
}

func (l *attemptLimit) end() {
	if l.timer != nil {
		l.timer.Stop()
		l.cancel()
	}
}

// timeoutError is an attempt that outlived its bounds. It is not
// context.DeadlineExceeded, by which a caller knows its own deadline.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string        { return fmt.Sprintf("no answer within %v", e.after) }
func (e *timeoutError) Timeout() bool        { return true }
func (e *timeoutError) Temporary() bool      { return true }
func (e *timeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }
