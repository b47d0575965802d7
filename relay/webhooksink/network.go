package webhooksink

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"code.dny.dev/ssrf"
)

// The limits of the sink's own client. A receiver should have 15 to 30 s (Standard Webhooks,
// "Request timeouts"), and an attempt of a lane has 30 s.
const (
	attemptTimeout = 20 * time.Second
	connectTimeout = 5 * time.Second
)

// newClient returns a client that reaches public addresses and those of the networks that are
// allowed.
//
// The URL may not be the operator's own, as in a relay for many teams. It could name a database,
// a router or the cloud's metadata service (169.254.169.254, or 100.100.100.200 with Alibaba
// Cloud). So the address is checked as the socket connects to it: a name may resolve to another
// one by then.
func newClient(allowed *ssrf.Guardian) *http.Client {
	dialer := &net.Dialer{Timeout: connectTimeout, Control: allowed.Safe}
	return &http.Client{
		Timeout: attemptTimeout,
		Transport: &http.Transport{
			// No proxy: it would connect for the sink, and nobody would check the address.
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    connectTimeout,
			IdleConnTimeout:        time.Minute,
			MaxIdleConnsPerHost:    32,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true, // responses are short, and a compressed one could be huge
			ForceAttemptHTTP2:      true,
			// A silent connection is found out before an attempt runs out of time on it.
			HTTP2: &http.HTTP2Config{
				SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second,
			},
		},
	}
}

// guard returns what refuses the networks of IANA's special-purpose registries, as package ssrf
// keeps them, but for those that are allowed.
func guard(allowed []netip.Prefix) (*ssrf.Guardian, error) {
	var v4, v6 []netip.Prefix
	for _, p := range allowed {
		switch {
		case !p.IsValid():
			return nil, optionError("AllowedNetworks", "has an invalid network")
		case p.Addr().Is4In6():
			return nil, optionError("AllowedNetworks", "has %v: write the network in IPv4", p)
		case p.Addr().Is4():
			v4 = append(v4, p.Masked())
		default:
			v6 = append(v6, p.Masked())
		}
	}
	return ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...),
		ssrf.WithAllowedV6Prefixes(v6...)), nil
}

// checkHost refuses a URL whose host is an address that would be refused at each delivery.
func checkHost(u *url.URL, allowed *ssrf.Guardian) error {
	addr, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return nil // a name, which is resolved at each connection
	}
	addr = addr.Unmap().WithZone("")
	if allowed.SafeAddrPort(netip.AddrPortFrom(addr, 443)) != nil {
		return optionError("URL", "has the address %v, which is neither on the public internet "+
			"nor in an allowed network", addr)
	}
	return nil
}
