package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v3"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

// secret is part of every secret in the seeds, and of nothing else.
const secret = "hunter2"

// secretFlags and secretVariables hold secrets, or URLs with secrets.
var (
	secretFlags     = []string{"-tokens", "--tokens", "-pagerduty-url", "--pagerduty-url"}
	secretVariables = []string{"RELAY_TOKENS", "RELAY_BASIC", "PAGERDUTY_ROUTING_KEY", "PAGERDUTY_URL"}
)

// Any environment and any command line is either a configuration that works, or status 2 and one
// line that says why and repeats no secret.
func FuzzConfiguration(f *testing.F) {
	noMetrics := &metrics{provider: sdk.NewMeterProvider()}
	const key = "PAGERDUTY_ROUTING_KEY=" + secret + "abcdefghijklmnopqrstuvwxy"
	for _, seed := range []struct{ env, args, file string }{
		{key + "\nRELAY_TOKENS=" + secret + "1," + secret + "2", "", ""},
		{key + "\nRELAY_TOKENS_FILE=@", "-log-format\njson\n-log-level\ndebug", secret + "1\n" + secret +
			"2\n"},
		{key + "\nRELAY_BASIC=user:" + secret +
			"\nRELAY_ALLOW=192.0.2.0/24, ::1\nRELAY_TRUSTED_PROXIES=10.0.0.1", "", ""},
		{key + "\nRELAY_NO_AUTH=true", "-pagerduty-region\neu", ""},
		{"PAGERDUTY_ROUTING_KEY_FILE=@\nRELAY_NO_AUTH=1", "", secret + "abcdefghijklmnopqrstuvwxy\n"},
		{"PAGERDUTY_ROUTING_KEY_FILE=@\nRELAY_NO_AUTH=1", "", secret},
		{key + "\nPAGERDUTY_URL=https://user:" + secret + "@pd.example/x?y=" + secret + "#" + secret +
			"\nRELAY_NO_AUTH=1", "", ""},
		{key + "\nPAGERDUTY_URL=http://" + secret + ":\x7f@[::1", "", ""},
		{"PAGERDUTY_ROUTING_KEY=" + secret + "\nRELAY_TOKENS=,", "", ""},
		{key, "-tokens\n" + secret + "1,\n" + secret + "2", ""},
		{key, "-tokens=" + secret + "\n-no-auth=maybe", ""},
		{key, "-tokens=" + secret + "\n-tokns=" + secret, ""},
		{key + "\nRELAY_BASIC=" + secret, "-h", ""},
		{key + "\nRELAY_TOKENS=" + secret, "-help", ""},
		{key + "\nRELAY_MAX_BODY=0x10\nRELAY_MAX_CONNECTIONS=-1" +
			"\nPAGERDUTY_PER_MINUTE=99999999999999999999\nRELAY_TOKENS=" + secret, "", ""},
		{key + "\nRELAY_HEADER=X\r\nY\nRELAY_TOKENS=" + secret, "-data\na\nb\n--\n-x", ""},
		{"PAGERDUTY_ROUTING_KEY_FILE=a␤b\nRELAY_TOKENS=" + secret, "", ""},
		{key + "\nRELAY_TOKENS_FILE=a␤b\nRELAY_ALLOW=a␤b", "-x␤y", ""},
		{key + "\nRELAY_OPERATOR=127.0.0.1:0\nRELAY_TOKENS=" + secret, "-operator\n[::1]:9090", ""},
		{key + "\nRELAY_OPERATOR=0.0.0.0␤:9090\nRELAY_TOKENS=" + secret, "", ""},
		{"", "-demo", ""},
		{"RELAY_MAX_BODY=many\nPAGERDUTY_ROUTING_KEY=" + secret, "-demo", ""},
		{key + "\nRELAY_NO_AUTH=\nRELAY_MAX_BODY=\nRELAY_LISTEN=\nPAGERDUTY_REGION=\nLOG_LEVEL=" +
			"\nRELAY_TOKENS=" + secret, "", ""},
		{"RELAY_TOKENS=" + secret, "", ""},
		{key, "-version", ""},
		{key + "\nRELAY_TOKENS_FILE=@", "", "\ufeff# comment\r\n" + secret + " # of the bridge"},
		{"", "-\n--\n---\n-=\n--=x\n-tokens", ""},
	} {
		f.Add(seed.env, seed.args, seed.file)
	}
	var names []string
	for _, flag := range (&config{getenv: os.Getenv}).flags() {
		if named, ok := flag.(cli.DocGenerationFlag); ok {
			names = append(names, named.GetEnvVars()...)
		}
	}
	names = append(names, environmentOnly...)
	f.Fuzz(func(t *testing.T, env, args, file string) {
		if all := env + args; strings.Contains(all, "/dev") || strings.Contains(all, "/proc") ||
			strings.Contains(all, "/sys") {
			t.Skip("files that never end are the operator's own doing")
		}
		// values have no zero bytes, and some have newlines
		env, args = strings.ReplaceAll(env, "\n", "\x00"), strings.ReplaceAll(args, "\n", "\x00")
		env, args = strings.ReplaceAll(env, "␤", "\n"), strings.ReplaceAll(args, "␤", "\n")
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			t.Setenv(name, "") // restores it
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
		public := "" // what may be repeated
		for line := range strings.SplitSeq(env, "\x00") {
			name, value, _ := strings.Cut(line, "=")
			if !slices.Contains(names, name) {
				continue
			}
			if strings.HasSuffix(name, "_FILE") && value == "@" {
				value = path
			}
			if err := os.Setenv(name, value); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(secretVariables, name) {
				public += value
			}
		}
		given := []string{"guance-relay"}
		for arg := range strings.SplitSeq(args, "\x00") {
			before := given[len(given)-1]
			if flag, _, _ := strings.Cut(arg, "="); strings.HasPrefix(before, "-") &&
				!slices.Contains(secretFlags, before) ||
				strings.HasPrefix(flag, "-") && !slices.Contains(secretFlags, flag) {
				public += arg
			}
			if args != "" {
				given = append(given, arg)
			}
		}

		var stdout, stderr bytes.Buffer
		status := command(t.Context(), given, os.Getenv, &stdout, &stderr,
			func(_ context.Context, c *config) error {
				if c.demo {
					return nil
				}
				if err := c.missing(); err != nil {
					return configError{err}
				}
				log, err := c.logger(&stderr)
				if err != nil {
					return configError{err}
				}
				if _, err := c.client(log, noMetrics, &secretFiles{}); err != nil {
					return configError{err}
				}
				r, err := relay.New(memstore.New(), &relay.Options{Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.webhook(r, &secretFiles{}); err != nil {
					return configError{err}
				}
				if c.operator != "" {
					if err := checkOperator(c.operator); err != nil {
						return configError{err}
					}
				}
				return nil
			})
		said := stderr.String()
		switch {
		case status == 0 && said == "":
		case status == 2 && strings.HasPrefix(said, "guance-relay: ") &&
			strings.Index(said, "\n") == len(said)-1:
		default:
			t.Errorf("status %d with %q", status, said)
		}
		if strings.Contains(said+stdout.String(), secret) && !strings.Contains(public, secret) {
			t.Errorf("a secret is in %q and %q", said, stdout.String())
		}
	})
}
