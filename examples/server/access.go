package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"

	"github.com/guance-relay/guance-relay/relay"
)

// access is who may send webhooks, as configured.
type access struct {
	tokens, tokensFile, header, basic, allow, proxies string
	noAuth                                            bool
}

// empty reports whether nothing was said.
func (a *access) empty() bool {
	return a.tokens == "" && a.tokensFile == "" && a.basic == "" && a.allow == "" && !a.noAuth
}

// options returns the settings of the handler that say who may come in.
func (a *access) options(log *slog.Logger) (*relay.HandlerOptions, error) {
	opts := &relay.HandlerOptions{Tokens: fields(a.tokens), Header: a.header, NoAuth: a.noAuth}
	if a.basic != "" {
		opts.Basic = []string{a.basic}
	}
	if a.tokensFile != "" {
		file, err := openTokenFile(a.tokensFile, log)
		if err != nil {
			return nil, err
		}
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
			prefixes = append(prefixes, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(item)
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network such as 192.0.2.0/24", item)
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}

// A tokenFile is a file of tokens, one a line, that is read again for each webhook: a page of memory, next to the fsync that
// follows, and never a change that goes unnoticed.
type tokenFile struct {
	path string
	log  *slog.Logger
	good atomic.Pointer[[]string] // the last that the file held
	lost atomic.Bool              // whether the file is unreadable, which was logged then
}

func openTokenFile(path string, log *slog.Logger) (*tokenFile, error) {
	f := &tokenFile{path: path, log: log}
	tokens, err := f.read()
	if err != nil {
		return nil, err
	}
	f.good.Store(&tokens)
	return f, nil
}

// tokens returns what the file holds. While it is missing or empty, as it may be halfway through a change, the last tokens stay good:
// an alert is worth more than a quick revocation.
func (f *tokenFile) tokens() []string {
	tokens, err := f.read()
	switch {
	case err == nil:
		f.lost.Store(false)
		f.good.Store(&tokens)
	case !f.lost.Swap(true):
		f.log.Error("the tokens that were good before stay good", "error", err.Error())
	}
	return *f.good.Load()
}

func (f *tokenFile) read() ([]string, error) {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("tokens-file: %w", err)
	}
	var tokens []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			tokens = append(tokens, line)
		}
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("tokens-file: %s holds no token", f.path)
	}
	return tokens, nil
}
