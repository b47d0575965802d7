package pagerduty

import (
	"cmp"
	"fmt"
	"strings"
)

// Region is the PagerDuty service region of an account. The US host takes events of EU accounts
// too, but PagerDuty does not promise to keep that, and the events go through the US.
type Region string

// The two service regions (PagerDuty support, "Service Regions").
const (
	RegionUS Region = "us"
	RegionEU Region = "eu"
)

var regionURLs = map[Region]string{
	RegionUS: "https://events.pagerduty.com",
	RegionEU: "https://events.eu.pagerduty.com",
}

// URL returns the base URL of the region, such as https://events.pagerduty.com, and "" for an
// unknown region. The zero Region is RegionUS.
func (r Region) URL() string { return regionURLs[cmp.Or(r, RegionUS)] }

// ParseRegion reads "us" or "eu", in upper or lower case.
func ParseRegion(s string) (Region, error) {
	r := Region(strings.ToLower(strings.TrimSpace(s)))
	if _, ok := regionURLs[r]; !ok {
		return "", fmt.Errorf("pagerduty: region %q is not known; use %q or %q", s, RegionUS, RegionEU)
	}
	return r, nil
}
