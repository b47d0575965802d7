package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// A message is an event that can be encoded within a size.
type message interface {
	// encode returns the bytes to send, at most limit of them, and what had
	// to be cut for that.
	encode(limit int) ([]byte, []Repair, error)
}

// delivery is one call of Send or SendChange, ready to go.
type delivery struct {
	key      RoutingKey
	url      string
	action   string
	dedupKey string
	message  message
	repairs  []Repair
}

// send encodes the event and sees it through its attempts.
func (c *Client) send(ctx context.Context, d delivery) (*Result, error) {
	ctx, span := c.core.telemetry.span(ctx, &d, c.core.host)
	x := &exchange{core: c.core, limiter: c.limiterFor(d.key), delivery: d, span: span}
	err := x.run(ctx)
	endSpan(span, x.attempts, err)
	if err != nil {
		return nil, err
	}
	if len(x.repairs) > 0 {
		c.core.telemetry.repaired.Add(ctx, 1)
	}
	said := x.last.answer
	return &Result{
		// The key that was sent: the answer may come from something that is
		// not PagerDuty, or be no answer that can be read.
		DedupKey:   d.dedupKey,
		Message:    said.Message,
		StatusCode: x.last.status,
		Confirmed:  x.last.status == http.StatusAccepted && said.Status == "success",
		Attempts:   x.attempts,
		Repairs:    x.repairs,
	}, nil
}

// exchange is the attempts of one delivery. go-retryablehttp runs the loop
// and rewinds the body; exchange is the http.RoundTripper below it, where one
// call is one request on the wire, and the policy beside it.
type exchange struct {
	core    *core
	limiter Limiter
	delivery
	span trace.Span

	attempts int
	quick    int // retries made of failures that pass
	waited   int // retries made of 429
	maybe    bool
	wait     time.Duration // before the next attempt, as checkRetry decided
	last     outcome
}

// outcome is what came of one attempt.
type outcome struct {
	class  Class
	status int
	answer answer
	hint   string
	delay  time.Duration
	err    error
	// given up before it was a request: the limiter or the context said no.
	unsent bool
}

// errNotRetried keeps net/http from making anything of an attempt; the
// outcome is the exchange's.
var errNotRetried = errors.New("pagerduty: attempt failed")

func (x *exchange) run(ctx context.Context) *Error {
	limit := maxBody
	for {
		body, cuts, err := x.message.encode(limit)
		if err != nil {
			return x.localError(err)
		}
		if err := x.attempt(ctx, body); err != nil {
			return err
		}
		if x.last.status != http.StatusRequestEntityTooLarge || limit < maxBody {
			x.repairs = append(x.repairs, cuts...)
			break
		}
		// The real limit is somewhere below the one we read out of the
		// documentation. One try at half of it; other bytes are safe, since
		// these were refused.
		limit = min(maxBody, len(body)) / 2
	}
	if x.last.class != classSuccess {
		return x.failure(nil)
	}
	return nil
}

func (x *exchange) localError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Class: ClassPermanent, Err: err}
}

// attempt makes one request and its retries, all with the same bytes.
func (x *exchange) attempt(ctx context.Context, body []byte) *Error {
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, x.url, body)
	if err != nil {
		return x.localError(fmt.Errorf("pagerduty: making the request: %w", err))
	}
	req.Header = http.Header{
		"Content-Type": {"application/json"},
		"User-Agent":   {userAgent()},
	}
	loop := retryablehttp.Client{
		HTTPClient:   &http.Client{Transport: x, CheckRedirect: neverFollow},
		RetryMax:     max(x.core.retries, 0) + x.core.throttleRetries,
		CheckRetry:   x.checkRetry,
		Backoff:      x.backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	_, err = loop.Do(req)
	if ended := ctx.Err(); err != nil && ended != nil && !x.last.unsent {
		// The context ended during an attempt or the wait for the next.
		return x.failure(ended)
	}
	return nil
}

func neverFollow(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// RoundTrip makes one request: it takes its turn at the limiter, bounds the
// attempt, reads the answer and keeps the outcome.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	if x.limiter != nil {
		if err := x.limiter.Wait(req.Context()); err != nil {
			if req.Body != nil {
				_ = req.Body.Close()
			}
			x.last = outcome{class: ClassTransient, err: scrubError(err, x.key), unsent: true}
			return nil, errNotRetried
		}
	}
	x.attempts++
	start := time.Now()
	ctx, cancel := req.Context(), context.CancelFunc(func() {})
	if x.core.attemptTimeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, x.core.attemptTimeout)
	}
	defer cancel()

	sent := new(atomic.Bool)
	resp, err := x.core.wire.RoundTrip(watch(req.WithContext(ctx), sent))
	if err == nil && resp == nil {
		err = errors.New("transport returned neither answer nor error")
	}
	if err != nil {
		if ctx.Err() != nil && req.Context().Err() == nil {
			err = &timeoutError{after: x.core.attemptTimeout}
		}
		class, hint := classifyFailure(err, sent.Load())
		x.last = outcome{class: class, hint: hint, err: scrubError(err, x.key)}
	} else {
		x.last = x.read(resp)
	}
	if x.last.class == ClassAmbiguous {
		x.maybe = true
	}
	x.observe(req.Context(), time.Since(start))
	if err != nil {
		return nil, errNotRetried
	}
	// All of the answer has been read; what net/http gets to see of it must
	// not include a Location, which it would parse even if it does not follow.
	return &http.Response{StatusCode: resp.StatusCode, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

// read takes all that is wanted from an answer and gives the connection back.
func (x *exchange) read(resp *http.Response) outcome {
	var body []byte
	if resp.Body != nil {
		body = readAnswer(resp)
		_ = resp.Body.Close() // nothing depends on it: the answer is here
	}
	v := decide(resp.StatusCode)
	said := parseAnswer([]byte(scrub(string(body), x.key)))
	said.Status, said.Message = scrub(said.Status, x.key), scrub(said.Message, x.key)
	for i, e := range said.Errors {
		said.Errors[i] = scrub(e, x.key)
	}
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
		x.wait = jitter(max(x.last.delay, throttleWait<<min(x.waited-1, 3)))
		if x.last.delay > 0 {
			x.wait = x.last.delay
		}
		if w, ok := x.limiter.(*window); ok {
			w.pause(x.wait) // the key is throttled, not this event alone
		}
	case ClassAmbiguous, ClassTransient:
		// Without a dedup key a second delivery is a second event.
		if x.quick >= x.core.retries || x.class() == ClassAmbiguous && x.dedupKey == "" {
			return false, nil
		}
		x.wait = max(jitter(min(quickWait<<x.quick, maxQuickWait)), x.last.delay)
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

func (x *exchange) class() Class { return x.last.class }

func (x *exchange) backoff(_, _ time.Duration, _ int, _ *http.Response) time.Duration {
	return x.wait
}

// jitter spreads d over its upper half, so that what failed together does not
// come back together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// failure makes an Error of the last outcome; ended is the context's error if
// that is what stopped the attempts.
func (x *exchange) failure(ended error) *Error {
	o := x.last
	e := &Error{
		Class: o.class, StatusCode: o.status,
		Status: o.answer.Status, Message: o.answer.Message, Errors: o.answer.Errors, Body: o.answer.quote,
		Hint: o.hint, Delay: o.delay, Attempts: x.attempts, MaybeAccepted: x.maybe, Err: o.err,
	}
	if o.class == "" {
		e.Class = ClassTransient // ended before there was an attempt
	}
	if ended != nil {
		e.Err = ended
	}
	return e
}

// timeoutError is an attempt that outlived AttemptTimeout. It is not
// context.DeadlineExceeded, by which a caller knows its own deadline.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string        { return fmt.Sprintf("no answer within %v", e.after) }
func (e *timeoutError) Timeout() bool        { return true }
func (e *timeoutError) Temporary() bool      { return true }
func (e *timeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }

// watch sets sent as soon as the body of req is read, which is when it begins
// to leave. A transport reads no body before it has a connection to send it on.
func watch(req *http.Request, sent *atomic.Bool) *http.Request {
	req.Body = &watchedBody{ReadCloser: req.Body, sent: sent}
	if again := req.GetBody; again != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil {
				return nil, err
			}
			return &watchedBody{ReadCloser: body, sent: sent}, nil
		}
	}
	return req
}

type watchedBody struct {
	io.ReadCloser
	sent *atomic.Bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.sent.Store(true)
	return b.ReadCloser.Read(p)
}

const hidden = "[routing key]"

// scrub takes the key out of a text a server wrote.
func scrub(s string, key RoutingKey) string {
	return strings.ReplaceAll(s, key.Reveal(), hidden)
}

// scrubError takes the key out of an error some transport wrote. It leaves
// every other error as it is.
func scrubError(err error, key RoutingKey) error {
	if !strings.Contains(err.Error(), key.Reveal()) {
		return err
	}
	return &scrubbed{text: scrub(err.Error(), key), err: err}
}

// scrubbed answers errors.Is for the error it hides, and gives it to nobody.
type scrubbed struct {
	text string
	err  error
}

func (s *scrubbed) Error() string        { return s.text }
func (s *scrubbed) Is(target error) bool { return errors.Is(s.err, target) }
