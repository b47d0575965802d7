package pagerduty

import (
	"context"
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

// blankRequest is what is the same in every request. Its header is empty, as
// [sending.request] sets it: http.Client copies that of a request for redirects,
// which are never followed.
var blankRequest = http.Request{
	Method: http.MethodPost, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
}

// attempt makes one request and its retries, all with the same bytes, through
// go-retryablehttp, whose transport is d itself. What came of it is d.last; the
// error is that the context ended the attempts.
func (d *delivery) attempt(ctx context.Context, body []byte) *Error {
	req := retryablehttp.Request{Request: blankRequest.WithContext(ctx)}
	req.URL, req.Host = d.url, d.url.Host
	if err := req.SetBody(body); err != nil {
		return localError(err)
	}
	d.http.Transport, d.http.CheckRedirect = d, neverFollow
	d.retries.HTTPClient = &d.http
	d.retries.RetryMax = max(d.core.retries, 0) + d.core.throttleRetries
	d.retries.CheckRetry = d.checkRetry
	d.retries.Backoff = func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return d.wait }
	d.retries.ErrorHandler = retryablehttp.PassthroughErrorHandler
	_, err := d.retries.Do(&req)
	if d.last.class == classSuccess || d.last.unsent {
		return nil
	}
	if ended := ctx.Err(); ended != nil && (err != nil || d.last.err != nil) {
		return d.failure(ended) // during an attempt, or the wait for the next
	}
	return nil
}

// neverFollow keeps the routing key, which is in the body, from going wherever a redirect leads.
func neverFollow(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// checkRetry is the policy: whether there is another attempt, and after what wait. The wait must be known here, as the context may not
// outlive it.
func (d *delivery) checkRetry(ctx context.Context, _ *http.Response, _ error) (bool, error) {
	if ctx.Err() != nil || d.last.unsent {
		return false, nil
	}
	switch d.last.class {
	case ClassThrottled:
		if d.throttles >= d.core.throttleRetries {
			return false, nil
		}
		d.throttles++
		if d.wait = d.last.delay; d.wait == 0 {
			d.wait = throttleWait + rand.N(throttleWait/2)
		}
		if w, ok := d.limiter.(*window); ok {
			w.pause(d.wait) // the key is throttled, not this event alone
		}
	case ClassAmbiguous, ClassTransient:
		// Without a dedup key a second delivery is a second event.
		if d.quick >= d.core.retries || d.last.lost && d.dedupKey == "" {
			return false, nil
		}
		d.wait = max(jitter(min(quickWait<<min(d.quick, 3), maxQuickWait)), d.last.delay)
		if d.wait > maxQuickWait {
			return false, nil // the server wants longer than the short horizon
		}
		d.quick++
	default:
		return false, nil
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d.wait {
		return false, nil
	}
	return true, nil
}

// jitter spreads d over its upper half, so that what failed together does not
// come back together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
