package pagerduty

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
)

// classSuccess is the class of an answer that is no failure.
const classSuccess Class = "success"

// A verdict is what the statuses from first to last mean.
type verdict struct {
	first, last int
	class       Class
	hint        string
}

// verdicts is the decision table for answers; the first row that holds the
// status decides. PagerDuty's own words cover 202, 400, 429 and 5xx
// (developer docs, Events API v2: Overview, "API Response Codes & Retry
// Logic"); the other rows are ours, each with its reason.
var verdicts = []verdict{
	// 202 is PagerDuty's answer; a relay or agent in front of it may give another 2xx.
	{200, 299, classSuccess, ""},
	// Never followed: the routing key is in the body and would go along.
	{300, 399, ClassPermanent, "PagerDuty's APIs do not redirect: check the base URL and any proxy in between"},
	{400, 400, ClassPermanent, ""},
	// v2 throttles with 429 only, so none of these is a throttle in disguise.
	{401, 401, ClassPermanent, "Events API v2 asks for no authorization: something between here and PagerDuty does"},
	{403, 403, ClassPermanent, "Events API v2 does not forbid: something between here and PagerDuty may"},
	{404, 404, ClassPermanent, "no Events API v2 at this address: check the base URL"},
	{407, 407, ClassPermanent, "the proxy wants credentials: put them into the proxy's URL"},
	// The request did not get through in time, or came too early: not its fault.
	{408, 408, ClassTransient, ""},
	{413, 413, ClassPermanent, "too large even after shrinking"},
	{425, 425, ClassTransient, ""},
	{429, 429, ClassThrottled, ""},
	{402, 499, ClassPermanent, ""},
	// "Rejected" means not processed; in an outage this lasts for hours.
	{500, 599, ClassTransient, ""},
	// What HTTP does not define says nothing about the event.
	{600, 999, ClassTransient, ""},
}

// decide looks a status up in the table.
func decide(status int) verdict {
	for _, v := range verdicts {
		if v.first <= status && status <= v.last {
			return v
		}
	}
	// 1xx that net/http hands up is 101 Switching Protocols, which no PagerDuty says.
	return verdict{status, status, ClassPermanent, "this is not PagerDuty answering: check the base URL and any proxy in between"}
}

// classifyFailure is the table for attempts without an answer. sent reports
// that the body had begun to leave; before that PagerDuty has nothing it
// could act on.
func classifyFailure(err error, sent bool) (Class, string) {
	switch {
	case certificate(err):
		return ClassConfig, "TLS could not be agreed on: check the clock, the trusted certificates and any proxy that intercepts TLS"
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return ClassConfig, "the address speaks plain HTTP: check the base URL and the proxy"
	}
	if refused, ok := errors.AsType[*proxyError](err); ok {
		v := decide(refused.status)
		if refused.status == 407 {
			return v.class, v.hint
		}
		return ClassTransient, "the proxy would not connect to PagerDuty"
	}
	if sent {
		return ClassAmbiguous, ""
	}
	return ClassTransient, ""
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

// hints match what PagerDuty says of common mistakes.
var hints = []struct{ contains, hint string }{
	{"cannot contain non-alphanumeric", "this looks like a REST API token; use the 32-character Integration Key of an Events API v2 integration"},
	{"Length of 'routing_key'", "use the 32-character Integration Key of an Events API v2 integration"},
	{"Invalid routing key", "the key has the right form but names no live integration: it was deleted, belongs to the other service region (Options.Region), or is of another type, such as an Events API v1 integration"},
	{"Service key", "this is the answer of Events API v1: the base URL must not point at /generic/2010-04-15"},
	{"'event_type' is missing", "this is the answer of Events API v1: the base URL must not point at /generic/2010-04-15"},
}

func hintFor(texts ...string) string {
	for _, text := range texts {
		for _, h := range hints {
			if strings.Contains(text, h.contains) {
				return h.hint
			}
		}
	}
	return ""
}
