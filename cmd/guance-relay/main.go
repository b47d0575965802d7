// Guance-relay receives Guance webhooks, keeps them in a durable store and sends them to PagerDuty.
//
//	go run ./cmd/guance-relay -demo
//
// shows it with a fake PagerDuty and needs no account. README.md says how to connect Guance and
// PagerDuty, docs/operations.md how to run it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v3"
)

func main() {
	// Go ends a process that writes to a broken pipe on stdout or stderr (package os/signal), and
	// systemd takes that for a clean exit. A restart of journald must not end the server.
	signal.Ignore(syscall.SIGPIPE)
	// Without this, SIGHUP ends the process.
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	tuneCollector()
	// A second signal kills the process at once. Everything answered with 202 is on disk.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr, reload))
}

// run returns the exit status: 0 after a clean stop, 1 after a failure while running, 2 for a
// configuration that cannot work.
func run(ctx context.Context, args []string, stdout, stderr io.Writer,
	reload <-chan os.Signal) int {
	out, log := newLogWriter(stdout), newLogWriter(stderr)
	defer out.close()
	defer log.close()
	return command(ctx, args, os.Getenv, out, log, func(ctx context.Context, c *config) error {
		switch {
		case c.action != nil:
			return c.action(ctx, c, out)
		case c.demo && c.nodes > 1:
			return demonstrateNodes(ctx, c, out)
		case c.demo:
			return demonstrate(ctx, c, out, log)
		}
		return serve(ctx, c, log, reload)
	})
}

// command reads the configuration, calls work with it, and writes an error as one line.
func command(ctx context.Context, args []string, getenv func(string) string,
	stdout, stderr io.Writer, work func(context.Context, *config) error) int {
	// The flags are read without the environment first: -demo must start whatever is set there.
	c, err := parse(ctx, args, func(string) string { return "" }, stdout, stderr)
	if err == nil && c != nil && !c.demo {
		given := c.set
		if c, err = parse(ctx, args, getenv, stdout, stderr); c != nil {
			c.given = given
		}
	}
	if err == nil && c != nil {
		err = c.checkDemo()
	}
	switch {
	case err != nil:
		err = configError{err}
	case c != nil:
		err = work(ctx, c)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "guance-relay:", oneLine(err))
	if _, ok := errors.AsType[configError](err); ok {
		return 2
	}
	return 1
}

// parse reads flags and environment. It returns nil if it has printed the help or the version.
func parse(ctx context.Context, args []string, getenv func(string) string,
	stdout, stderr io.Writer) (*config, error) {
	c, parsed := &config{getenv: getenv}, false
	cmd := &cli.Command{
		Name:    "guance-relay",
		Usage:   "sends Guance alerts to PagerDuty",
		Version: version(),
		Description: "Process lists show flags. These secrets are read from the environment only:\n" +
			"PAGERDUTY_ROUTING_KEY, or PAGERDUTY_ROUTING_KEY_FILE to read it from a file;\n" +
			"RELAY_BASIC, a user:password that webhooks may carry;\n" +
			"RELAY_STORE, the URL of a PostgreSQL database that several processes share.\n" +
			"Prefer RELAY_TOKENS or RELAY_TOKENS_FILE to -tokens.\n" +
			"A variable that is set but empty counts as not set.\n" +
			"SIGHUP reads the file of -config and the secret files again; SIGTERM stops the server within" +
			" ten seconds.",
		HideHelpCommand: true,
		Flags:           c.flags(),
		Commands:        c.tools(),
		Writer:          stdout,
		ErrWriter:       stderr,
		ExitErrHandler:  func(context.Context, *cli.Command, error) {},
		OnUsageError: func(_ context.Context, _ *cli.Command, err error, _ bool) error {
			return err // one line, not the whole help
		},
		Action: func(_ context.Context, cmd *cli.Command) error {
			if cmd.Args().Len() > 0 {
				// The argument is not printed: it may be a token, as in "-tokens a, b".
				return errors.New("unexpected arguments; a list with spaces needs quotes")
			}
			parsed, c.set = true, cmd.IsSet
			return nil
		},
	}
	if err := cmd.Run(ctx, args); err != nil || !parsed && c.action == nil {
		return nil, err
	}
	return c, nil
}

// oneLine returns the error as one line: errors.Join and file names can hold newlines.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
