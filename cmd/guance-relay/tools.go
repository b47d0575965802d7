package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/guance-relay/guance-relay/cmd/guance-relay/internal/relayfile"
	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

// An action is a subcommand. An error of the configuration is status 2, any other is status 1.
type action func(ctx context.Context, c *config, stdout io.Writer) error

// subcommand returns a subcommand that does something with so many arguments.
func (c *config) subcommand(name, usage, arguments string, least, most int, do action,
	flags ...cli.Flag) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage, ArgsUsage: arguments, Flags: flags, HideHelpCommand: true,
		OnUsageError: func(_ context.Context, _ *cli.Command, err error, _ bool) error { return err },
		Action: func(_ context.Context, cmd *cli.Command) error {
			c.args, c.set, c.action = cmd.Args().Slice(), cmd.IsSet, do
			switch {
			case c.demo:
				return errors.New("-demo needs no subcommand")
			case len(c.args) > most || len(c.args) < least:
				return fmt.Errorf("%s takes these arguments: -config relay.yaml %s", name, arguments)
			}
			return nil
		},
	}
}

// tools are the subcommands. They start no server.
func (c *config) tools() []*cli.Command {
	var lane, source string
	tool := func(name, usage, arguments string, most int, do action,
		flags ...cli.Flag) *cli.Command {
		onFile := func(ctx context.Context, c *config, stdout io.Writer) error {
			if c.file == "" {
				return configError{fmt.Errorf("%s needs -config, or RELAY_CONFIG", name)}
			}
			return do(ctx, c, stdout)
		}
		return c.subcommand(name, usage, arguments, min(most, 1), most, onFile, flags...)
	}
	return append([]*cli.Command{
		tool("check", "validates the file, shows the routes, and tries each target without paging",
			"", 0, check),
		tool("explain", "says which lanes would get the events of a file, and the bodies; sends nothing",
			"event.json ...", 1000, func(ctx context.Context, c *config, stdout io.Writer) error {
				return explain(ctx, c, stdout, source, c.args, time.Now())
			},
			&cli.StringFlag{Name: "source", Usage: "`name` of the source that sends the events",
				Destination: &source}),
		{
			Name: "routes", Usage: "tests the routes", HideHelpCommand: true,
			Action: func(context.Context, *cli.Command) error {
				return errors.New("there is one subcommand: routes test -config relay.yaml cases.yaml")
			},
			Commands: []*cli.Command{tool("test", "compares the routes with a table of cases",
				"cases.yaml ...", 1000, func(_ context.Context, c *config, stdout io.Writer) error {
					return testRoutes(c, stdout, c.args)
				})},
		},
		tool("send-test", "opens and resolves a marked incident in a lane", "", 0,
			func(ctx context.Context, c *config, stdout io.Writer) error {
				return sendTest(ctx, c, stdout, lane)
			},
			&cli.StringFlag{Name: "lane", Usage: "`name` of the lane", Destination: &lane}),
	}, c.backupTools()...)
}

// load reads the configuration file of a subcommand.
func (c *config) load(loader *relayfile.Loader) (*relayfile.Config, error) {
	loader.Getenv = c.getenv
	f, err := loader.Load(c.file)
	if err != nil {
		return nil, configError{err}
	}
	p, err := filePlan(f)
	if err != nil {
		return nil, configError{err}
	}
	if f.Access.MaxBytes == 0 {
		f.Access.MaxBytes = int64(c.maxBody)
	}
	r, err := relay.New(memstore.New(), nil) // the rules of a handler need no events
	if err != nil {
		return nil, err
	}
	if _, err := p.webhook(r); err != nil {
		return nil, configError{err}
	}
	return f, nil
}

// tryTime is how long a target may take to answer check.
const tryTime = 15 * time.Second

// check validates the file and tries each target.
func check(ctx context.Context, c *config, stdout io.Writer) error {
	f, err := c.load(&relayfile.Loader{})
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s is valid.\n\nRoutes:\n%s\nTargets:\n", c.file, f.Redact(f.Table.String()))
	failed := 0
	for _, t := range f.Targets {
		trying, cancel := context.WithTimeout(ctx, tryTime)
		said, err := t.Try(trying)
		cancel()
		if err != nil {
			failed++
			said = "FAILED: " + oneLine(err)
			if fix, ok := errors.AsType[remedied](err); ok && fix.Remedy() != "" {
				said += "; " + fix.Remedy()
			}
		}
		fmt.Fprintf(stdout, "%s (%s, %s): %s\n", t.Name, t.Type, t.Address,
			strings.Map(printable, f.Redact(said)))
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d targets failed", failed, len(f.Targets))
	}
	return nil
}

// A remedied error says what to do.
type remedied interface {
	error
	Remedy() string
}

// explain says what would become of the events in files.
func explain(ctx context.Context, c *config, stdout io.Writer, source string, files []string,
	now time.Time) error {
	e := relayfile.NewExplainer(now)
	f, err := c.load(e.Loader())
	if err != nil {
		return err
	}
	if source, err = f.Source(source); err != nil {
		return configError{fmt.Errorf("-source: %w", err)}
	}
	for _, name := range files {
		events, err := readEvents(name)
		if err != nil {
			return configError{err}
		}
		for i, ev := range events {
			title := filepath.Base(name)
			if len(events) > 1 {
				title += fmt.Sprintf(", event %d of %d", i+1, len(events))
			}
			text := title + "\n" + e.Explain(ctx, f, source, ev)
			fmt.Fprintln(stdout, strings.Map(printable, f.Redact(text)))
		}
	}
	return nil
}

// readEvents reads a webhook's body.
func readEvents(name string) ([]*guance.Event, error) {
	body, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	events, err := guance.Decode(body, "application/json")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return events, nil
}

// testRoutes compares the routes with tables of cases.
func testRoutes(c *config, stdout io.Writer, files []string) error {
	f, err := c.load(&relayfile.Loader{})
	if err != nil {
		return err
	}
	count, failed := 0, 0
	for _, name := range files {
		cases, err := relayfile.LoadCases(name, f)
		if err != nil {
			return configError{err}
		}
		for _, test := range cases {
			count++
			got := f.Table.Decide(test.Source, test.Event).Lanes
			slices.Sort(got)
			want := slices.Sorted(slices.Values(test.Lanes))
			if slices.Equal(got, want) {
				continue
			}
			failed++
			fmt.Fprintf(stdout, "%s: %s: goes to %s, want %s\n", test.Place, test.Name,
				relayfile.LaneNames(got), relayfile.LaneNames(want))
		}
	}
	fmt.Fprintf(stdout, "%d cases, %d failed\n", count, failed)
	if failed > 0 {
		return fmt.Errorf("%d of %d cases failed", failed, count)
	}
	return nil
}

// sendTest opens and resolves an incident in a lane, past the store and the routes.
func sendTest(ctx context.Context, c *config, stdout io.Writer, lane string) error {
	f, err := c.load(&relayfile.Loader{})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(f.Targets, func(t *relayfile.Target) bool { return t.Name == lane })
	if i < 0 {
		var names []string
		for _, t := range f.Targets {
			names = append(names, t.Name)
		}
		return configError{fmt.Errorf("-lane %q: there is no such lane; the lanes are %s", lane,
			strings.Join(names, ", "))}
	}
	t := f.Targets[i]
	for _, step := range relayfile.TestEvents(time.Now()) {
		if ignorer, ok := relay.SinkAs[relay.Ignorer](t.Sink); ok {
			if reason := ignorer.Ignores(step.Event); reason != "" {
				return fmt.Errorf("lane %s ignores the %s: %s", lane, step.What, reason)
			}
		}
		sending, cancel := context.WithTimeout(ctx, 30*time.Second)
		err := t.Sink.Deliver(sending, step.Delivery(lane))
		cancel()
		if err != nil {
			return fmt.Errorf("lane %s: the %s was not sent: %s", lane, step.What,
				f.Redact(err.Error()))
		}
		fmt.Fprintf(stdout, "%s: the %s was sent to %s\n", lane, step.What, t.Address)
	}
	return nil
}
