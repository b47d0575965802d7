package pagerduty

import (
	"errors"
	"testing"
	"time"
)

// The text of an error is what stands in the log and in the console, so every part is checked.
func TestErrorText(t *testing.T) {
	const (
		same    = "send the same event again under the same dedup key"
		correct = "send it again when this is corrected"
	)
	broken := errors.New("connection reset")
	for want, err := range map[string]Error{
		"pagerduty: 400 invalid event: Event object is invalid: a; b; the event was refused and would " +
			"be again": {Class: ClassPermanent, StatusCode: 400, Status: "invalid event",
			Message: "Event object is invalid", Errors: []string{"a", "b"}, Attempts: 1},
		"pagerduty: event is nil; nothing was sent; the event itself must change": {
			Class: ClassPermanent, Message: "event is nil"},
		"pagerduty: 429 (3 attempts); the event was not accepted; send nothing under this key for " +
			"half a minute or more, then send it again": {Class: ClassThrottled, StatusCode: 429,
			Attempts: 3},
		"pagerduty: 429 throttle exceeded (2 attempts); the event was not accepted; send nothing under " +
			"this key for 42s, then send it again": {Class: ClassThrottled, StatusCode: 429,
			Status: "throttle exceeded", Delay: 42 * time.Second, Attempts: 2},
		"pagerduty: connection reset; the event may have been accepted: " + same: {
			Class: ClassAmbiguous, Err: broken, MaybeAccepted: true, Attempts: 1},
		`pagerduty: 200 "<html>"; the event may have been accepted: ` + same: {Class: ClassAmbiguous,
			StatusCode: 200, Body: "<html>", MaybeAccepted: true},
		"pagerduty: 502; then connection reset; an attempt may have been accepted: " + same: {
			Class: ClassTransient, StatusCode: 502, Err: broken, MaybeAccepted: true},
		`pagerduty: 503 words: "page"; then connection reset (2 attempts); the event was not ` +
			"accepted; send it again later. Hint: ask": {Class: ClassTransient, StatusCode: 503,
			Status: "words", Body: "page", Err: broken, Attempts: 2, Hint: "ask"},
		"pagerduty: no key; the event was not sent; " + correct + ". Hint: look": {
			Class: ClassConfig, Err: errors.New("pagerduty: no key"), Hint: "look"},
		"pagerduty: 407; the event was not accepted, and is not the cause; " + correct: {
			Class: ClassConfig, StatusCode: 407},
	} {
		if got := err.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// What the methods say comes from the fields.
func TestErrorMethods(t *testing.T) {
	cause := errors.New("cause")
	full := &Error{StatusCode: 429, Class: ClassThrottled, Delay: time.Second, MaybeAccepted: true,
		Hint: "hint", Err: cause}
	if !full.Answered() || !full.Throttled() || full.RetryAfter() != time.Second ||
		!full.AnswerLost() || full.Remedy() != "hint" || full.Unwrap() != cause || full.Permanent() {
		t.Errorf("%+v", full)
	}
	empty := new(Error)
	if empty.Answered() || empty.Throttled() || empty.RetryAfter() != 0 || empty.AnswerLost() ||
		empty.Remedy() != "" || empty.Unwrap() != nil || empty.Permanent() {
		t.Errorf("%+v", empty)
	}
	if !(&Error{Class: ClassPermanent}).Permanent() {
		t.Error("ClassPermanent is permanent")
	}
}
