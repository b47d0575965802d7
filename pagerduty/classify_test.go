package pagerduty

import (
	"crypto/tls"
	"crypto/x509"
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

// Every status with any body that is not PagerDuty's: its class, whether the answer counts as lost,
// and the hint. The ranges have no gap.
func TestEveryStatus(t *testing.T) {
	next := 100
	for _, row := range []struct {
		last int
		classification
	}{
		{199, classification{ClassConfig, false, askBaseURL}},
		{299, classification{ClassAmbiguous, true, notPagerDuty}},
		{399, classification{ClassConfig, false, "PagerDuty does not redirect: this is a login page, " +
			"or the base URL is wrong; " + askNetwork}},
		{400, classification{ClassConfig, false, "this is not about the event: " + askNetwork}},
		{401, classification{ClassConfig, false, "Events API v2 needs no credentials: " + askNetwork}},
		{402, classification{ClassConfig, false, askAccount}},
		{403, classification{ClassConfig, false, "Events API v2 does not answer 403: " + askNetwork}},
		{405, classification{ClassConfig, false, askBaseURL}},
		{406, classification{ClassConfig, false, "this is not about the event: " + askNetwork}},
		{407, classification{ClassConfig, false, proxyLogin}},
		{408, classification{ClassTransient, false, ""}},
		{409, classification{ClassConfig, false, "this is not about the event: " + askNetwork}},
		{410, classification{ClassConfig, false, askBaseURL}},
		{412, classification{ClassConfig, false, "this is not about the event: " + askNetwork}},
		{413, classification{ClassConfig, false, "the event is too large for something in between, " +
			"and cannot be made smaller: " + askNetwork}},
		{414, classification{ClassConfig, false, "this is not about the event: " + askNetwork}},
		{415, classification{ClassConfig, false, askBaseURL}},
		{420, classification{ClassConfig, false, "this is not about the event: " + askNetwork}},
		{421, classification{ClassConfig, false, "the connection leads to another server; the next " +
			"attempt uses a new one: " + askNetwork}},
		{424, classification{ClassConfig, false, "this is not about the event: " + askNetwork}},
		{425, classification{ClassTransient, false, ""}},
		{428, classification{ClassConfig, false, "this is not about the event: " + askNetwork}},
		{429, classification{ClassThrottled, false, ""}},
		{450, classification{ClassConfig, false, "this is not about the event: " + askNetwork}},
		{451, classification{ClassConfig, false, "blocked for legal reasons: " + askNetwork}},
		{499, classification{ClassConfig, false, "this is not about the event: " + askNetwork}},
		{501, classification{ClassTransient, false, ""}},
		{502, classification{ClassTransient, true, ""}},
		{503, classification{ClassTransient, false, ""}},
		{504, classification{ClassTransient, true, ""}},
		{999, classification{ClassTransient, false, ""}},
	} {
		for ; next <= row.last; next++ {
			if got := classify(next, &response{}, false, false); got != row.classification {
				t.Errorf("%d: %+v, want %+v", next, got, row.classification)
			}
		}
	}
	tooLarge := classification{ClassPermanent, false, "too large even after it was made smaller"}
	if got := classify(413, &response{}, false, true); got != tooLarge {
		t.Errorf("413 of the smaller event: %+v, want %+v", got, tooLarge)
	}
	for status := 200; status < 300; status++ {
		if got := classify(status, &response{}, true, false); got.class != classSuccess {
			t.Errorf("%d with AcceptAny2xx: %+v", status, got)
		}
	}
}

// What PagerDuty says about the key or the address decides the hint, in whichever field it stands.
func TestHintsOfWords(t *testing.T) {
	for text, want := range map[string]string{
		"cannot contain non-alphanumeric characters": "this looks like a REST API token; " +
			useIntegrationKey,
		"Length of 'routing_key' is incorrect": useIntegrationKey,
		"Invalid Routing Key":                  configHints[2].hint,
		"Service key is blank":                 v1Hint,
		"service_key":                          v1Hint,
		"'event_type' is missing or blank":     v1Hint,
		"the routing key is disabled":          askAccount,
		"routing_key":                          askAccount,
		"integration key":                      askAccount,
		"Event object is invalid":              "",
	} {
		for field, r := range map[string]*response{
			"errors": {Errors: []string{"another", text}}, "message": {Message: text},
			"status": {Status: text}, "quote": {quote: text},
		} {
			if got := r.hint(); got != want {
				t.Errorf("%q as %s: %q, want %q", text, field, got, want)
			}
			if r.strict, r.listed = true, true; r.rejectsEvent() != (want == "") {
				t.Errorf("a 400 with %q as %s is about the event: %v", text, field, want != "")
			}
		}
	}
	if !strings.Contains(configHints[2].hint, "other service region") ||
		!strings.Contains(configHints[2].hint, askAccount) {
		t.Errorf("the hint for a key of no integration is %q", configHints[2].hint)
	}
	for _, r := range []response{{strict: true}, {listed: true}, {}} {
		if r.rejectsEvent() {
			t.Errorf("%+v is not about the event", r)
		}
	}
}

// Each kind of failed TLS handshake is one of the configuration.
func TestTLSErrors(t *testing.T) {
	for _, err := range []error{
		&tls.CertificateVerificationError{Err: errors.New("cause")}, x509.UnknownAuthorityError{},
		x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"},
		x509.CertificateInvalidError{Cert: &x509.Certificate{}}, tls.AlertError(42),
		tls.RecordHeaderError{},
	} {
		got := classifyFailure(fmt.Errorf("post: %w", err), false, "")
		if got.class != ClassConfig || got.lost || !strings.HasPrefix(got.hint, "the TLS handshake") {
			t.Errorf("%T: %+v", err, got)
		}
	}
	plain := tls.RecordHeaderError{RecordHeader: [5]byte([]byte("HTTP/"))}
	if got := classifyFailure(plain, false, ""); got.class != ClassConfig || got.lost ||
		!strings.HasPrefix(got.hint, "the address speaks plain HTTP") {
		t.Errorf("plain HTTP: %+v", got)
	}
}

// The refusal of a proxy is one of the configuration, and names the proxy.
func TestProxyErrors(t *testing.T) {
	for status, want := range map[int]string{
		407: proxyLogin,
		403: "the proxy did not connect to PagerDuty: ask whoever keeps the proxy",
	} {
		err := fmt.Errorf("post: %w", &proxyError{host: "proxy.example:3128", status: status})
		if got := classifyFailure(err, false, ""); got != (classification{ClassConfig, false, want}) {
			t.Errorf("%d: %+v, want %q", status, got, want)
		}
	}
	const want = "the proxy proxy.example:3128 answered 403 Forbidden"
	if got := (&proxyError{host: "proxy.example:3128", status: 403}).Error(); got != want {
		t.Errorf("%q, want %q", got, want)
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
