package main

import (
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/guance-relay/guance-relay/internal/secretfile"
	"github.com/guance-relay/guance-relay/relay"
)

// access is who may send webhooks, as configured.
type access struct {
	tokens, tokensFile, header, basic, allow, proxies string
	noAuth                                            bool
}

// empty reports whether nothing was said.
func (a *access) empty() bool {
	return len(fields(a.tokens)) == 0 && a.tokensFile == "" && a.basic == "" && len(fields(a.allow)) == 0 && !a.noAuth
}

// options returns the settings of the handler that say who may come in.
func (a *access) options(s *secrets) (*relay.HandlerOptions, error) {
	opts := &relay.HandlerOptions{Tokens: fields(a.tokens), Header: a.header, NoAuth: a.noAuth}
	if a.basic != "" {
		opts.Basic = []string{a.basic}
	}
	if a.tokensFile != "" {
		file, err := openTokenFile(a.tokensFile)
		if err != nil {
			return nil, err
		}
		s.watch("the last good tokens stay good", file.check)
		opts.TokenSource = file.tokens
	}
	var err error
	if opts.Allow, err = networks(a.allow); err != nil {
		return nil, fmt.Errorf("allow: %w", err)
	}
	if opts.TrustedProxies, err = networks(a.proxies); err != nil {
		return nil, fmt.Errorf("trusted-proxies: %w", err)
	}
	return opts, nil
}

// fields splits at commas and leaves out what is empty.
func fields(s string) []string {
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// networks reads CIDR networks; an address alone is a network of one.
func networks(s string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, item := range fields(s) {
		if addr, err := netip.ParseAddr(item); err == nil {
			addr = addr.Unmap()
			prefixes = append(prefixes, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(item)
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network such as 192.0.2.0/24", item)
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 { // as the handler reads it
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}

// maxTokenFile is how many bytes a file of tokens may have: some thousand tokens.
const maxTokenFile = 64 << 10

// A tokenFile is a file of tokens, one a line, that is read again for each webhook: a page of memory, next to the fsync that
// follows, and never a change that goes unnoticed.
type tokenFile struct {
	path string
	last atomic.Pointer[[]string] // the last good ones
}

func openTokenFile(path string) (*tokenFile, error) {
	f := &tokenFile{path: path}
	return f, f.check()
}

// tokens returns what the file holds. While it is missing, empty or not readable, as it may be halfway through a change, the last good
// tokens stay good: Guance promises no second try, so that a 401 loses the alert. A file without tokens revokes nothing; who
// wants to keep everybody out writes a new token. The server complains until the file is good again; see secrets.
func (f *tokenFile) tokens() []string {
	_ = f.check() // secrets says so
	return *f.last.Load()
}

// check reads the file and returns why it holds no tokens.
func (f *tokenFile) check() error {
	tokens, err := secretfile.Lines(f.path, maxTokenFile)
	if err != nil {
		return fmt.Errorf("tokens-file: %w", err)
	}
	f.last.Store(&tokens)
	return nil
}
