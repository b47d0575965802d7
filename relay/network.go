package relay

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// networks say where webhooks may come from.
type networks struct {
	allow   []netip.Prefix // empty: everywhere
	proxies []netip.Prefix
}

func newNetworks(allow, proxies []netip.Prefix) (*networks, error) {
	n := &networks{allow: slices.Clone(allow), proxies: slices.Clone(proxies)}
	return n, cmp.Or(normalize("Allow", n.allow), normalize("TrustedProxies", n.proxies))
}

// normalize spells networks so that the addresses that parseAddr returns are found in them.
func normalize(name string, list []netip.Prefix) error {
	for i, p := range list {
		if !p.IsValid() {
			return fmt.Errorf("relay: network %d of %s is not valid", i+1, name)
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p.Bits() == 0 {
			return fmt.Errorf("relay: %v in %s holds every address: leave the list empty instead, with NoAuth if anybody may send", p, name)
		}
		list[i] = p.Masked()
	}
	return nil
}

// admit reports whether webhooks are taken from an address. One that is not known, because the peer is a Unix socket or a proxy wrote
// something else, is in no network.
func (n *networks) admit(sender netip.Addr) bool { return len(n.allow) == 0 || within(n.allow, sender) }

// sender returns the address that a request comes from, or the zero Addr if it cannot be told.
//
// Every proxy appends to X-Forwarded-For the address it was called from, and anybody can write what stands before: so the list is
// read from its end, and only as far as those who wrote it are trusted. The Forwarded header of RFC 7239 is not read; a header
// that a proxy does not overwrite, and that is believed all the same, is how such lists are walked around.
func (n *networks) sender(req *http.Request) netip.Addr {
	sender := parseAddr(req.RemoteAddr)
	if !within(n.proxies, sender) {
		return sender
	}
	hops := strings.Split(strings.Join(req.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if hop = strings.TrimSpace(hop); hop == "" {
			continue
		}
		if sender = parseAddr(hop); !within(n.proxies, sender) {
			return sender
		}
	}
	return sender // proxies all the way: the farthest of them asks for itself
}

func within(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// parseAddr reads an address with or without port and brackets, or returns the zero Addr. Zones are dropped, as networks have none.
func parseAddr(s string) netip.Addr {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		withPort, _ := netip.ParseAddrPort(s) // the zero Addr if it fails too
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone("")
}
