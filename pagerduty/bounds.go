package pagerduty

import (
	"context"
	"fmt"
	"os"
	"time"
)

// bounds are how long one attempt may take: from dialling to the header of the
// answer, and from there to its end. No header bound is no bound at all; no
// body bound is that the first goes on.
//
// One timer keeps both. http.Transport has a ResponseHeaderTimeout, whose timer
// would come on top, and on a fast connection cost a tenth of the sending.
type bounds struct {
	header, body time.Duration
}

// defaultBounds are 20 seconds in all.
var defaultBounds = bounds{header: 15 * time.Second, body: 5 * time.Second}

// boundsOf are the bounds of an attempt for which the caller set a timeout.
func boundsOf(timeout time.Duration) bounds {
	return bounds{header: max(timeout, 0)}
}

// attemptLimit ends one attempt that takes too long.
type attemptLimit struct {
	cancel context.CancelFunc
	timer  *time.Timer
	body   time.Duration
}

// begin returns a context that ends when a bound is reached.
func (b bounds) begin(ctx context.Context) (context.Context, attemptLimit) {
	if b.header <= 0 {
		return ctx, attemptLimit{}
	}
	ctx, cancel := context.WithCancel(ctx)
	return ctx, attemptLimit{cancel: cancel, timer: time.AfterFunc(b.header, cancel), body: b.body}
}

// answered says that the header of the answer is there.
func (l attemptLimit) answered() {
	if l.body > 0 && l.timer.Stop() {
		l.timer.Reset(l.body)
	}
}

func (l attemptLimit) end() {
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
