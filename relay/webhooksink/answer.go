package webhooksink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"code.dny.dev/ssrf"

	"github.com/guance-relay/guance-relay/relay"
)

// An answer is what a target said.
type answer struct {
	status int
	header http.Header
	body   []byte // the first 64 KiB
}

// An outcome is what an answer means for the lane.
type outcome int

const (
	again     outcome = iota // not taken, and it may be another time
	taken                    // the target has the event
	dead                     // the target will never take this event
	throttled                // the target was sent too much
)

// A ruling is an outcome with its reason.
type ruling struct {
	outcome outcome
	reason  string // what the answer means; it quotes nothing of the answer but a code
	remedy  string // what somebody can do about it; "" if there is nothing
	lost    bool   // the target may have taken the event all the same
}

// judge rules on what every target says alike, and leaves the rest to read, a format's reader of
// answers. A nil read goes by the status alone.
func judge(a answer, read func(answer) ruling) ruling {
	switch {
	case a.status == http.StatusTooManyRequests:
		return ruling{outcome: throttled, reason: "sent too much"}
	case a.status == http.StatusServiceUnavailable && retryAfter(a.header) > 0:
		return ruling{outcome: throttled, reason: "not available for a while"}
	case a.status >= 500:
		// A gateway passed the request on and does not know what came of it (RFC 9110, 15.6.3,
		// 15.6.5).
		lost := a.status == http.StatusBadGateway || a.status == http.StatusGatewayTimeout
		return ruling{reason: "the target failed", lost: lost}
	case a.status >= 300 && a.status < 400:
		return ruling{
			reason: "a redirect, which is not followed",
			remedy: "configure the address that the target redirects to",
		}
	case read != nil:
		return read(a)
	case a.status >= 200 && a.status < 300:
		return ruling{outcome: taken}
	case a.status == http.StatusBadRequest, a.status == http.StatusRequestEntityTooLarge,
		a.status == http.StatusUnprocessableEntity:
		return ruling{outcome: dead, reason: "the target refuses the event"}
	}
	return byStatus(a.status)
}

// byStatus rules on a status that says nothing of the event.
func byStatus(status int) ruling {
	r := ruling{reason: "not taken"}
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

// notTheTargets rules on an answer that is not in the words of a format's target.
func notTheTargets(a answer) ruling {
	r := byStatus(a.status)
	r.reason = "the answer is not the target's"
	if a.status/100 == 2 {
		r.lost = true
		r.remedy = "check the URL, and that no proxy or login page stands before the target"
	}
	return r
}

// err returns the error by which a lane learns of the ruling.
func (r ruling) err(name string, a answer) error {
	if r.outcome == taken {
		return nil
	}
	f := &failure{
		text:   fmt.Sprintf("%s: status %d: %s", name, a.status, r.reason),
		remedy: r.remedy, lost: r.lost,
	}
	switch r.outcome {
	case dead:
		return relay.Permanent(f)
	case throttled:
		return relay.RetryAfter(f, retryAfter(a.header))
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

// A failure is an error without secrets. It says whether the target may have the event, and what
// to do.
type failure struct {
	text   string
	remedy string
	lost   bool
	cause  error // an error of the network or of the context
}

// Error implements error.
func (f *failure) Error() string { return f.text }

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.cause }

// Remedy returns what somebody can do, or "".
func (f *failure) Remedy() string { return f.remedy }

// AnswerLost reports whether the target may have the event: see [relay.Delivery.LostAnswer].
func (f *failure) AnswerLost() bool { return f.lost }

// noAnswer returns the error of a request that was not answered. sent says that some of it may have
// reached the target.
//
// Errors of net/http print the URL, and quote the first line of an answer that is not HTTP. So
// nothing of err is kept but the errors of the context and of the network, which have names and
// addresses only.
func noAnswer(ctx context.Context, name string, err error, sent bool) error {
	f := &failure{lost: sent}
	network, isNetwork := errors.AsType[*net.OpError](err)
	dns, isDNS := errors.AsType[*net.DNSError](err)
	certificate, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	timeout, _ := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	switch {
	case ctx.Err() != nil:
		f.cause = context.Cause(ctx)
		f.text = f.cause.Error()
	case errors.Is(err, ssrf.ErrProhibitedIP) && isNetwork && network.Addr != nil:
		f.cause = network
		f.text = fmt.Sprintf("the address %v is not on the public internet", network.Addr)
		f.remedy = "add its network to Options.AllowedNetworks if it is meant"
	case isCertificate:
		f.text = certificate.Error()
		f.remedy = "check the target's certificate, and the root certificates of this machine"
	case errors.Is(err, http.ErrSchemeMismatch):
		f.text = "the target speaks HTTP and not HTTPS"
		f.remedy = "check the scheme and the port of the URL"
	case isDNS:
		f.cause, f.text = dns, dns.Error()
		f.remedy = "check the host of the URL, and the name servers of this machine"
	case isNetwork && network.Op == "proxyconnect":
		f.cause, f.text = network, network.Error()
		f.remedy = "check the proxy of Options.Client"
	case isNetwork && network.Op == "dial":
		f.cause, f.text = network, network.Error()
		f.remedy = "check the host and the port of the URL, and the firewall; " +
			"where a proxy is needed, set Options.Client"
	case isNetwork:
		f.cause, f.text = network, network.Error()
	case timeout != nil && timeout.Timeout():
		f.text = "not in time"
	default:
		f.text = "the connection ended, or what came is not HTTP"
	}
	f.text = name + ": no answer: " + f.text
	return f
}
