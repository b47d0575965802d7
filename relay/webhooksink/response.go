package webhooksink

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

// A response is what a target answered.
type response struct {
	status int
	header http.Header
	body   []byte // the first 64 KiB
}

// An outcome is what a response means for the lane.
type outcome int

const (
	retry     outcome = iota // not delivered, and a later attempt may succeed
	delivered                // the target has the event
	dead                     // the target will never take this event
	throttled                // the target was sent too much
)

// A result is an outcome with its reason.
type result struct {
	outcome outcome
	reason  string // what the response means; it quotes nothing of the response but a code
	remedy  string // what somebody can do about it; "" if there is nothing
	lost    bool   // the target may have the event all the same
}

// classify decides by the statuses that mean the same at every target. Of the others read decides,
// the function of a format, or the status alone if read is nil.
func classify(res response, read func(response) result) result {
	switch {
	case res.status == http.StatusTooManyRequests:
		return result{outcome: throttled, reason: "sent too much"}
	case res.status == http.StatusServiceUnavailable && retryAfter(res.header) > 0:
		return result{outcome: throttled, reason: "not available for a while"}
	case res.status >= 500:
		// A gateway passed the request on and does not know what came of it (RFC 9110, 15.6.3,
		// 15.6.5).
		lost := res.status == http.StatusBadGateway || res.status == http.StatusGatewayTimeout
		return result{reason: "the target failed", lost: lost}
	case res.status/100 == 3:
		return result{
			reason: "a redirect, which is not followed",
			remedy: "configure the address that the target redirects to",
		}
	case read != nil:
		return read(res)
	case res.status/100 == 2:
		return result{outcome: delivered}
	case res.status == http.StatusBadRequest, res.status == http.StatusRequestEntityTooLarge,
		res.status == http.StatusUnprocessableEntity:
		return result{outcome: dead, reason: "the target refuses the event"}
	}
	return byStatus(res.status)
}

// byStatus is the result of a status that says nothing about the event.
func byStatus(status int) result {
	r := result{reason: "not accepted"}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		r.remedy = "check the credentials in the URL, the headers and the secrets, " +
			"and that the target admits the address of this machine"
	case http.StatusNotFound, http.StatusGone:
		r.remedy = "check the path of the URL, and that the webhook still exists at the target"
	case http.StatusMethodNotAllowed:
		r.remedy = "check the path of the URL: what is there takes no POST"
	case http.StatusProxyAuthRequired:
		r.remedy = "check the credentials of the proxy"
	}
	return r
}

// unrecognized is the result of a response that the format's target does not give: it comes from a
// proxy, a gateway or a login page.
func unrecognized(res response) result {
	r := byStatus(res.status)
	r.reason = "the answer is not the target's"
	if res.status/100 == 2 {
		r.lost = true
		r.remedy = "check the URL, and that no proxy or login page stands before the target"
	}
	return r
}

// err returns what Deliver returns: an error that the lane understands, or nil.
func (r result) err(name string, res response) error {
	if r.outcome == delivered {
		return nil
	}
	f := &failure{
		text:   fmt.Sprintf("%s: status %d: %s", name, res.status, r.reason),
		remedy: r.remedy, lost: r.lost,
	}
	switch r.outcome {
	case dead:
		return relay.Permanent(f)
	case throttled:
		return relay.RetryAfter(f, retryAfter(res.header))
	}
	return f
}

// retryAfter returns the delay that Retry-After asks for, in seconds or until a date (RFC 9110,
// 10.2.3), or 0.
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return time.Duration(max(seconds, 0)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
