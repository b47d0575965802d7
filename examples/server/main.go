// Server is the ready-made relay: Guance's webhook in, PagerDuty's Events API v2 out, and a durable queue between.
//
//	go run ./examples/server -demo
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	tuneCollector()
	context.AfterFunc(ctx, stop) // a second signal kills, as an operator in a hurry expects: what was answered with 202 is on the disk
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// run is main without the process: 0 after a clean stop, 1 after a failure at work, 2 for a configuration that cannot work.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return command(ctx, args, stdout, stderr, func(ctx context.Context, c *config) error {
		if c.demo || c.empty() {
			return demonstrate(ctx, c, stdout, stderr)
		}
		return serve(ctx, c, stderr)
	})
}

// command reads the configuration, works by it, and reports in one line what went wrong.
func command(ctx context.Context, args []string, stdout, stderr io.Writer, work func(context.Context, *config) error) int {
	working := false // whether the configuration was read without an error
	var c config
	cmd := &cli.Command{
		Name:            "server",
		Usage:           "brings Guance alerts to PagerDuty",
		Description:     "Secrets come from the environment alone, as process lists show flags:\nPAGERDUTY_ROUTING_KEY, or PAGERDUTY_ROUTING_KEY_FILE to read it from a file;\nRELAY_BASIC, a user:password that webhooks may carry.\nWithout any configuration it runs a demonstration against a built-in fake PagerDuty.",
		HideHelpCommand: true,
		Flags:           c.flags(),
		Writer:          stdout,
		ErrWriter:       stderr,
		ExitErrHandler:  func(context.Context, *cli.Command, error) {},
		OnUsageError:    func(_ context.Context, _ *cli.Command, err error, _ bool) error { return err }, // one line, not the whole usage
		Action: func(ctx context.Context, cmd *cli.Command) error {
			working = true
			if cmd.Args().Len() > 0 {
				// Not shown: after a comma and a space, it is the second of two tokens.
				return configError{errors.New("there are arguments that are no flags; a list with spaces needs quotes")}
			}
			return work(ctx, &c)
		},
	}
	err := cmd.Run(ctx, args)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "server:", strings.ReplaceAll(err.Error(), "\n", "; ")) // errors.Join and names of files have several lines
	if _, ok := errors.AsType[configError](err); ok || !working {
		return 2
	}
	return 1
}
