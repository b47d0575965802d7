package pagerduty

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// delivery is one call of Send or SendChange, ready to go.
type delivery struct {
	key      RoutingKey
	url      *url.URL
	action   string
	dedupKey string
	message  message
	repairs  []Repair
}

// send encodes the event and sees it through its attempts.
func (x *exchange) send(ctx context.Context) (*Result, error) {
	ctx, x.span = x.core.telemetry.span(ctx, &x.delivery)
	err := x.run(ctx)
	endSpan(x.span, x.attempts, err)
	if err != nil {
		return nil, err
	}
	if len(x.repairs) > 0 {
		x.core.telemetry.repaired.Add(ctx, 1)
	}
	said := x.last.answer
	return &Result{
		// The key that was sent: the answer may come from something that is
		// not PagerDuty, or be no answer that can be read.
		DedupKey:   x.dedupKey,
		Message:    said.Message,
		StatusCode: x.last.status,
		Confirmed:  x.last.status == http.StatusAccepted && said.Status == "success",
		Attempts:   x.attempts,
		Repairs:    x.repairs,
	}, nil
}

// exchange is the attempts of one delivery: what they have in common, and
// what came of them.
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

	// What message and answer need is kept with the rest of it.
	alert  alertMessage
	change changeMessage
	answer [512]byte
}

// exchanges are used again: nothing holds one when send returns. An outbound
// is not, since its connection may still be writing.
var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// exchange returns one for an event under key; release it.
func (c *Client) exchange(key RoutingKey) *exchange {
	x := exchanges.Get().(*exchange)
	x.core, x.limiter, x.key = c.core, c.limiterFor(key), key
	return x
}

func (x *exchange) release() {
	*x = exchange{} // a pool must not keep events alive, nor keys
	exchanges.Put(x)
}

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
//
// The first request goes straight to the transport, as hardly any event needs
// a second one and the machinery for retries costs as much as half of the
// sending.
func (x *exchange) attempt(ctx context.Context, body []byte) *Error {
	x.try(ctx, body)
	switch x.last.class {
	case classSuccess, ClassPermanent, ClassConfig:
		return nil
	}
	if x.last.unsent {
		return nil
	}
	err := x.retry(ctx, body)
	if ended := ctx.Err(); err != nil && ended != nil && !x.last.unsent {
		// The context ended during an attempt or the wait for the next.
		return x.failure(ended)
	}
	return nil
}

// failure makes an Error of the last outcome; ended is the context's error if
// that is what stopped the attempts.
func (x *exchange) failure(ended error) *Error {
	o := x.last
	e := &Error{
		Class: o.class, StatusCode: o.status,
		Status: o.answer.Status, Message: o.answer.Message, Errors: o.answer.Errors, Body: o.answer.quote,
		Hint: o.hint, Delay: o.delay, Attempts: x.attempts, MaybeAccepted: x.maybe, Err: o.err,
	}
	if ended != nil {
		e.Err = ended
	}
	return e
}
