package pagerduty

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
)

// classSuccess is the class of an answer that is no failure.
const classSuccess Class = "success"

// A verdict is what an answer, or that none came, means.
type verdict struct {
	class Class
	lost  bool   // PagerDuty may have the event, and may handle it later
	hint  string // what commonly causes it, and who to ask
}

// Hints that several rows share.
const (
	askNetwork  = "ask whoever keeps the proxy, firewall or gateway between here and PagerDuty"
	askBaseURL  = "no Events API v2 answers like this: ask whoever set the base URL, and whoever keeps the proxy or gateway in between"
	askAccount  = "ask whoever keeps the PagerDuty account"
	notItsWords = "this is not PagerDuty's answer: a login page, proxy or gateway answers in its place; ask whoever keeps the network, or " +
		"set AcceptAny2xx for a gateway that is meant to answer so"
)

// verdicts is the decision table for statuses; the first row that holds the status decides. PagerDuty's own words cover 202, 400,
// 429 and 5xx (developer docs, Events API v2: Overview, "API Response Codes & Retry Logic"). It says with 400 alone that an event
// cannot be taken; every other status of 3xx and 4xx says something of the road or the configuration, and nothing of the event.
var verdicts = []struct {
	first, last int
	verdict
}{
	// Never followed: the routing key is in the body and would go along.
	{300, 399, verdict{ClassConfig, false, "PagerDuty does not redirect: this is a login page, or the base URL is wrong; " + askNetwork}},
	// v2 throttles with 429 only, so none of these is a throttle in disguise.
	{401, 401, verdict{ClassConfig, false, "Events API v2 asks for no credentials: " + askNetwork}},
	{402, 402, verdict{ClassConfig, false, askAccount}},
	{403, 403, verdict{ClassConfig, false, "Events API v2 forbids nobody: " + askNetwork}},
	{404, 405, verdict{ClassConfig, false, askBaseURL}},
	{407, 407, verdict{ClassConfig, false, "the proxy wants credentials: put them into the proxy's URL, and ask whoever keeps the proxy"}},
	// The request did not get through in time, or came too early: not its fault.
	{408, 408, verdict{ClassTransient, false, ""}},
	{410, 410, verdict{ClassConfig, false, askBaseURL}},
	{413, 413, verdict{ClassConfig, false, "too large for something in between, as the event cannot be made smaller: " + askNetwork}},
	{415, 415, verdict{ClassConfig, false, askBaseURL}},
	{421, 421, verdict{ClassConfig, false, "the connection leads to another server; the next attempt uses a new one: " + askNetwork}},
	{425, 425, verdict{ClassTransient, false, ""}},
	{429, 429, verdict{ClassThrottled, false, ""}},
	{451, 451, verdict{ClassConfig, false, "blocked for legal reasons: " + askNetwork}},
	{400, 499, verdict{ClassConfig, false, "this says nothing of the event: " + askNetwork}},
	// Something in front of PagerDuty passed the request on, and does not know what came of it (RFC 9110, 15.6.3 and 15.6.5).
	{502, 502, verdict{ClassTransient, true, ""}},
	{504, 504, verdict{ClassTransient, true, ""}},
	// "Rejected" means not processed; in an outage this lasts for hours.
	{500, 599, verdict{ClassTransient, false, ""}},
	// What HTTP does not define says nothing about the event.
	{600, 999, verdict{ClassTransient, false, ""}},
}

// decide says what an answer means. any2xx is [Options.AcceptAny2xx]; shrunk is that the event was made smaller after a 413.
func decide(status int, said *answer, any2xx, shrunk bool) verdict {
	v := verdict{ClassConfig, false, askBaseURL} // 1xx that net/http hands up is 101 Switching Protocols, which no PagerDuty says
	for _, row := range verdicts {
		if row.first <= status && status <= row.last {
			v = row.verdict
			break
		}
	}
	switch {
	case status/100 == 2 && (any2xx || said.success()):
		return verdict{class: classSuccess}
	case status/100 == 2: // whoever said it
		return verdict{ClassAmbiguous, true, notItsWords}
	case status == http.StatusBadRequest && said.refusal():
		v = verdict{class: ClassPermanent}
	case status == http.StatusRequestEntityTooLarge && shrunk:
		v = verdict{ClassPermanent, false, "too large even after it was made smaller"}
	}
	if hint := said.hint(); hint != "" {
		v.hint = hint
	}
	return v
}

// classifyFailure is the table for attempts without an answer. sent reports
// that the body had begun to leave; before that PagerDuty has nothing it
// could act on. proxy names the proxy in use, if it is known.
func classifyFailure(err error, sent bool, proxy string) verdict {
	refused, byProxy := errors.AsType[*proxyError](err)
	broken, _ := errors.AsType[*net.OpError](err)
	switch {
	case sent:
		return verdict{ClassAmbiguous, true, ""}
	case byProxy && refused.status == http.StatusProxyAuthRequired:
		return verdict{ClassConfig, false, "the proxy wants credentials: put them into the proxy's URL, and ask whoever keeps the proxy"}
	case byProxy:
		return verdict{ClassConfig, false, "the proxy would not connect to PagerDuty: ask whoever keeps the proxy"}
	case certificate(err):
		return verdict{ClassConfig, false, "TLS could not be agreed on: check the clock, the trusted certificates and any proxy that intercepts TLS"}
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return verdict{ClassConfig, false, "the address speaks plain HTTP: check the base URL and the proxy"}
	case broken != nil && broken.Op == "proxyconnect":
		return verdict{ClassTransient, false, "the proxy cannot be reached: ask whoever keeps the proxy"}
	case proxy != "":
		return verdict{ClassTransient, false, "requests go through the proxy " + proxy + ": ask whoever keeps the proxy"}
	}
	return verdict{class: ClassTransient}
}

func certificate(err error) bool {
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

// complaints match what PagerDuty says of the key and of the address, and not of the event.
var complaints = []struct{ contains, hint string }{
	{"cannot contain non-alphanumeric", "this looks like a REST API token; use the 32-character Integration Key of an Events API v2 integration"},
	{"length of 'routing_key'", "use the 32-character Integration Key of an Events API v2 integration"},
	{"invalid routing key", "the key has the right form but names no live integration: it was deleted, belongs to the other service region " +
		"(Options.Region), or is of another type, such as an Events API v1 integration; " + askAccount},
	{"service key", v1Hint},
	{"service_key", v1Hint},
	{"'event_type' is missing", v1Hint},
	{"routing key", askAccount},
	{"routing_key", askAccount},
	{"integration key", askAccount},
}

const v1Hint = "this is the answer of Events API v1: the base URL must not point at /generic/2010-04-15; ask whoever set it"

// hint returns what is known of a complaint about the key or the address, and "" if there is none.
func (a *answer) hint() string {
	for _, text := range append(a.Errors, a.Message, a.Status, a.quote) {
		text = strings.ToLower(text)
		for _, c := range complaints {
			if strings.Contains(text, c.contains) {
				return c.hint
			}
		}
	}
	return ""
}

// success reports whether PagerDuty says that it took the event. That an object has a status and a message is not enough: those
// of a login page have them too, and any word but "success" denies. Refused: a list of words that deny, which is never whole.
func (a *answer) success() bool { return a.own && strings.EqualFold(a.Status, "success") }

// refusal reports whether PagerDuty says with an answer of status 400 that it will never take this event: it names errors, and none of
// them is about the key or the address. Of an event under a wrong key PagerDuty has to judge again once the key is right.
func (a *answer) refusal() bool { return a.own && a.named && a.hint() == "" }
