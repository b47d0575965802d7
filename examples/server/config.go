package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/urfave/cli/v3"

	"github.com/guance-relay/guance-relay/pagerduty"
)

// config is what flags and environment say.
type config struct {
	listen, operator, data, region, url, logLevel, logFormat string
	access                                                   access
	maxBody, maxConnections, perMinute                       int
	demo                                                     bool
}

// configError is a configuration that cannot work: exit status 2.
type configError struct{ error }

func (c *config) flags() []cli.Flag {
	text := func(dst *string, name, env, value, usage string) cli.Flag {
		return &cli.StringFlag{Name: name, Usage: usage, Value: value, Destination: dst, Sources: cli.EnvVars(env)}
	}
	number := func(dst *int, name, env string, value int, usage string) cli.Flag {
		return &cli.IntFlag{Name: name, Usage: usage, Value: value, Destination: dst, Sources: cli.EnvVars(env)}
	}
	c.access.basic = os.Getenv("RELAY_BASIC")
	return []cli.Flag{
		text(&c.listen, "listen", "RELAY_LISTEN", "127.0.0.1:8080", "`address` of the HTTP server"),
		text(&c.operator, "operator", "RELAY_OPERATOR", "", "loopback `address` of metrics, statistics and dead letters; off if empty"),
		text(&c.data, "data", "RELAY_DATA", "relay-data", "`directory` of the durable store, created with mode 0700"),
		text(&c.access.tokens, "tokens", "RELAY_TOKENS", "", "comma-separated `secrets`; each is accepted as Authorization: Bearer, as X-Relay-Token, or as ?token="),
		text(&c.access.tokensFile, "tokens-file", "RELAY_TOKENS_FILE", "", "`file` with more of them, one a line; a change needs no restart"),
		text(&c.access.header, "header", "RELAY_HEADER", "X-Relay-Token", "`name` of the header that carries a token"),
		text(&c.access.allow, "allow", "RELAY_ALLOW", "", "comma-separated addresses and CIDR `networks` that webhooks may come from; a secret is needed as well if one is set"),
		text(&c.access.proxies, "trusted-proxies", "RELAY_TRUSTED_PROXIES", "", "comma-separated addresses and CIDR `networks` of reverse proxies, whose X-Forwarded-For is believed"),
		&cli.BoolFlag{Name: "no-auth", Usage: "accept unauthenticated webhooks", Destination: &c.access.noAuth, Sources: cli.EnvVars("RELAY_NO_AUTH")},
		number(&c.maxBody, "max-body", "RELAY_MAX_BODY", 1<<20, "largest webhook in `bytes`, as sent and decompressed"),
		number(&c.maxConnections, "max-connections", "RELAY_MAX_CONNECTIONS", 1024, "`connections` open at once; the one that waits longest for the rest of a request makes room for the next"),
		text(&c.region, "pagerduty-region", "PAGERDUTY_REGION", "us", "us or eu"),
		text(&c.url, "pagerduty-url", "PAGERDUTY_URL", "", "base `URL` instead of the region's, for tests and proxies; https unless the host is loopback"),
		number(&c.perMinute, "pagerduty-per-minute", "PAGERDUTY_PER_MINUTE", 120, "requests allowed in any 60 s"),
		text(&c.logLevel, "log-level", "LOG_LEVEL", "info", "debug, info, warn or error"),
		text(&c.logFormat, "log-format", "LOG_FORMAT", "text", "text or json"),
		&cli.BoolFlag{Name: "demo", Usage: "post a sample fault and its recovery to a built-in fake PagerDuty, show what happens and exit", Destination: &c.demo},
	}
}

// empty reports whether nothing was configured that a real relay needs.
func (c *config) empty() bool {
	return os.Getenv("PAGERDUTY_ROUTING_KEY") == "" && os.Getenv("PAGERDUTY_ROUTING_KEY_FILE") == "" && c.access.empty() && c.url == ""
}

func (c *config) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.logLevel)); err != nil {
		return nil, fmt.Errorf("log-level %q: want debug, info, warn or error", c.logLevel)
	}
	opts := &slog.HandlerOptions{Level: level}
	switch c.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, fmt.Errorf("log-format %q: want text or json", c.logFormat)
}

// routingKey returns where the key of the integration comes from; a file is read again when it changes.
func routingKey() (pagerduty.KeySource, error) {
	if path := os.Getenv("PAGERDUTY_ROUTING_KEY_FILE"); path != "" && os.Getenv("PAGERDUTY_ROUTING_KEY") == "" {
		key, err := pagerduty.OpenKeyFile(path)
		if err != nil {
			return nil, fmt.Errorf("PAGERDUTY_ROUTING_KEY_FILE: %w", err)
		}
		return key, nil
	}
	return pagerduty.RoutingKeyFromEnv("PAGERDUTY_ROUTING_KEY")
}

// metrics returns what takes measurements; nil if nobody is to see them.
func (c *config) metrics() (*metrics, error) {
	if c.operator == "" {
		return nil, nil
	}
	return newMetrics()
}

// client returns the PagerDuty client. The lane's budget is the one that counts.
func (c *config) client(log *slog.Logger, m *metrics) (*pagerduty.Client, error) {
	key, err := routingKey()
	if err != nil {
		return nil, err
	}
	region, err := pagerduty.ParseRegion(cmp.Or(c.region, "us"))
	if err != nil {
		return nil, fmt.Errorf("pagerduty-region: %w", err)
	}
	if c.perMinute < 1 {
		return nil, fmt.Errorf("pagerduty-per-minute %d: want at least 1", c.perMinute)
	}
	return pagerduty.NewClient(key, &pagerduty.Options{Region: region, BaseURL: c.url, Logger: log, MeterProvider: m.meters()})
}
