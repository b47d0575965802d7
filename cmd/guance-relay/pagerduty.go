package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/guance-relay/guance-relay/pagerduty"
)

const (
	keyVariable     = "PAGERDUTY_ROUTING_KEY"
	keyFileVariable = "PAGERDUTY_ROUTING_KEY_FILE"
)

// client returns the PagerDuty client. The lane's budget limits its rate.
func (c *config) client(log *slog.Logger, m *metrics,
	files *secretFiles) (*pagerduty.Client, error) {
	key, err := c.routingKey(files)
	if err != nil {
		return nil, err
	}
	region, err := pagerduty.ParseRegion(cmp.Or(c.region, "us"))
	if err != nil {
		return nil, fmt.Errorf("pagerduty-region: %w", err)
	}
	if c.perMinute < 1 {
		return nil, fmt.Errorf("pagerduty-per-minute %d: must be at least 1", c.perMinute)
	}
	return pagerduty.NewClient(key, &pagerduty.Options{
		Region: region, BaseURL: c.url, Logger: log, MeterProvider: m.provider,
	})
}

// routingKey returns the source of the routing key. A key file is read again after each change,
// and added to files.
func (c *config) routingKey(files *secretFiles) (pagerduty.KeySource, error) {
	if path := c.getenv(keyFileVariable); path != "" && c.getenv(keyVariable) == "" {
		key, err := pagerduty.OpenKeyFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", keyFileVariable, err)
		}
		files.add("the last good key stays in use", key.Check)
		return key, nil
	}
	key, err := pagerduty.ParseRoutingKey(c.getenv(keyVariable))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyVariable, err)
	}
	return key, nil
}

// target returns scheme and host of PagerDuty, and the host of the proxy in front of it. Paths and
// proxy URLs are left out because they can hold secrets.
func (c *config) target() (target, proxy string) {
	region, _ := pagerduty.ParseRegion(cmp.Or(c.region, "us")) // client has checked both
	u, err := url.Parse(cmp.Or(c.url, region.URL()))
	if err != nil {
		return "", ""
	}
	target = u.Scheme + "://" + u.Host
	through, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	switch {
	case err != nil:
		return target, "cannot be used"
	case through == nil:
		return target, "none"
	}
	return target, through.Host
}
