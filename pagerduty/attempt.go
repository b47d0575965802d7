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

// outcome is what came of one attempt.
type outcome struct {
	verdict
	status int
	answer answer
	delay  time.Duration
	err    error // no answer came, or not all of it
	unsent bool  // given up before it was a request: the limiter said no
}

// errFailed tells go-retryablehttp that an attempt failed; why is in the outcome. The errors of net/http must not be wrapped: they
// hold the request.
var errFailed = errors.New("pagerduty: attempt failed")

// RoundTrip implements http.RoundTripper for go-retryablehttp: it is one attempt. It takes its turn at the limiter, bounds the time,
// reads the answer, judges it and keeps the outcome. The response that it returns has no body any more.
func (d *delivery) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := d.limiter.Wait(ctx); err != nil {
		if d.attempts == 0 {
			d.last.class = ClassTransient
		}
		d.last.err, d.last.unsent = causeOf(err, d.key), true
		return nil, errFailed
	}
	d.attempts++
	start := time.Now()
	bounded := ctx
	if d.core.timeout > 0 {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, d.core.timeout)
		defer cancel()
	}
	out := new(sending)
	resp, err := d.core.wire.RoundTrip(out.request(bounded, req, d.core.traced))
	if err == nil && resp == nil {
		err = errors.New("transport returned neither answer nor error")
	}
	if err == nil {
		d.last = d.read(resp, func(err error) error { return d.explain(ctx, bounded, err) })
	} else {
		err = d.explain(ctx, bounded, err)
		d.last = outcome{verdict: classifyFailure(err, out.left.Load(), d.core.proxy), err: causeOf(err, d.key)}
	}
	if misdirected := d.last.status == http.StatusMisdirectedRequest; misdirected || errors.Is(bounded.Err(), context.DeadlineExceeded) {
		out.closeConnection()
	}
	d.lost = d.lost || d.last.lost
	d.observe(ctx, time.Since(start))
	if err != nil {
		return nil, errFailed
	}
	return &http.Response{StatusCode: resp.StatusCode, Body: http.NoBody, Request: req}, nil
}

// explain returns the error of an attempt that was ended by its own bound, and err itself for any other.
func (d *delivery) explain(ctx, bounded context.Context, err error) error {
	if bounded.Err() != nil && ctx.Err() == nil {
		return &timeoutError{after: d.core.timeout, proxy: d.core.proxy}
	}
	return err
}

// read takes all that is wanted from an answer and gives the connection back. explain says what broke an answer off.
func (d *delivery) read(resp *http.Response, explain func(error) error) outcome {
	o := outcome{status: resp.StatusCode}
	var body []byte
	if resp.Body != nil {
		var err error
		if body, err = readAnswer(resp); err != nil {
			o.err = causeOf(fmt.Errorf("the answer broke off: %w", explain(err)), d.key)
		}
		_ = resp.Body.Close() // nothing depends on it: the answer is here
	}
	o.answer = parseAnswer(body, func(s string) string { return scrub(s, d.key) })
	o.verdict = decide(resp.StatusCode, &o.answer, d.core.acceptAny2xx, d.shrunk)
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 {
		// That of any other status is of whoever stands in the road, and says nothing of PagerDuty.
		o.delay = retryAfter(resp.Header, time.Now(), d.core.maxRetryAfter)
	}
	return o
}

// observe tells the log, the span and the metrics of an attempt.
func (d *delivery) observe(ctx context.Context, took time.Duration) {
	d.core.telemetry.attempt(ctx, d.last.class, took)
	if d.span.IsRecording() {
		d.span.AddEvent("attempt", trace.WithAttributes(
			attribute.String("class", string(d.last.class)),
			attribute.Int("http.response.status_code", d.last.status)))
	}
	if d.core.log.Enabled(ctx, slog.LevelDebug) {
		attrs := []slog.Attr{
			slog.String("action", d.action), slog.String("dedup_key", d.dedupKey), slog.Any("key", d.key),
			slog.Int("attempt", d.attempts), slog.String("class", string(d.last.class)),
			slog.Int("status", d.last.status), slog.Duration("took", took),
		}
		if d.last.err != nil {
			attrs = append(attrs, slog.String("error", d.last.err.Error()))
		}
		d.core.log.LogAttrs(ctx, slog.LevelDebug, "pagerduty: attempt", attrs...)
	}
}

// timeoutError is an attempt that outlived its bound. It is not context.DeadlineExceeded, by which a caller knows its own deadline.
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
