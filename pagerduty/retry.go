package pagerduty

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"
)

// The quick retries bridge a connection that was closed or one server that
// restarts. Anything longer is for a queue.
const (
	quickWait    = 250 * time.Millisecond
	maxQuickWait = 2 * time.Second
	// throttleWait is PagerDuty's advice for a 429 (developer docs, Events
	// API v2: Rate Limits, "30 seconds apart").
	throttleWait = 30 * time.Second
)

// checkRetry is the policy: whether there is another attempt, and after what wait.
func (x *exchange) checkRetry(ctx context.Context, _ *http.Response, _ error) (bool, error) {
	if ctx.Err() != nil || x.last.unsent {
		return false, nil
	}
	switch x.last.class {
	case ClassThrottled:
		if x.waited >= x.core.throttleRetries {
			return false, nil
		}
		x.waited++
		if x.wait = x.last.delay; x.wait == 0 {
			x.wait = throttleWait + rand.N(throttleWait/2)
		}
		if w, ok := x.limiter.(*window); ok {
			w.pause(x.wait) // the key is throttled, not this event alone
		}
	case ClassAmbiguous, ClassTransient:
		// Without a dedup key a second delivery is a second event.
		if x.quick >= x.core.retries || x.last.class == ClassAmbiguous && x.dedupKey == "" {
			return false, nil
		}
		x.wait = max(jitter(min(quickWait<<min(x.quick, 3), maxQuickWait)), x.last.delay)
		if x.wait > maxQuickWait {
			return false, nil // the server wants longer than the short horizon
		}
		x.quick++
	default:
		return false, nil
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= x.wait {
		return false, nil
	}
	return true, nil
}

// backoff gives go-retryablehttp what checkRetry has found: the wait must be
// known before it is decided whether the context outlives it.
func (x *exchange) backoff(_, _ time.Duration, _ int, _ *http.Response) time.Duration {
	return x.wait
}

// jitter spreads d over its upper half, so that what failed together does not
// come back together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
