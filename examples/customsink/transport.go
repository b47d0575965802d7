package main

import (
	"net"
	"net/http"
	"net/netip"
	"time"

	"code.dny.dev/ssrf"
)

// publicOnly returns a transport that connects only to public addresses and to allowed networks.
//
// If users choose the webhook address, as in a relay for many teams, it could name a database, a
// router or the metadata service of the cloud (169.254.169.254; 100.100.100.200 at Alibaba Cloud).
// The address is checked when the socket connects, because a name can resolve differently each
// time. Package ssrf refuses what IANA's special-purpose registries list.
func publicOnly(allow []netip.Prefix) *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: guard(allow).Safe}
	return &http.Transport{ // without a proxy, which would connect instead, unchecked
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
	return ssrf.New(
		ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
}
