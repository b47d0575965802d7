package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"go.opentelemetry.io/otel/trace"
)

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

// errFailed tells net/http that an attempt failed; why is in the outcome,
// which it must not wrap or print.
var errFailed = errors.New("pagerduty: attempt failed")

func (x *exchange) run(ctx context.Context) *Error {
	limit := maxBody
	for {
		body, cuts, err := x.message.encode(limit)
		if err != nil && x.attempts > 0 {
			return x.failure(nil) // it cannot be made smaller: the 413 stands
		}
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
