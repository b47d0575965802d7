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

// delivery is one call of Send or SendChange: what is sent, and what came of its attempts.
type delivery struct {
	core     *core
	limiter  Limiter
	key      RoutingKey
	url      *url.URL
	action   string
	dedupKey string // "": of a change event
	message  message
	repairs  []Repair
	span     trace.Span
	retries  retryablehttp.Client
	http     http.Client // that of retries, whose transport is the delivery itself

	attempts  int
	quick     int           // retries of failures that pass
	throttles int           // retries of 429
	wait      time.Duration // before the next attempt, as checkRetry decided
	shrunk    bool          // the event was made smaller after a 413
	lost      bool          // of some attempt PagerDuty's answer is not known
	last      outcome
}

// send sees the event through its attempts.
func (d *delivery) send(ctx context.Context) (*Result, error) {
	ctx, d.span = d.core.telemetry.span(ctx, d)
	err := d.run(ctx)
	endSpan(d.span, d.attempts, err)
	if err != nil {
		return nil, err
	}
	if len(d.repairs) > 0 {
		d.core.telemetry.repaired.Add(ctx, 1)
	}
	return &Result{
		// The key that was sent: an answer that is taken by AcceptAny2xx need not have one.
		DedupKey:   d.dedupKey,
		Status:     d.last.answer.Status,
		Message:    d.last.answer.Message,
		StatusCode: d.last.status,
		Confirmed:  d.last.status == http.StatusAccepted && d.last.answer.success(),
		AnswerLost: d.lost,
		Attempts:   d.attempts,
		Repairs:    d.repairs,
	}, nil
}

func (d *delivery) run(ctx context.Context) *Error {
	body, cuts, err := d.message.encode(maxBody)
	if err != nil {
		return localError(err)
	}
	if err := d.attempt(ctx, body); err != nil {
		return err
	}
	if d.last.status == http.StatusRequestEntityTooLarge {
		// The real limit is somewhere below the one we read out of the documentation. One try at half of it; other bytes are
		// safe, since these were refused. What cannot be made smaller leaves the 413 as it stands.
		small, more, err := d.message.encode(min(maxBody, len(body)) / 2)
		if err != nil {
			return d.failure(nil)
		}
		cuts, d.shrunk = more, true
		if err := d.attempt(ctx, small); err != nil {
			return err
		}
	}
	d.repairs = append(d.repairs, cuts...)
	if d.last.class != classSuccess {
		return d.failure(nil)
	}
	return nil
}

// localError is that of an event of which nothing was sent.
func localError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Class: ClassPermanent, Err: err}
}

// failure makes an Error of the last outcome; ended is the context's error if that is what stopped the attempts.
func (d *delivery) failure(ended error) *Error {
	o := d.last
	e := &Error{
		Class: o.class, StatusCode: o.status,
		Status: o.answer.Status, Message: o.answer.Message, Errors: o.answer.Errors, Body: o.answer.quote,
		Hint: o.hint, Delay: o.delay, Attempts: d.attempts, MaybeAccepted: d.lost, Err: o.err,
	}
	if ended != nil {
		e.Err = ended
	}
	return e
}
