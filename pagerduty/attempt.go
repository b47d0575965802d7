package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// outcome is the result of one attempt.
type outcome struct {
	classification
	status   int
	response response
	delay    time.Duration // that the server asked for
	err      error         // there was no answer, or only a part of one
	unsent   bool          // the limiter returned an error, and no request was made
}

// errFailed tells go-retryablehttp that an attempt failed. The reason is in the outcome. Errors of
// net/http must not be wrapped here: they hold the request.
var errFailed = errors.New("pagerduty: attempt failed")

// RoundTrip makes one attempt. It implements http.RoundTripper for go-retryablehttp. It waits for
// the limiter, sends the request, reads the answer, and stores the outcome in c.last. The response
// that it returns has no body.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := c.limiter.Wait(ctx); err != nil {
		if c.attempts == 0 {
			c.last.class = ClassTransient
		}
		c.last.err, c.last.unsent = causeOf(err, c.key), true
		return nil, errFailed
	}
	c.attempts++
	start := time.Now()
	bounded := ctx
	if c.core.timeout > 0 {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, c.core.timeout)
		defer cancel()
	}
	out := new(tracker)
	resp, err := c.core.transport.RoundTrip(out.request(bounded, req, c.core.stdTransport))
	if err == nil && resp == nil {
		err = errors.New("the transport returned neither a response nor an error")
	}
	if err == nil {
		c.last = c.read(resp, func(err error) error { return c.timeoutOr(ctx, bounded, err) })
	} else {
		err = c.timeoutOr(ctx, bounded, err)
		c.last = outcome{
			classification: classifyFailure(err, out.sent.Load(), c.core.proxy), err: causeOf(err, c.key),
		}
	}
	misdirected := c.last.status == http.StatusMisdirectedRequest
	if misdirected || errors.Is(bounded.Err(), context.DeadlineExceeded) {
		out.closeConnection()
	}
	c.lost = c.lost || c.last.lost
	c.observe(ctx, time.Since(start))
	if err != nil {
		return nil, errFailed
	}
	return &http.Response{StatusCode: resp.StatusCode, Body: http.NoBody, Request: req}, nil
}

// timeoutOr returns a timeoutError if the attempt's own timeout ended it, and otherwise err.
func (c *call) timeoutOr(ctx, bounded context.Context, err error) error {
	if bounded.Err() != nil && ctx.Err() == nil {
		return &timeoutError{after: c.core.timeout, proxy: c.core.proxy}
	}
	return err
}

// read reads an answer and closes its body. explain returns why reading failed.
func (c *call) read(resp *http.Response, explain func(error) error) outcome {
	o := outcome{status: resp.StatusCode}
	var body []byte
	if resp.Body != nil {
		var err error
		if body, err = readResponse(resp); err != nil {
			o.err = causeOf(fmt.Errorf("the answer broke off: %w", explain(err)), c.key)
		}
		_ = resp.Body.Close() // the answer has been read
	}
	o.response = parseResponse(body, func(s string) string { return scrub(s, c.key) })
	o.classification = classify(resp.StatusCode, &o.response, c.core.acceptAny2xx, c.shrunk)
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 {
		// With any other status the header is a gateway's, and says nothing about PagerDuty.
		o.delay = retryAfter(resp.Header, time.Now(), c.core.maxRetryAfter)
	}
	return o
}

// observe writes the attempt to the log, the span and the metrics.
func (c *call) observe(ctx context.Context, took time.Duration) {
	c.core.telemetry.attempt(ctx, c.last.class, took)
	if c.span.IsRecording() {
		c.span.AddEvent("attempt", trace.WithAttributes(
			attribute.String("class", string(c.last.class)),
			attribute.Int("http.response.status_code", c.last.status)))
	}
	if c.core.log.Enabled(ctx, slog.LevelDebug) {
		attrs := []slog.Attr{
			slog.String("action", c.action), slog.String("dedup_key", c.dedupKey), slog.Any("key", c.key),
			slog.Int("attempt", c.attempts), slog.String("class", string(c.last.class)),
			slog.Int("status", c.last.status), slog.Duration("took", took),
		}
		if c.last.err != nil {
			attrs = append(attrs, slog.String("error", c.last.err.Error()))
		}
		c.core.log.LogAttrs(ctx, slog.LevelDebug, "pagerduty: attempt", attrs...)
	}
}

// timeoutError is the error of an attempt that exceeded its timeout. It is not
// context.DeadlineExceeded, which stands for the caller's own deadline.
type timeoutError struct {
	after time.Duration
	proxy string
}

func (e *timeoutError) Error() string {
	if e.proxy != "" {
		return fmt.Sprintf("no answer within %v through the proxy %s", e.after, e.proxy)
	}
	return fmt.Sprintf("no answer within %v", e.after)
}
func (e *timeoutError) Timeout() bool        { return true }
func (e *timeoutError) Temporary() bool      { return true }
func (e *timeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }
