package relayfile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/guance-relay/guance-relay/relay"
)

// defaultSource is the name in the file of the source without a name.
const defaultSource = "default"

// Access is who may send webhooks.
type Access struct {
	relay.HandlerOptions
	// TokenFiles are files with tokens, by the name of their source; "" is the source without a name.
	// They are to be read again after a change.
	TokenFiles map[string][]string
	// Allow are the networks of all sources; empty if a webhook may come from anywhere.
	Allow []netip.Prefix
}

// sources checks who may send webhooks.
func (b *build) sources(f *File) (*Access, error) {
	a := &Access{TokenFiles: make(map[string][]string)}
	if len(f.Sources) == 0 {
		return nil, b.doc.errorf(path{"sources"}, "add sources with tokens, basic or allow",
			"nothing says who may send webhooks")
	}
	owner := make(map[string]path) // of secrets
	anywhere := false
	for _, name := range sortedKeys(f.Sources) {
		at, s := path{"sources", name}, f.Sources[name]
		if reserved(name) {
			return nil, b.doc.errorf(at, "choose another name", "the relay itself uses the name")
		}
		source := relay.Source{Name: name, Workspaces: s.Workspaces}
		for i, ref := range s.Tokens {
			tokens, err := b.secrets.all(at.with("tokens", i), ref)
			if err != nil {
				return nil, err
			}
			if err := b.owned(owner, at.with("tokens", i), name, tokens); err != nil {
				return nil, err
			}
			if file, ok := strings.CutPrefix(string(ref), "file:"); ok {
				key := name
				if name == defaultSource {
					key = ""
				}
				a.TokenFiles[key] = append(a.TokenFiles[key], b.secrets.file(file))
				continue
			}
			source.Tokens = append(source.Tokens, tokens...)
		}
		for i, ref := range s.Basic {
			pairs, err := b.secrets.all(at.with("basic", i), ref)
			if err != nil {
				return nil, err
			}
			if err := b.owned(owner, at.with("basic", i), name, pairs); err != nil {
				return nil, err
			}
			for _, pair := range pairs {
				if user, password, ok := strings.Cut(pair, ":"); !ok || user == "" || password == "" {
					return nil, b.doc.errorf(at.with("basic", i), "write both, with a colon between them",
						"the secret is not user:password")
				}
			}
			source.Basic = append(source.Basic, pairs...)
		}
		var err error
		if source.Allow, err = b.networks(at.with("allow"), s.Allow); err != nil {
			return nil, err
		}
		secret := len(s.Tokens)+len(s.Basic) > 0
		switch {
		case s.NoAuth && (name != defaultSource || len(f.Sources) > 1):
			return nil, b.doc.errorf(at.with("no_auth"), "give each source a secret or networks",
				"only a single source with the name default may take webhooks without a secret")
		case s.NoAuth && secret:
			return nil, b.doc.errorf(at.with("no_auth"), "remove no_auth or the secrets",
				"the source has secrets, and needs none")
		case !s.NoAuth && !secret && len(s.Allow) == 0:
			return nil, b.doc.errorf(at, "add tokens, basic or allow", "nothing says who may send webhooks")
		case name == defaultSource && len(s.Workspaces) > 0:
			return nil, b.doc.errorf(at.with("workspaces"), "give the source another name; this changes "+
				"the keys of its problems", "the source default speaks for every workspace")
		}
		anywhere = anywhere || len(source.Allow) == 0
		a.Allow = append(a.Allow, source.Allow...)
		if name == defaultSource {
			a.Tokens, a.Basic, a.HandlerOptions.Allow, a.NoAuth = source.Tokens, source.Basic,
				source.Allow, s.NoAuth
			continue
		}
		if strings.ContainsAny(name, "/:") || name == "" || len(name) > 64 {
			return nil, b.doc.errorf(at, "use up to 64 bytes without slash and colon",
				"not a name of a source")
		}
		a.Sources = append(a.Sources, source)
	}
	if anywhere {
		a.Allow = nil
	}
	a.Header, a.MaxBytes = f.Listeners.Header, int64(f.Limits.MaxBody)
	if strings.ContainsFunc(a.Header, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) {
		return nil, b.doc.errorf(path{"listeners", "header"}, "use a name such as X-Relay-Token",
			"not the name of a header")
	}
	var err error
	a.TrustedProxies, err = b.networks(path{"listeners", "trusted_proxies"}, f.Listeners.TrustedProxies)
	return a, err
}

// owned returns an error if a secret belongs to another source.
func (b *build) owned(owner map[string]path, at path, source string, values []string) error {
	for _, v := range values {
		if other := owner[v]; other != nil && other[1] != source {
			return b.doc.errorf(at, "give each source its own", "the secret is also that of %v", other)
		}
		owner[v] = at
	}
	return nil
}

// Source returns the name of a source of the file. Without a name it is the source default, or the
// only one. The error has the problem and the remedy.
func (c *Config) Source(name string) (string, error) {
	names := sortedKeys(c.File.Sources)
	list := strings.Join(names, ", ")
	switch {
	case slices.Contains(names, name):
		return name, nil
	case name != "":
		return "", fmt.Errorf("there is no source %s; name one of %s", quote(name), list)
	case slices.Contains(names, defaultSource):
		return defaultSource, nil
	case len(names) == 1:
		return names[0], nil
	}
	return "", fmt.Errorf("the file has several sources; name one of %s", list)
}

// networks reads addresses and CIDR networks.
func (b *build) networks(at path, list []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for i, item := range list {
		p, err := ParseNetwork(item)
		if err != nil {
			return nil, b.doc.errorf(at.with(i), "write 192.0.2.7 or 192.0.2.0/24",
				"%s is no address and no network", quote(item))
		}
		if p.Bits() == 0 {
			return nil, b.doc.errorf(at.with(i), "remove it: an empty list is every address",
				"%s is every address", quote(item))
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}

// ParseNetwork reads an address or a CIDR network. IPv4 in IPv6 becomes IPv4, as relay.Handler
// compares that.
func ParseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q: must be an address, or a network such as 192.0.2.0/24", s)
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p, nil
}
