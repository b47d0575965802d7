package pagerduty

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"
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

// retry sees an attempt through that did not succeed at first. The loop and
// its waiting are go-retryablehttp's; its first round is the outcome that is
// already there. The error says that it ended in none.
func (x *exchange) retry(ctx context.Context, body []byte) error {
	loop := retryablehttp.Client{
		HTTPClient:   &http.Client{Transport: &rounds{x: x, body: body}, CheckRedirect: neverFollow},
		RetryMax:     max(x.core.retries, 0) + x.core.throttleRetries,
		CheckRetry:   x.checkRetry,
		Backoff:      x.backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, x.url.String(), nil)
	if err != nil {
		return err
	}
	_, err = loop.Do(req)
	return err
}

func neverFollow(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// rounds is what go-retryablehttp takes for its transport. One round is one
// attempt, made of the same bytes; the first has been made.
type rounds struct {
	x     *exchange
	body  []byte
	begun bool
}

// errFailed tells net/http that an attempt failed; why is in the outcome,
// which it must not wrap or print.
var errFailed = errors.New("pagerduty: attempt failed")

// RoundTrip implements http.RoundTripper. The response is a token of the
// outcome: the answer has been read, and net/http would act on a Location.
func (r *rounds) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.begun {
		r.x.try(req.Context(), r.body)
	}
	r.begun = true
	if r.x.last.status == 0 || r.x.last.unsent {
		return nil, errFailed
	}
	return &http.Response{StatusCode: r.x.last.status, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

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
