package webhook

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// normalize checks prefixes and returns them in the form of the addresses of parseAddr.
func normalize(name string, list []netip.Prefix) ([]netip.Prefix, error) {
	list = slices.Clone(list)
	for i, p := range list {
		if !p.IsValid() {
			return nil, fmt.Errorf("network %d of %s is not valid", i+1, name)
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p.Bits() == 0 {
			return nil, fmt.Errorf("%v in %s holds every address: leave the list empty instead, "+
				"with NoAuth if anybody may send", p, name)
		}
		list[i] = p.Masked()
	}
	return list, nil
}

// Sender returns the address that a request comes from. It returns the zero Addr if that is
// unknown: the peer is a Unix socket, or a proxy wrote something else than an address.
//
// Every proxy appends the address of its peer to X-Forwarded-For, and a sender can write what
// stands before. So the list is read from its end, up to the first address that is not a trusted
// proxy. The Forwarded header (RFC 7239) is not read: a proxy that does not set it passes on what
// a sender wrote in it.
func (r *Receiver) Sender(req *http.Request) netip.Addr {
	sender := parseAddr(req.RemoteAddr)
	if !contains(r.proxies, sender) {
		return sender
	}
	hops := strings.Split(strings.Join(req.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if hop = strings.TrimSpace(hop); hop == "" {
			continue
		}
		if sender = parseAddr(hop); !contains(r.proxies, sender) {
			return sender
		}
	}
	return sender // all are trusted proxies: the first of them is the sender
}

func contains(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// parseAddr reads an address with or without port and brackets, or returns the zero Addr. It drops
// the zone, as prefixes have none.
func parseAddr(s string) netip.Addr {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		withPort, _ := netip.ParseAddrPort(s) // the zero Addr if it fails too
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone("")
}
