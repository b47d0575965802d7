package pagerduty

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Class is the kind of an [Error], and says what to do.
type Class string

// The classes of errors.
const (
	// ClassPermanent: PagerDuty will always refuse this event.
	ClassPermanent Class = "permanent"
	// ClassTransient: the event was not accepted; send it again later.
	ClassTransient Class = "transient"
	// ClassThrottled: the event was not accepted, because there were too many requests. Send nothing
	// under this routing key for a while.
	ClassThrottled Class = "throttled"
	// ClassAmbiguous: the event was sent, and no answer of PagerDuty came. Send it again, with the
	// same dedup key, before any later event of the same alert.
	ClassAmbiguous Class = "ambiguous"
	// ClassConfig: the network or the configuration is wrong: a routing key that is not live, a login
	// page, a proxy that refuses, a certificate that is not valid. The event is not the cause: send it
	// again when that is corrected.
	ClassConfig Class = "config"
)

// Error says why an event was not accepted, or may not have been. Every error of [Client.Send] and
// [Client.SendChange] is an *Error. errors.Is finds context.Canceled or context.DeadlineExceeded in
// it if the caller's context ended the call.
//
// No field has the routing key: it is removed from the texts of servers.
type Error struct {
	Class Class

	// StatusCode is the HTTP status, and 0 if no answer came.
	StatusCode int
	// Status, Message and Errors are PagerDuty's words. For an event that was refused before it was
	// sent, they are this package's.
	Status  string
	Message string
	Errors  []string
	// Body is the beginning of an answer that was not understood.
	Body string

	// Hint says what usually causes this and who to ask, if that is known.
	Hint string
	// Delay is the wait that a 429 or 5xx asked for, at most Options.MaxRetryAfter; 0 if none.
	Delay time.Duration
	// Attempts is the number of requests.
	Attempts int
	// MaybeAccepted reports that PagerDuty may have accepted one of the requests and may handle it
	// later: its answer was lost, was a 2xx that was not PagerDuty's, or was a 502 or 504 of a
	// gateway.
	MaybeAccepted bool

	// Err is the reason if no answer came, if the answer broke off, or if something ended the retries.
	Err error
}

// Answered reports whether a server answered.
func (e *Error) Answered() bool { return e.StatusCode != 0 }

// Permanent reports that PagerDuty will always refuse this event, so that sending it again is
// useless. Errors of the configuration are not permanent.
func (e *Error) Permanent() bool { return e.Class == ClassPermanent }

// Throttled reports that there were too many requests under this routing key (429). PagerDuty did
// not take the event.
func (e *Error) Throttled() bool { return e.Class == ClassThrottled }

// RetryAfter returns Delay: how long to send nothing under this routing key.
func (e *Error) RetryAfter() time.Duration { return e.Delay }

// AnswerLost returns MaybeAccepted.
func (e *Error) AnswerLost() bool { return e.MaybeAccepted }

// Remedy returns Hint: what a person can do and who to ask.
func (e *Error) Remedy() string { return e.Hint }

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Error returns one line: the answer with all of PagerDuty's reasons, whether the event was
// accepted, what to do, and the hint.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("pagerduty: ")
	words := e.words()
	switch {
	case e.StatusCode != 0:
		b.WriteString(strconv.Itoa(e.StatusCode))
		if words != "" {
			b.WriteString(" " + words)
		}
		if e.Err != nil {
			b.WriteString("; then " + e.Err.Error())
		}
	case e.Err != nil:
		b.WriteString(strings.TrimPrefix(e.Err.Error(), "pagerduty: "))
	default:
		b.WriteString(words)
	}
	if e.Attempts > 1 {
		fmt.Fprintf(&b, " (%d attempts)", e.Attempts)
	}
	b.WriteString("; " + e.state())
	if e.Hint != "" {
		b.WriteString(". Hint: " + e.Hint)
	}
	return b.String()
}

// words joins PagerDuty's words.
func (e *Error) words() string {
	parts := []string{e.Status, e.Message, strings.Join(e.Errors, "; ")}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	if e.Body != "" {
		parts = append(parts, strconv.Quote(e.Body))
	}
	return strings.Join(parts, ": ")
}

// state says whether the event was accepted, and what to do.
func (e *Error) state() string {
	if e.MaybeAccepted && e.Class != ClassAmbiguous {
		return "an attempt may have been accepted: send the same event again under the same dedup key"
	}
	switch e.Class {
	case ClassPermanent:
		if !e.Answered() {
			return "nothing was sent; the event itself must change"
		}
		return "the event was refused and would be again"
	case ClassThrottled:
		if e.Delay > 0 {
			return fmt.Sprintf("the event was not accepted; send nothing under this key for %v, then send "+
				"it again", e.Delay)
		}
		return "the event was not accepted; send nothing under this key for half a minute or more, " +
			"then send it again"
	case ClassAmbiguous:
		return "the event may have been accepted: send the same event again under the same dedup key"
	case ClassConfig:
		if !e.Answered() {
			return "the event was not sent; send it again when this is corrected"
		}
		return "the event was not accepted, and is not the cause; send it again when this is corrected"
	}
	return "the event was not accepted; send it again later"
}
