package pagerduty

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/guance-relay/guance-relay/internal/ratewindow"
)

// DefaultPerMinute is how many requests PagerDuty takes per routing key in
// any 60 seconds (PagerDuty developer docs, Events API v2: Rate Limits,
// "approximately 120"). AIOps plans raise it on request, up to 10 000.
const DefaultPerMinute = 120

// A Limiter is asked before every request on the wire, first tries and
// retries alike. Wait returns nil when one request may go, or an error if ctx
// ends first. It must be safe for concurrent use.
type Limiter interface {
	Wait(ctx context.Context) error
}

// window keeps at most n requests in any 60 seconds, looking back as PagerDuty does: see internal/ratewindow.
type window struct {
	bucket *rate.Limiter

	// mu guards until, before which nothing goes: what a 429 teaches.
	mu    sync.Mutex
	until time.Time
}

// newWindow returns a window of n requests, or of any number if n < 0: that
// one still knows a pause.
func newWindow(n int) *window {
	if n < 0 {
		return &window{bucket: rate.NewLimiter(rate.Inf, 0)}
	}
	return &window{bucket: ratewindow.New(n)}
}

func (w *window) Wait(ctx context.Context) error {
	for {
		w.mu.Lock()
		pause := time.Until(w.until)
		w.mu.Unlock()
		if pause <= 0 {
			break
		}
		if err := sleep(ctx, pause); err != nil {
			return fmt.Errorf("waiting out a throttle: %w", err)
		}
	}
	if err := w.bucket.Wait(ctx); err != nil {
		if cause := ctx.Err(); cause != nil {
			return fmt.Errorf("waiting for the rate limit: %w", cause)
		}
		// The bucket refuses at once when ctx would end before the turn comes;
		// its error says so without being the context's.
		return fmt.Errorf("the rate limit's turn comes too late: %w", context.DeadlineExceeded)
	}
	return nil
}

// pause holds every request back for d.
func (w *window) pause(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if until := time.Now().Add(d); until.After(w.until) {
		w.until = until
	}
}

// sleep waits for d, or not at all if ctx cannot outlive it.
func sleep(ctx context.Context, d time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return context.DeadlineExceeded
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
