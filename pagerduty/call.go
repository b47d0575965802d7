package pagerduty

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"go.opentelemetry.io/otel/trace"
)

// call is one call of Send or SendChange: what to send, and the state of its attempts.
type call struct {
	core     *core
	limiter  Limiter
	key      RoutingKey
	url      *url.URL
	action   string
	dedupKey string // "" for a change event
	message  message
	repairs  []Repair
	span     trace.Span
	retries  retryablehttp.Client
	http     http.Client // of retries; its transport is the call itself

	attempts        int
	quickRetries    int           // after failures that pass soon
	throttleRetries int           // after 429
	wait            time.Duration // before the next attempt; set by checkRetry
	shrunk          bool          // the event was made smaller after a 413
	lost            bool          // the answer to one of the attempts was lost
	last            outcome       // of the last attempt
}

func (c *call) send(ctx context.Context) (*Result, error) {
	ctx, c.span = c.core.telemetry.span(ctx, c)
	err := c.run(ctx)
	endSpan(c.span, c.attempts, err)
	if err != nil {
		return nil, err
	}
	if len(c.repairs) > 0 {
		c.core.telemetry.repaired.Add(ctx, 1)
	}
	return &Result{
		// The key that was sent: with AcceptAny2xx the answer may have none.
		DedupKey:   c.dedupKey,
		Status:     c.last.response.Status,
		Message:    c.last.response.Message,
		StatusCode: c.last.status,
		Confirmed:  c.last.status == http.StatusAccepted && c.last.response.success(),
		AnswerLost: c.lost,
		Attempts:   c.attempts,
		Repairs:    c.repairs,
	}, nil
}

func (c *call) run(ctx context.Context) *Error {
	body, cuts, err := c.message.encode(maxBody)
	if err != nil {
		return localError(err)
	}
	if err := c.sendWithRetries(ctx, body); err != nil {
		return err
	}
	if c.last.status == http.StatusRequestEntityTooLarge {
		// The real limit is lower than the documented one. Try once more at half the size. Other bytes
		// are safe here, because the server refused the first ones. If the event cannot be made smaller,
		// the result is the 413.
		small, more, err := c.message.encode(min(maxBody, len(body)) / 2)
		if err != nil {
			return c.failure(nil)
		}
		cuts, c.shrunk = more, true
		if err := c.sendWithRetries(ctx, small); err != nil {
			return err
		}
	}
	c.repairs = append(c.repairs, cuts...)
	if c.last.class != classSuccess {
		return c.failure(nil)
	}
	return nil
}

// localError is the error of an event that was not sent.
func localError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Class: ClassPermanent, Err: err}
}

// failure makes an Error of the last outcome. ended is the error of the context if the context
// ended the attempts.
func (c *call) failure(ended error) *Error {
	o := c.last
	e := &Error{
		Class: o.class, StatusCode: o.status,
		Status: o.response.Status, Message: o.response.Message,
		Errors: o.response.Errors, Body: o.response.quote,
		Hint: o.hint, Delay: o.delay, Attempts: c.attempts, MaybeAccepted: c.lost, Err: o.err,
	}
	if ended != nil {
		e.Err = ended
	}
	return e
}
