// Server is the ready-made relay: Guance's webhook in, PagerDuty's Events API v2 out, and a durable queue between.
//
//	go run ./cmd/guance-relay -demo
//
// shows it at work without an account. The README tells how to point Guance and PagerDuty at it.
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
	// The end of the log's reader must not be the end of the server. Go ends a process by SIGPIPE when it writes to a broken pipe on
	// descriptor 1 or 2 (package os/signal), and systemd takes that for a clean end.
	signal.Ignore(syscall.SIGPIPE)
	// SIGHUP ends a process that does not ask for it.
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	tuneCollector()
	context.AfterFunc(ctx, stop) // a second signal kills, as an operator in a hurry expects: what was answered with 202 is on the disk
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr, reload))
}

// run is main without the process: 0 after a clean stop, 1 after a failure at work, 2 for a configuration that cannot work.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, reload <-chan os.Signal) int {
	out, log := newLogWriter(stdout), newLogWriter(stderr)
	defer out.close()
	defer log.close()
	return command(ctx, args, os.Getenv, out, log, func(ctx context.Context, c *config) error {
		if c.demo {
			return demonstrate(ctx, c, out, log)
		}
		return serve(ctx, c, log, reload)
	})
}

// command reads the configuration, works by it, and reports in one line what went wrong.
//
// The flags are read twice, first without the environment: a demonstration must start whatever the environment holds.
func command(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer, work func(context.Context, *config) error) int {
	working := false // whether the configuration was read without an error
	read := func(getenv func(string) string, then func(context.Context, *config) error) error {
		c := config{getenv: getenv}
		cmd := &cli.Command{
			Name:    "server",
			Usage:   "brings Guance alerts to PagerDuty",
			Version: version(),
			Description: "The environment alone has what process lists must not show:\n" +
				"PAGERDUTY_ROUTING_KEY, or PAGERDUTY_ROUTING_KEY_FILE to read it from a file;\n" +
				"RELAY_BASIC, a user:password that webhooks may carry.\n" +
				"Process lists show flags, so set RELAY_TOKENS or RELAY_TOKENS_FILE rather than -tokens.\n" +
				"A variable that is set and empty counts as not set.\n" +
				"SIGHUP reads the files of secrets again; SIGTERM stops the server within ten seconds.",
			HideHelpCommand: true,
			Flags:           c.flags(),
			Writer:          stdout,
			ErrWriter:       stderr,
			ExitErrHandler:  func(context.Context, *cli.Command, error) {},
			OnUsageError:    func(_ context.Context, _ *cli.Command, err error, _ bool) error { return err }, // one line, not the whole usage
			Action: func(ctx context.Context, cmd *cli.Command) error {
				if cmd.Args().Len() > 0 {
					// Not shown: after a comma and a space, it is the second of two tokens.
					return errors.New("there are arguments that are no flags; a list with spaces needs quotes")
				}
				return then(ctx, &c)
			},
		}
		return cmd.Run(ctx, args)
	}
	begin := func(ctx context.Context, c *config) error {
		working = true
		return work(ctx, c)
	}
	err := read(func(string) string { return "" }, func(ctx context.Context, c *config) error {
		if c.demo {
			return begin(ctx, c)
		}
		return read(getenv, begin)
	})
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "server:", oneLine(err))
	if _, ok := errors.AsType[configError](err); ok || !working {
		return 2
	}
	return 1
}

// oneLine is an error in one line: those of errors.Join, and names of files, have several.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
