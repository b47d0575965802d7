package webhooksink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"

	"code.dny.dev/ssrf"
)

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
