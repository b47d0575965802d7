package main

import (
	"net"
	"net/http"
	"net/netip"
	"time"

	"code.dny.dev/ssrf"
)

// outside returns a transport that reaches public addresses and those of the networks that are allowed, and nothing else.
//
// Where the address of a webhook is not the operator's own, as in a relay for many teams, it may name a database, a router or
// the cloud's metadata service (169.254.169.254, or 100.100.100.200 with Alibaba Cloud), and the relay stands inside. So the address is
// checked as the socket is about to connect to it: what a name resolves to is known only then, and may have changed since anybody looked.
// Refused is what IANA's special-purpose registries have, as package ssrf keeps them.
func outside(allow []netip.Prefix) *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: guard(allow).Safe}
	return &http.Transport{
		// No proxy: it would connect in our name, and to where is not seen here.
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		IdleConnTimeout:     time.Minute,
		ForceAttemptHTTP2:   true,
	}
}

func guard(allow []netip.Prefix) *ssrf.Guardian {
	var v4, v6 []netip.Prefix
	for _, p := range allow {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
}
