package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/guance-relay/guance-relay/pagerduty"
)

// config is what flags and environment say.
type config struct {
	listen, operator, data, region, url, logLevel, logFormat string
	access                                                   access
	maxBody, maxConnections, perMinute                       int
	demo                                                     bool

	getenv func(string) string // os.Getenv, or a stand-in
}

// A variable is an environment variable as the source of a flag. One that is set and empty counts as not set: this is
// what an optional value becomes in Compose files and Kubernetes manifests.
type variable struct {
	name   string
	getenv func(string) string
}

func (v variable) Lookup() (string, bool) {
	value := v.getenv(v.name)
	return value, value != ""
}
func (v variable) IsFromEnv() bool  { return true } // so that -h names it
func (v variable) Key() string      { return v.name }
func (v variable) String() string   { return fmt.Sprintf("environment variable %q", v.name) }
func (v variable) GoString() string { return v.String() }

// configError is a configuration that cannot work: exit status 2.
type configError struct{ error }

func (c *config) flags() []cli.Flag {
	from := func(env string) cli.ValueSourceChain {
		return cli.NewValueSourceChain(variable{env, c.getenv})
	}
	text := func(dst *string, name, env, value, usage string) cli.Flag {
		return &cli.StringFlag{Name: name, Usage: usage, Value: value, Destination: dst, Sources: from(env)}
	}
	number := func(dst *int, name, env string, value int, usage string) cli.Flag {
		return &cli.IntFlag{Name: name, Usage: usage, Value: value, Destination: dst, Sources: from(env)}
	}
	c.access.basic = c.getenv("RELAY_BASIC")
	return []cli.Flag{
		text(&c.listen, "listen", "RELAY_LISTEN", "127.0.0.1:8080", "`address` of the HTTP server"),
		text(&c.operator, "operator", "RELAY_OPERATOR", "", "loopback `address` of metrics, statistics and dead letters; off if empty"),
		text(&c.data, "data", "RELAY_DATA", "relay-data", "`directory` of the durable store, created with mode 0700"),
		text(&c.access.tokens, "tokens", "RELAY_TOKENS", "", "comma-separated `secrets`; each is accepted as Authorization: Bearer, as X-Relay-Token, or as ?token=; process lists show flags, so prefer the variable or a file"),
		text(&c.access.tokensFile, "tokens-file", "RELAY_TOKENS_FILE", "", "`file` with more of them, one a line, # begins a comment; a change needs no restart"),
		text(&c.access.header, "header", "RELAY_HEADER", "X-Relay-Token", "`name` of the header that carries a token"),
		text(&c.access.allow, "allow", "RELAY_ALLOW", "", "comma-separated addresses and CIDR `networks` that webhooks may come from; a secret is needed as well if one is set"),
		text(&c.access.proxies, "trusted-proxies", "RELAY_TRUSTED_PROXIES", "", "comma-separated addresses and CIDR `networks` of reverse proxies, whose X-Forwarded-For is believed"),
		&cli.BoolFlag{Name: "no-auth", Usage: "accept unauthenticated webhooks", Destination: &c.access.noAuth, Sources: from("RELAY_NO_AUTH")},
		number(&c.maxBody, "max-body", "RELAY_MAX_BODY", 1<<20, "largest webhook in `bytes`, as sent and decompressed"),
		number(&c.maxConnections, "max-connections", "RELAY_MAX_CONNECTIONS", 1024, "`connections` open at once; beyond it the address that has most of them gives one up"),
		text(&c.region, "pagerduty-region", "PAGERDUTY_REGION", "us", "us or eu"),
		text(&c.url, "pagerduty-url", "PAGERDUTY_URL", "", "base `URL` instead of the region's, for tests and proxies; https unless the host is loopback"),
		number(&c.perMinute, "pagerduty-per-minute", "PAGERDUTY_PER_MINUTE", 120, "requests allowed in any 60 s"),
		text(&c.logLevel, "log-level", "LOG_LEVEL", "info", "debug, info, warn or error"),
		text(&c.logFormat, "log-format", "LOG_FORMAT", "text", "text or json"),
		&cli.BoolFlag{Name: "demo", Usage: "post a sample fault and its recovery to a built-in fake PagerDuty, show what happens and exit; the environment is ignored", Destination: &c.demo},
	}
}

// missing returns an error if there is no key for PagerDuty, or if no webhook could come in.
func (c *config) missing() error {
	var lacks []string
	if c.getenv(keyVariable) == "" && c.getenv(keyFileVariable) == "" {
		lacks = append(lacks, "a routing key (PAGERDUTY_ROUTING_KEY or PAGERDUTY_ROUTING_KEY_FILE)")
	}
	if c.access.empty() {
		lacks = append(lacks, "who may send webhooks (RELAY_TOKENS, RELAY_TOKENS_FILE, RELAY_BASIC, RELAY_ALLOW or RELAY_NO_AUTH)")
	}
	if len(lacks) == 0 {
		return nil
	}
	return fmt.Errorf("not configured: %s; set it, or start a demonstration that needs no account with -demo", strings.Join(lacks, ", and "))
}

// logger returns the log. One that is written by a logWriter also says, in its own form, how many lines were lost.
func (c *config) logger(w io.Writer) (*slog.Logger, error) {
	log, err := c.loggerTo(w)
	if writer, ok := w.(*logWriter); ok && err == nil {
		writer.onLoss(func(out io.Writer, n uint64) error {
			direct, err := c.loggerTo(out)
			if err != nil {
				return err
			}
			// By the handler, as a Logger drops the error.
			return direct.Handler().Handle(context.Background(), slog.NewRecord(time.Now(), slog.LevelError, lostLines(n), 0))
		})
	}
	return log, err
}

func (c *config) loggerTo(w io.Writer) (*slog.Logger, error) {
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

const (
	keyVariable     = "PAGERDUTY_ROUTING_KEY"
	keyFileVariable = "PAGERDUTY_ROUTING_KEY_FILE"
)

// routingKey returns where the key of the integration comes from; a file is followed, and watched by s.
func (c *config) routingKey(s *secrets) (pagerduty.KeySource, error) {
	if path := c.getenv(keyFileVariable); path != "" && c.getenv(keyVariable) == "" {
		key, err := pagerduty.OpenKeyFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", keyFileVariable, err)
		}
		s.watch("the last good key stays in use", key.Check)
		return key, nil
	}
	key, err := pagerduty.ParseRoutingKey(c.getenv(keyVariable))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyVariable, err)
	}
	return key, nil
}

// metrics returns what takes measurements; nil if nobody is to see them.
func (c *config) metrics(log *logWriter) (*metrics, error) {
	if c.operator == "" {
		return nil, nil
	}
	return newMetrics(log)
}

// client returns the PagerDuty client. The lane's budget is the one that counts.
func (c *config) client(log *slog.Logger, m *metrics, s *secrets) (*pagerduty.Client, error) {
	key, err := c.routingKey(s)
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

// target returns the scheme and host that events go to, and the host of the proxy on the way there.
func (c *config) target() (target, proxy string) {
	region, _ := pagerduty.ParseRegion(cmp.Or(c.region, "us")) // client has complained
	u, err := url.Parse(cmp.Or(c.url, region.URL()))
	if err != nil {
		return "", "" // as above
	}
	target = u.Scheme + "://" + u.Host // not the path, which may hold a gateway's secret
	through, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	switch {
	case err != nil:
		return target, "cannot be used" // the error may hold its password
	case through == nil:
		return target, "none"
	}
	return target, through.Host
}
