package pagerduty

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Class is what kind of failure an [Error] is, and with it what to do.
type Class string

// The classes of failure. [Error] has a method for the question each answers.
const (
	// ClassPermanent: this event will be refused however often it is sent.
	ClassPermanent Class = "permanent"
	// ClassTransient: not accepted; the same event may be taken later.
	ClassTransient Class = "transient"
	// ClassThrottled: not accepted because too many came; nothing should be
	// sent under this routing key for a while.
	ClassThrottled Class = "throttled"
	// ClassAmbiguous: the event went out, and no answer came or none of
	// PagerDuty's. Send it again, under the same dedup key, before any later
	// state of the same alert.
	ClassAmbiguous Class = "ambiguous"
	// ClassConfig: the road to PagerDuty or the configuration is in trouble: a
	// routing key that is not live, a login page, a proxy that refuses, a
	// certificate that does not verify. It says nothing of the event, which is to
	// be sent again once it is put right.
	ClassConfig Class = "config"
)

// Error is why an event was not accepted, or may not have been. Every error
// of [Client.Send] and [Client.SendChange] is an *Error; errors.Is finds
// context.Canceled and context.DeadlineExceeded in it when it was the
// caller's context that ended the attempt.
//
// No field holds the routing key: what the server said is searched for it.
type Error struct {
	Class Class

	// StatusCode is the HTTP status, 0 if no answer came.
	StatusCode int
	// Status, Message and Errors are PagerDuty's own words from the answer;
	// for an event refused before it was sent, this package's.
	Status  string
	Message string
	Errors  []string
	// Body quotes the beginning of an answer that was not understood.
	Body string

	// Hint says what commonly causes this and who to ask, if it is known.
	Hint string
	// Delay is the wait that a 429 or 5xx asked for, capped; 0 if it did not.
	Delay time.Duration
	// Attempts is how many requests were made.
	Attempts int
	// MaybeAccepted reports that one of the attempts may have been accepted
	// although no answer said so, and may be handled later: none came, or a 2xx
	// that was not PagerDuty's, or a 502 or 504 of what stands in front of it.
	MaybeAccepted bool

	// Err is the cause if no answer came or it broke off, or what ended the
	// retries.
	Err error
}

// Answered reports whether a server answered at all.
func (e *Error) Answered() bool { return e.StatusCode != 0 }

// Permanent reports that this event must not be retried: it would be refused
// again. Errors of the configuration are not permanent, since they say
// nothing about the event.
func (e *Error) Permanent() bool { return e.Class == ClassPermanent }

// Throttled reports that PagerDuty had too many requests under this routing
// key (429). It did not ingest the event.
func (e *Error) Throttled() bool { return e.Class == ClassThrottled }

// RetryAfter is how long nothing should be sent under this routing key: the
// wait that a 429 or 5xx asked for, capped. 0 means that nothing was asked for.
func (e *Error) RetryAfter() time.Duration { return e.Delay }

// AnswerLost reports that PagerDuty may have accepted the event although no
// answer said so: it is MaybeAccepted.
func (e *Error) AnswerLost() bool { return e.MaybeAccepted }

// Remedy is what a person may do about the error and who to ask, or "" if that
// is not known: it is Hint.
func (e *Error) Remedy() string { return e.Hint }

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Error returns one line: what was answered, all of PagerDuty's reasons, the
// hint, and what state the event is left in.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("pagerduty: ")
	said := e.said()
	switch {
	case e.StatusCode != 0:
		b.WriteString(strconv.Itoa(e.StatusCode))
		if said != "" {
			b.WriteString(" " + said)
		}
		if e.Err != nil {
			b.WriteString("; then " + e.Err.Error())
		}
	case e.Err != nil:
		b.WriteString(strings.TrimPrefix(e.Err.Error(), "pagerduty: "))
	default:
		b.WriteString(said)
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

// said joins PagerDuty's words.
func (e *Error) said() string {
	var parts []string
	for _, s := range []string{e.Status, e.Message} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if len(e.Errors) > 0 {
		parts = append(parts, strings.Join(e.Errors, "; "))
	}
	if e.Body != "" {
		parts = append(parts, strconv.Quote(e.Body))
	}
	return strings.Join(parts, ": ")
}

// state says what became of the event and what to do.
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
			return fmt.Sprintf("the event was not accepted; send nothing under this key for %v, then send it again", e.Delay)
		}
		return "the event was not accepted; send nothing under this key for half a minute or more, then send it again"
	case ClassAmbiguous:
		return "the event may have been accepted: send the same event again under the same dedup key"
	case ClassConfig:
		if !e.Answered() {
			return "the event was not sent; send it again once this is put right"
		}
		return "the event was not accepted, and this says nothing of it; send it again once this is put right"
	}
	return "the event was not accepted; send it again later"
}
