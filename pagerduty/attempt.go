package pagerduty

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// outcome is what came of one attempt.
type outcome struct {
	class  Class
	status int
	answer answer
	hint   string
	delay  time.Duration
	err    error
	unsent bool // given up before it was a request: the limiter said no
}

// try makes one request: it takes its turn at the limiter, bounds the
// attempt, reads the answer and keeps the outcome.
func (x *exchange) try(ctx context.Context, body []byte) {
	if err := x.limiter.Wait(ctx); err != nil {
		if x.attempts == 0 {
			x.last = outcome{class: ClassTransient}
		}
		x.last.err, x.last.unsent = causeOf(err, x.key), true
		return
	}
	x.attempts++
	start := time.Now()
	out := &outbound{body: body}
	bounded := out.limit.begin(ctx, x.core.bounds)
	defer out.limit.end()

	resp, err := x.core.wire.RoundTrip(out.request(bounded, x.url, x.core.standard))
	if err == nil && resp == nil {
		err = errors.New("transport returned neither answer nor error")
	}
	if err != nil {
		if bounded.Err() != nil && ctx.Err() == nil {
			err = &timeoutError{after: x.core.bounds.header}
		}
		class, hint := classifyFailure(err, out.left.Load())
		x.last = outcome{class: class, hint: hint, err: causeOf(err, x.key)}
	} else {
		out.limit.answered.Store(true)
		x.last = x.read(resp)
	}
	if x.last.class == ClassAmbiguous {
		x.maybe = true
	}
	x.observe(ctx, time.Since(start))
}

// read takes all that is wanted from an answer and gives the connection back.
func (x *exchange) read(resp *http.Response) outcome {
	var body []byte
	if resp.Body != nil {
		body = readAnswer(resp, x.answer[:0])
		_ = resp.Body.Close() // nothing depends on it: the answer is here
	}
	v := decide(resp.StatusCode)
	said := parseAnswer(body, func(s string) string { return scrub(s, x.key) })
	o := outcome{class: v.class, status: resp.StatusCode, answer: said, hint: v.hint}
	if v.class == classSuccess {
		return o
	}
	if hint := hintFor(append(said.Errors, said.Message, said.quote)...); hint != "" {
		o.hint = hint
	}
	o.delay = retryAfter(resp.Header, time.Now(), x.core.maxRetryAfter)
	return o
}

// observe tells the log, the span and the metrics of an attempt.
func (x *exchange) observe(ctx context.Context, took time.Duration) {
	x.core.telemetry.attempt(ctx, x.last.class, took)
	if x.span.IsRecording() {
		x.span.AddEvent("attempt", trace.WithAttributes(
			attribute.String("class", string(x.last.class)),
			attribute.Int("http.response.status_code", x.last.status)))
	}
	if x.core.log.Enabled(ctx, slog.LevelDebug) {
		attrs := []slog.Attr{
			slog.String("action", x.action), slog.String("dedup_key", x.dedupKey), slog.Any("key", x.key),
			slog.Int("attempt", x.attempts), slog.String("class", string(x.last.class)),
			slog.Int("status", x.last.status), slog.Duration("took", took),
		}
		if x.last.err != nil {
			attrs = append(attrs, slog.String("error", x.last.err.Error()))
		}
		x.core.log.LogAttrs(ctx, slog.LevelDebug, "pagerduty: attempt", attrs...)
	}
}
