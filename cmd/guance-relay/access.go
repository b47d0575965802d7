package main

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/guance-relay/guance-relay/cmd/guance-relay/internal/relayfile"
	"github.com/guance-relay/guance-relay/relay"
)

// access holds the settings that say who may send webhooks.
type access struct {
	tokens, tokensFile, header, basic, allow, proxies string
	noAuth                                            bool
}

// empty reports whether nobody may send webhooks.
func (a *access) empty() bool {
	return len(fields(a.tokens)) == 0 && a.tokensFile == "" && a.basic == "" &&
		len(fields(a.allow)) == 0 && !a.noAuth
}

// options returns the settings for relay.NewHandler. A token file is added to files.
func (a *access) options(files *secretFiles) (*relay.HandlerOptions, error) {
	opts := &relay.HandlerOptions{Tokens: fields(a.tokens), Header: a.header, NoAuth: a.noAuth}
	if a.basic != "" {
		opts.Basic = []string{a.basic}
	}
	if a.tokensFile != "" {
		file, err := openTokenFile(a.tokensFile)
		if err != nil {
			return nil, err
		}
		files.add("the last good tokens stay good", file.check)
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

// webhook returns the handler for Guance.
func (c *config) webhook(r *relay.Relay, files *secretFiles) (http.Handler, error) {
	if c.maxBody < 1 {
		return nil, fmt.Errorf("max-body %d: must be at least 1", c.maxBody)
	}
	opts, err := c.access.options(files)
	if err != nil {
		return nil, err
	}
	opts.MaxBytes = int64(c.maxBody)
	h, err := relay.NewHandler(r, opts)
	if err != nil {
		return nil, fmt.Errorf("%w (RELAY_TOKENS, RELAY_TOKENS_FILE, RELAY_BASIC, RELAY_ALLOW, "+
			"RELAY_TRUSTED_PROXIES, RELAY_NO_AUTH, RELAY_HEADER, RELAY_MAX_BODY)", err)
	}
	return h, nil
}

// fields splits at commas and leaves out empty parts.
func fields(s string) []string {
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// networks reads addresses and CIDR networks.
func networks(s string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, item := range fields(s) {
		p, err := relayfile.ParseNetwork(item)
		if err != nil {
			return nil, err
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}
