package pagerduty

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// A failure without an answer says whom to ask: who keeps the proxy, if a request went to one.
func TestClassifyFailure(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	toProxy := &net.OpError{Op: "proxyconnect", Err: dial}
	for _, test := range []struct {
		name  string
		err   error
		sent  bool
		proxy string
		class Class
		lost  bool
		hint  string
	}{
		{"no proxy", dial, false, "", ClassTransient, false, ""},
		{"the proxy is down", toProxy, false, "proxy.example", ClassTransient, false, "cannot be reached"},
		{"wrapped", fmt.Errorf("post: %w", toProxy), false, "", ClassTransient, false, "cannot be reached"},
		{"through a proxy", dial, false, "proxy.example", ClassTransient, false, "the proxy proxy.example"},
		{"sent", toProxy, true, "proxy.example", ClassAmbiguous, true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := classifyFailure(test.err, test.sent, test.proxy)
			if got.class != test.class || got.lost != test.lost || (got.hint == "") != (test.hint == "") ||
				!strings.Contains(got.hint, test.hint) {
				t.Errorf("got %+v, want %s, lost %v, hint %q", got, test.class, test.lost, test.hint)
			}
		})
	}
}

// A status whose cause is known has a hint of its own.
func TestStatusesHaveTheirHints(t *testing.T) {
	for status, hint := range map[int]string{
		302: "does not redirect", 401: "needs no credentials", 402: "PagerDuty account",
		403: "does not answer 403", 404: "base URL", 405: "base URL", 407: "proxy's URL",
		410: "base URL", 413: "too large", 415: "base URL", 421: "another server",
		451: "legal reasons", 418: "not about the event",
	} {
		got := classify(status, &response{}, false, false)
		if got.class != ClassConfig || !strings.Contains(got.hint, hint) {
			t.Errorf("%d: got %s, %q; want a hint with %q", status, got.class, got.hint, hint)
		}
	}
}

// The error of a 429 says for how long to send nothing, if PagerDuty has said it.
func TestErrorNamesTheDelay(t *testing.T) {
	for delay, want := range map[time.Duration]string{
		42 * time.Second: "for 42s", 0: "for half a minute or more",
	} {
		err := &Error{Class: ClassThrottled, Delay: delay}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("with a delay of %v: %v, want %q", delay, err, want)
		}
	}
}
