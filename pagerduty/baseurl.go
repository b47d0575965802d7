package pagerduty

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// The paths of the Events API v2.
const (
	alertPath  = "/v2/enqueue"
	changePath = "/v2/change/enqueue"
)

// baseURL returns Options.BaseURL, or the URL of Options.Region.
func baseURL(opts *Options) (*url.URL, error) {
	address := cmp.Or(opts.BaseURL, opts.Region.URL())
	if address == "" {
		return nil, fmt.Errorf("pagerduty: Options.Region %q is not known; "+
			"use RegionUS, RegionEU or BaseURL", opts.Region)
	}
	return parseBase(address)
}

// parseBase checks a base URL. The body of every request has the routing key, so the scheme must be
// https. Plain http is allowed to the loopback, for tests and local agents.
func parseBase(raw string) (*url.URL, error) {
	base, err := url.Parse(raw)
	if err != nil {
		// Not wrapped: the error of url.Parse repeats the URL, which may have a password.
		return nil, fmt.Errorf("pagerduty: Options.BaseURL is not a URL")
	}
	switch {
	case base.User != nil:
		return nil, fmt.Errorf("pagerduty: Options.BaseURL must not hold a user name or password; " +
			"set a proxy or a Transport instead")
	case base.Host == "":
		return nil, fmt.Errorf("pagerduty: Options.BaseURL has no host; write it as https://host")
	case base.RawQuery != "" || base.Fragment != "":
		return nil, fmt.Errorf("pagerduty: Options.BaseURL must have neither query nor fragment")
	case base.Scheme == "https":
	case base.Scheme == "http" && isLoopback(base.Hostname()):
	default:
		return nil, fmt.Errorf("pagerduty: Options.BaseURL %q is not https; "+
			"the routing key must not travel in the clear (http is allowed to the loopback only)",
			base.Redacted())
	}
	base.Path = strings.TrimRight(base.Path, "/")
	base.RawPath = ""
	// The Integration URL that PagerDuty shows ends in a path of the API.
	for _, known := range []string{alertPath, changePath, "/v2"} {
		if path, ok := strings.CutSuffix(base.Path, known); ok {
			base.Path = strings.TrimRight(path, "/")
			break
		}
	}
	switch {
	case strings.Contains(base.Path, "/generic/2010-04-15"):
		return nil, fmt.Errorf("pagerduty: Options.BaseURL is the address of Events API v1, "+
			"which this client does not speak; write it as https://%s", base.Host)
	case base.Path != "" && isPagerDuty(base.Hostname()):
		// The error leaves out the path, because the path of an integration's own address has its key.
		return nil, fmt.Errorf("pagerduty: Options.BaseURL has a path where PagerDuty has no Events "+
			"API v2; "+
			"write it as https://%s", base.Host)
	}
	base.Path += "/" // JoinPath makes a relative path of an empty one
	return base, nil
}

func isPagerDuty(host string) bool {
	host = strings.ToLower(host)
	return host == "pagerduty.com" || strings.HasSuffix(host, ".pagerduty.com")
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
