package pagerduty

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Quick retries help after a closed connection or the restart of one server. Everything longer is
// for a queue.
const (
	quickWait    = 250 * time.Millisecond
	maxQuickWait = 2 * time.Second
	// throttleWait is PagerDuty's recommendation after a 429 (developer docs, Events API v2: Rate
	// Limits, "30 seconds apart").
	throttleWait = 30 * time.Second
)

// requestTemplate is the part that all requests share. Its header is empty and is set by
// [tracker.request]: http.Client copies the header of a request, for redirects that are never
// followed.
var requestTemplate = http.Request{
	Method: http.MethodPost, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
}

// sendWithRetries sends body, and sends the same bytes again where that may help. go-retryablehttp
// calls c.RoundTrip for each attempt. The result is c.last. The error is not nil only if the
// context ended the attempts.
func (c *call) sendWithRetries(ctx context.Context, body []byte) *Error {
	req := retryablehttp.Request{Request: requestTemplate.WithContext(ctx)}
	req.URL, req.Host = c.url, c.url.Host
	if err := req.SetBody(body); err != nil {
		return localError(err)
	}
	c.http.Transport, c.http.CheckRedirect = c, neverFollow
	c.retries.HTTPClient = &c.http
	c.retries.RetryMax = max(c.core.retries, 0) + c.core.throttleRetries
	c.retries.CheckRetry = c.checkRetry
	c.retries.Backoff = c.backoff
	c.retries.ErrorHandler = retryablehttp.PassthroughErrorHandler
	_, err := c.retries.Do(&req)
	if c.last.class == classSuccess || c.last.unsent {
		return nil
	}
	if ended := ctx.Err(); ended != nil && (err != nil || c.last.err != nil) {
		return c.failure(ended) // during an attempt, or during the wait for the next one
	}
	return nil
}

// neverFollow refuses redirects: the routing key is in the body and would go to the new address.
func neverFollow(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// checkRetry decides whether there is another attempt, and stores in c.wait how long to wait before
// it. There is none if the context would end during the wait.
func (c *call) checkRetry(ctx context.Context, _ *http.Response, _ error) (bool, error) {
	if ctx.Err() != nil || c.last.unsent {
		return false, nil
	}
	switch c.last.class {
	case ClassThrottled:
		if c.throttleRetries >= c.core.throttleRetries {
			return false, nil
		}
		c.throttleRetries++
		if c.wait = c.last.delay; c.wait == 0 {
			c.wait = throttleWait + rand.N(throttleWait/2)
		}
		if w, ok := c.limiter.(*window); ok {
			w.pause(c.wait) // PagerDuty throttles the key, not only this event
		}
	case ClassAmbiguous, ClassTransient:
		// Without a dedup key the second copy would be a second event.
		if c.quickRetries >= c.core.retries || c.last.lost && c.dedupKey == "" {
			return false, nil
		}
		c.wait = max(jitter(min(quickWait<<min(c.quickRetries, 3), maxQuickWait)), c.last.delay)
		if c.wait > maxQuickWait {
			return false, nil // the wait that the server asks for is too long for a quick retry
		}
		c.quickRetries++
	default:
		return false, nil
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= c.wait {
		return false, nil
	}
	return true, nil
}

func (c *call) backoff(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return c.wait }

// jitter returns a random duration from d/2 to d, so that senders that failed together do not come
// back together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
