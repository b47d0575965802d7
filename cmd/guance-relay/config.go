package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v3"
)

// config holds the values of flags and environment variables.
type config struct {
	file, listen, operator, data, region, url, logLevel, logFormat string
	store, node, metrics, tlsCert, tlsKey                          string

	access                                    access
	maxBody, maxConnections, perMinute, nodes int
	storm                                     int // events; 0: none
	demo, keep                                bool

	getenv func(string) string    // os.Getenv, or a function of a test
	set    func(flag string) bool // whether a flag or its variable is set
	given  func(flag string) bool // whether a flag is on the command line
	action action                 // nil: run the server
	args   []string               // of the action
}

// configError is an error in the configuration: exit status 2.
type configError struct{ error }

// A variable makes an environment variable the source of a flag. One that is set but empty counts
// as not set: Compose files and Kubernetes manifests set optional values to "".
type variable struct {
	name   string
	getenv func(string) string
}

func (v variable) Lookup() (string, bool) {
	value := v.getenv(v.name)
	return value, value != ""
}
func (v variable) IsFromEnv() bool  { return true } // -h prints its name
func (v variable) Key() string      { return v.name }
func (v variable) String() string   { return fmt.Sprintf("environment variable %q", v.name) }
func (v variable) GoString() string { return v.String() }

func (c *config) flags() []cli.Flag {
	from := func(env string) cli.ValueSourceChain {
		return cli.NewValueSourceChain(variable{env, c.getenv})
	}
	text := func(dst *string, name, env, def, usage string) cli.Flag {
		return &cli.StringFlag{Name: name, Usage: usage, Value: def, Destination: dst, Sources: from(env)}
	}
	number := func(dst *int, name, env string, def int, usage string) cli.Flag {
		return &cli.IntFlag{Name: name, Usage: usage, Value: def, Destination: dst, Sources: from(env)}
	}
	flag := func(dst *bool, name, usage string, sources cli.ValueSourceChain) cli.Flag {
		return &cli.BoolFlag{Name: name, Usage: usage, Destination: dst, Sources: sources}
	}
	a := &c.access
	a.basic = c.getenv("RELAY_BASIC")
	c.store = c.getenv("RELAY_STORE")
	return []cli.Flag{
		text(&c.file, "config", "RELAY_CONFIG", "",
			"`file` with sources, lanes and routes; without it there is one lane, to PagerDuty"),
		text(&c.listen, "listen", "RELAY_LISTEN", "127.0.0.1:8080",
			"`address` of the HTTP server"),
		text(&c.operator, "operator", "RELAY_OPERATOR", "",
			"loopback `address` of metrics and the console; off if empty"),
		text(&c.metrics, "metrics", "RELAY_METRICS", "",
			"`address` of the metrics alone, which need not be loopback; off if empty"),
		text(&c.data, "data", "RELAY_DATA", "relay-data",
			"`directory` of the durable store, created with mode 0700; not used with RELAY_STORE"),
		text(&c.node, "node", "RELAY_NODE", "",
			"`name` of this process among those on one RELAY_STORE; by default the host's name"),
		text(&c.tlsCert, "tls-cert", "RELAY_TLS_CERT", "",
			"`file` of the certificate for webhooks, with its chain; no restart after a change"),
		text(&c.tlsKey, "tls-key", "RELAY_TLS_KEY", "", "`file` of its private key"),
		text(&a.tokens, "tokens", "RELAY_TOKENS", "",
			"comma-separated `secrets`; a webhook sends one as Authorization: Bearer, as"+
				" X-Relay-Token or as ?token=; process lists show flags, prefer the variable or a file"),
		text(&a.tokensFile, "tokens-file", "RELAY_TOKENS_FILE", "",
			"`file` with more tokens, one per line, # begins a comment; no restart after a change"),
		text(&a.header, "header", "RELAY_HEADER", "X-Relay-Token",
			"`name` of the header that carries a token"),
		text(&a.allow, "allow", "RELAY_ALLOW", "",
			"comma-separated addresses and CIDR `networks` that may send webhooks;"+
				" if a secret is set, it is required as well"),
		text(&a.proxies, "trusted-proxies", "RELAY_TRUSTED_PROXIES", "",
			"comma-separated addresses and CIDR `networks` of reverse proxies;"+
				" X-Forwarded-For is read from these only"),
		flag(&a.noAuth, "no-auth", "accept webhooks without a secret", from("RELAY_NO_AUTH")),
		number(&c.maxBody, "max-body", "RELAY_MAX_BODY", 1<<20,
			"largest webhook in `bytes`, both as sent and decompressed"),
		number(&c.maxConnections, "max-connections", "RELAY_MAX_CONNECTIONS", 1024,
			"open `connections` at most; at the limit, the client with most of them loses one"),
		text(&c.region, "pagerduty-region", "PAGERDUTY_REGION", "us", "us or eu"),
		text(&c.url, "pagerduty-url", "PAGERDUTY_URL", "",
			"base `URL` instead of the region's, for tests and gateways; https unless loopback"),
		number(&c.perMinute, "pagerduty-per-minute", "PAGERDUTY_PER_MINUTE", 120,
			"requests in any 60 s at most"),
		text(&c.logLevel, "log-level", "LOG_LEVEL", "info", "debug, info, warn or error"),
		text(&c.logFormat, "log-format", "LOG_FORMAT", "text", "text or json"),
		flag(&c.demo, "demo", "send a sample fault and its recovery to a built-in fake PagerDuty,"+
			" print what happens, and exit; the environment is ignored", cli.ValueSourceChain{}),
		flag(&c.keep, "keep", "with -demo: keep the console for looking until Ctrl-C",
			cli.ValueSourceChain{}),
		&cli.BoolFlag{Name: "storm", Usage: "with -demo: play a storm of 2,000 events, for two minutes",
			Action: func(_ context.Context, _ *cli.Command, storm bool) error {
				if storm {
					c.storm = stormEvents
				}
				return nil
			}},
		&cli.IntFlag{Name: "nodes", Value: 1, Destination: &c.nodes,
			Usage: "with -demo: run so many `servers` on one PostgreSQL, and kill the one that sends"},
	}
}

// missing returns an error if there is no routing key, or if nobody may send webhooks. A
// configuration file has its own checks.
func (c *config) missing() error {
	if c.file != "" {
		return nil
	}
	var lacks []string
	if c.getenv(keyVariable) == "" && c.getenv(keyFileVariable) == "" {
		lacks = append(lacks, "a routing key (PAGERDUTY_ROUTING_KEY or PAGERDUTY_ROUTING_KEY_FILE)")
	}
	if c.access.empty() {
		lacks = append(lacks, "who may send webhooks"+
			" (RELAY_TOKENS, RELAY_TOKENS_FILE, RELAY_BASIC, RELAY_ALLOW or RELAY_NO_AUTH)")
	}
	if len(lacks) == 0 {
		return nil
	}
	return fmt.Errorf("not configured: %s; set it, or start a demonstration with -demo, "+
		"which needs no account", strings.Join(lacks, ", and "))
}

// checkDemo returns an error if a flag of the demonstration is set without -demo, or beside one
// with which it does nothing.
func (c *config) checkDemo() error {
	for _, name := range []string{"keep", "storm", "nodes"} {
		if c.set(name) && !c.demo {
			return fmt.Errorf("-%s works with -demo only; add -demo or leave it out", name)
		}
		if c.set(name) && name != "nodes" && c.nodes > 1 {
			return fmt.Errorf("-%s does not work with -nodes; leave one of them out", name)
		}
	}
	if c.demo && (c.nodes < 1 || c.perMinute < 1) {
		return errors.New("-nodes and -pagerduty-per-minute must be at least 1")
	}
	return nil
}
