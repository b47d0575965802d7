package pagerduty

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
)

// This file decides what the result of a request means: success, retry later, throttled (429), or
// never retry. The inputs are the HTTP status, PagerDuty's words, and the error of the transport.

// classSuccess is the class of a request that succeeded.
const classSuccess Class = "success"

// classification is what the result of a request means.
type classification struct {
	class Class
	lost  bool   // PagerDuty may have the event, and may handle it later
	hint  string // the usual cause, and who to ask
}

// Hints that several rows share.
const (
	askNetwork = "ask whoever keeps the proxy, firewall or gateway between here and PagerDuty"
	askBaseURL = "Events API v2 does not answer like this: ask whoever set the base URL, " +
		"and whoever keeps the proxy or gateway in between"
	askAccount = "ask whoever keeps the PagerDuty account"
	proxyLogin = "the proxy needs credentials: put them into the proxy's URL, and ask whoever " +
		"keeps the proxy"
	notPagerDuty = "this is not PagerDuty's answer: a login page, proxy or gateway answers in its " +
		"place; " +
		"ask whoever keeps the network, or set AcceptAny2xx for a gateway that is meant to answer so"
)

// statusTable classifies HTTP statuses; the first row that has the status applies. PagerDuty
// documents 202, 400, 429 and 5xx (developer docs, Events API v2: Overview, "API Response Codes &
// Retry Logic"). Only a 400 says that PagerDuty cannot take this event. Every other 3xx and 4xx is
// about the network or the configuration.
var statusTable = []struct {
	first, last int
	class       Class
	lost        bool
	hint        string
}{
	// Redirects are never followed: the request body has the routing key.
	{300, 399, ClassConfig, false, "PagerDuty does not redirect: this is a login page, " +
		"or the base URL is wrong; " + askNetwork},
	{401, 401, ClassConfig, false, "Events API v2 needs no credentials: " + askNetwork},
	{402, 402, ClassConfig, false, askAccount},
	// Not a throttle: Events API v2 throttles with 429 only.
	{403, 403, ClassConfig, false, "Events API v2 does not answer 403: " + askNetwork},
	{404, 405, ClassConfig, false, askBaseURL},
	{407, 407, ClassConfig, false, proxyLogin},
	// The request was too slow or came too early, which is not the event's fault.
	{408, 408, ClassTransient, false, ""},
	{410, 410, ClassConfig, false, askBaseURL},
	{413, 413, ClassConfig, false, "the event is too large for something in between, " +
		"and cannot be made smaller: " + askNetwork},
	{415, 415, ClassConfig, false, askBaseURL},
	{421, 421, ClassConfig, false, "the connection leads to another server; " +
		"the next attempt uses a new one: " + askNetwork},
	{425, 425, ClassTransient, false, ""},
	{429, 429, ClassThrottled, false, ""},
	{451, 451, ClassConfig, false, "blocked for legal reasons: " + askNetwork},
	{400, 499, ClassConfig, false, "this is not about the event: " + askNetwork},
	// A gateway passed the request on and does not know the result (RFC 9110, 15.6.3 and 15.6.5).
	{502, 502, ClassTransient, true, ""},
	{504, 504, ClassTransient, true, ""},
	// PagerDuty calls 5xx "rejected", which means not processed. Outages last for hours. HTTP does
	// not define 600 and above, so they are not about the event.
	{500, 999, ClassTransient, false, ""},
}

// classify returns what an answer means. any2xx is [Options.AcceptAny2xx]. shrunk: the event was
// made smaller after a 413.
func classify(status int, resp *response, any2xx, shrunk bool) classification {
	// The default is for 101 Switching Protocols, the only 1xx that net/http returns.
	c := classification{ClassConfig, false, askBaseURL}
	for _, row := range statusTable {
		if row.first <= status && status <= row.last {
			c = classification{row.class, row.lost, row.hint}
			break
		}
	}
	switch {
	case status/100 == 2 && (any2xx || resp.success()):
		return classification{class: classSuccess}
	case status/100 == 2: // not PagerDuty's answer, but the event may have reached it
		return classification{ClassAmbiguous, true, notPagerDuty}
	case status == http.StatusBadRequest && resp.rejectsEvent():
		c = classification{class: ClassPermanent}
	case status == http.StatusRequestEntityTooLarge && shrunk:
		c = classification{ClassPermanent, false, "too large even after it was made smaller"}
	}
	if hint := resp.hint(); hint != "" {
		c.hint = hint
	}
	return c
}

// classifyFailure returns what the failure of a request without an answer means. sent: the body may
// have left; if it has not, PagerDuty cannot have the event. proxy is the host of the proxy, if
// known.
func classifyFailure(err error, sent bool, proxy string) classification {
	refused, byProxy := errors.AsType[*proxyError](err)
	netErr, _ := errors.AsType[*net.OpError](err)
	record, _ := errors.AsType[tls.RecordHeaderError](err) // in place of a TLS handshake
	switch {
	case sent:
		return classification{ClassAmbiguous, true, ""}
	case byProxy && refused.status == http.StatusProxyAuthRequired:
		return classification{ClassConfig, false, proxyLogin}
	case byProxy:
		return classification{ClassConfig, false, "the proxy did not connect to PagerDuty: ask whoever " +
			"keeps the proxy"}
	case string(record.RecordHeader[:]) == "HTTP/":
		return classification{ClassConfig, false, "the address speaks plain HTTP: check the base URL " +
			"and the proxy"}
	case isTLSError(err):
		return classification{ClassConfig, false, "the TLS handshake failed: check the clock, " +
			"the trusted certificates and any proxy that intercepts TLS"}
	case netErr != nil && netErr.Op == "proxyconnect":
		return classification{ClassTransient, false, "the proxy cannot be reached: ask whoever keeps " +
			"the proxy"}
	case proxy != "":
		return classification{ClassTransient, false, "requests go through the proxy " + proxy +
			": ask whoever keeps the proxy"}
	}
	return classification{class: ClassTransient}
}

func isTLSError(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		alert        tls.AlertError
		record       tls.RecordHeaderError
	)
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &hostname) ||
		errors.As(err, &invalid) || errors.As(err, &alert) || errors.As(err, &record)
}

// configHints matches what PagerDuty says about the key or the address, and not about the event.
var configHints = []struct{ contains, hint string }{
	{"cannot contain non-alphanumeric", "this looks like a REST API token; " + useIntegrationKey},
	{"length of 'routing_key'", useIntegrationKey},
	{"invalid routing key", "the key has the right form but names no live integration: it was " +
		"deleted, " +
		"belongs to the other service region (Options.Region), or is of another type, " +
		"such as an Events API v1 integration; " + askAccount},
	{"service key", v1Hint},
	{"service_key", v1Hint},
	{"'event_type' is missing", v1Hint},
	{"routing key", askAccount},
	{"routing_key", askAccount},
	{"integration key", askAccount},
}

const v1Hint = "this is the answer of Events API v1: " +
	"the base URL must not point at /generic/2010-04-15; ask whoever set it"

// hint returns the hint for an answer about the key or the address, and "" for any other.
func (r *response) hint() string {
	for _, text := range append(r.Errors, r.Message, r.Status, r.quote) {
		text = strings.ToLower(text)
		for _, c := range configHints {
			if strings.Contains(text, c.contains) {
				return c.hint
			}
		}
	}
	return ""
}

// success reports whether PagerDuty says that it took the event. A status and a message are not
// enough, since the JSON of a login page may have both: any status but "success" is a failure.
func (r *response) success() bool { return r.strict && strings.EqualFold(r.Status, "success") }

// rejectsEvent reports whether an answer with status 400 says that PagerDuty will never take this
// event: it lists errors, and none of them is about the key or the address. Once a wrong key is
// corrected, PagerDuty can take the event.
func (r *response) rejectsEvent() bool { return r.strict && r.listed && r.hint() == "" }
