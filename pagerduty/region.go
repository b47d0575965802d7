package pagerduty

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Region is the PagerDuty service region an account lives in. The US host
// takes events of EU accounts too for now, but sends them through the US, and
// PagerDuty does not promise that it will stay so: name the region.
type Region string

// The two service regions (PagerDuty support, "Service Regions").
const (
	RegionUS Region = "us"
	RegionEU Region = "eu"
)

// hosts is where each region takes events.
var hosts = map[Region]string{
	RegionUS: "https://events.pagerduty.com",
	RegionEU: "https://events.eu.pagerduty.com",
}

// ParseRegion reads "us" or "eu" in either case.
func ParseRegion(s string) (Region, error) {
	r := Region(strings.ToLower(strings.TrimSpace(s)))
	if _, ok := hosts[r]; !ok {
		return "", fmt.Errorf("pagerduty: region %q is not known; use %q or %q", s, RegionUS, RegionEU)
	}
	return r, nil
}

// parseBase checks a base URL: the routing key travels in the body of every
// request, so only https will do, and plain http for the loopback of tests
// and local agents.
func parseBase(raw string) (*url.URL, error) {
	base, err := url.Parse(raw)
	if err != nil {
		// Not wrapped: the error of url.Parse repeats what may hold a password.
		return nil, fmt.Errorf("pagerduty: Options.BaseURL is not a URL")
	}
	switch {
	case base.User != nil:
		return nil, fmt.Errorf("pagerduty: Options.BaseURL must not hold a user name or password; set a proxy or a Transport instead")
	case base.Host == "":
		return nil, fmt.Errorf("pagerduty: Options.BaseURL has no host; write it as https://host")
	case base.RawQuery != "" || base.Fragment != "":
		return nil, fmt.Errorf("pagerduty: Options.BaseURL must have neither query nor fragment")
	case base.Scheme == "https":
	case base.Scheme == "http" && loopback(base.Hostname()):
	default:
		return nil, fmt.Errorf("pagerduty: Options.BaseURL %q is not https; the routing key must not travel in the clear (http is allowed to the loopback only)", base.Redacted())
	}
	base.Path = strings.TrimRight(base.Path, "/")
	base.RawPath = ""
	// The Integration URL that PagerDuty shows ends in the API's path, and so does what other systems ask for.
	for _, own := range []string{alertPath, changePath, "/v2"} {
		if path, ok := strings.CutSuffix(base.Path, own); ok {
			base.Path = strings.TrimRight(path, "/")
			break
		}
	}
	switch {
	case strings.Contains(base.Path, "/generic/2010-04-15"):
		return nil, fmt.Errorf("pagerduty: Options.BaseURL is the address of Events API v1, which this client does not speak; write it as https://%s", base.Host)
	case base.Path != "" && ofPagerDuty(base.Hostname()):
		// The path is not repeated: that of an integration's own address holds its key.
		return nil, fmt.Errorf("pagerduty: Options.BaseURL has a path where PagerDuty has no Events API v2; write it as https://%s", base.Host)
	}
	return base, nil
}

// The paths of the Events API v2.
const (
	alertPath  = "/v2/enqueue"
	changePath = "/v2/change/enqueue"
)

func ofPagerDuty(host string) bool {
	host = strings.ToLower(host)
	return host == "pagerduty.com" || strings.HasSuffix(host, ".pagerduty.com")
}

// below returns the address of path under base.
func below(base *url.URL, path string) *url.URL {
	u := *base
	u.Path += path
	return &u
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
