package pagerduty

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/guance-relay/guance-relay/internal/ratewindow"
)

// DefaultPerMinute is the number of requests that PagerDuty takes per routing key in any 60 seconds
// (PagerDuty developer docs, Events API v2: Rate Limits, "approximately 120"). On request, AIOps
// plans get up to 10 000.
const DefaultPerMinute = 120

// A Limiter limits the rate of requests. The client calls Wait before each request, retries
// included. Wait returns nil when one request may be sent, or an error if ctx ends first. It must
// be safe for concurrent use.
type Limiter interface {
	Wait(ctx context.Context) error
}

// window allows at most n requests in any 60 seconds: see internal/ratewindow.
type window struct {
	bucket *rate.Limiter

	// mu guards until. No request is sent before until; a 429 sets it.
	mu    sync.Mutex
	until time.Time
}

// newWindow returns a window of n requests. n < 0: no limit, but pauses.
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
			return fmt.Errorf("waiting after a throttle (429): %w", err)
		}
	}
	if err := w.bucket.Wait(ctx); err != nil {
		if cause := ctx.Err(); cause != nil {
			return fmt.Errorf("waiting for the rate limit: %w", cause)
		}
		// The bucket returns an error at once if ctx would end before the turn. That error is not the
		// context's.
		return fmt.Errorf("waiting for the rate limit takes too long: %w", context.DeadlineExceeded)
	}
	return nil
}

// pause delays all requests for d.
func (w *window) pause(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if until := time.Now().Add(d); until.After(w.until) {
		w.until = until
	}
}

// sleep waits for d. It returns at once if the deadline of ctx is earlier.
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
