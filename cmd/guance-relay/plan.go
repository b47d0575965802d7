package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"github.com/guance-relay/guance-relay/cmd/guance-relay/internal/relayfile"
	"github.com/guance-relay/guance-relay/cmd/guance-relay/internal/watch"
	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A plan is what the server runs: one lane by the environment, or what a file says.
type plan struct {
	lanes   []plannedLane
	route   func(source string, e *guance.Event) []string // nil: every lane gets every event
	webhook func(*relay.Relay) (http.Handler, error)
	names   func(context.Context, store.Store) error // nil: nothing to check
	// received is for relay.Options.Received; nil: none.
	received func(source string, e *guance.Event, r relay.Receipt)
	store    boltstore.Options
	allow    []netip.Prefix // who may send webhooks; empty: everybody
	proxies  []netip.Prefix
	files    *secretFiles

	target, account, proxy string // for the first line of the log; empty with a file
}

type plannedLane struct {
	name string
	sink relay.Sink
	opts *relay.SinkOptions
}

// plan returns the plan of the environment: one lane to PagerDuty.
func (c *config) plan(client *pagerduty.Client, files *secretFiles) *plan {
	p := &plan{
		lanes: []plannedLane{{"pagerduty", pagerdutysink.New(client, nil),
			&relay.SinkOptions{PerMinute: c.perMinute}}},
		webhook: func(r *relay.Relay) (http.Handler, error) { return c.webhook(r, files) },
		files:   files, account: client.Account(),
	}
	p.target, p.proxy = c.target()
	p.allow, _ = networks(c.access.allow) // webhook reports the errors of both
	p.proxies, _ = networks(c.access.proxies)
	return p
}

// checkNames returns an error if a lane of a file has a name under which the store has another
// lane. Two lanes on one backlog would take it from each other.
func checkNames(ctx context.Context, db store.Store, f *relayfile.Config) error {
	renamed, err := db.Renamed(ctx)
	if err != nil {
		return err
	}
	for _, t := range f.Targets {
		if present, ok := renamed[t.Name]; ok && t.Options.Formerly != present {
			return configError{f.At(fmt.Errorf("the lane %q has this name too, as it was renamed", present),
				fmt.Sprintf("choose another name, or write formerly: %s to rename that lane back", present),
				"lanes", t.Name)}
		}
	}
	return nil
}

// filePlan returns the plan of a file. The server's own sources are added to those of the file.
func filePlan(f *relayfile.Config, own ...relay.Source) (*plan, error) {
	p := &plan{store: f.Store, allow: f.Access.Allow, proxies: f.Access.TrustedProxies,
		files: &secretFiles{}}
	p.route = func(source string, e *guance.Event) []string {
		if lanes, ok := watch.Route(source, f.Watch); ok {
			return lanes
		}
		return f.Table.Route(source, e)
	}
	for _, s := range own {
		if len(p.allow) > 0 { // or it would share its connections with strangers
			p.allow = append(slices.Clone(p.allow), s.Allow...)
		}
	}
	for _, t := range f.Targets {
		p.lanes = append(p.lanes, plannedLane{t.Name, t.Sink, t.Options})
		if t.Check != nil {
			p.files.add("the last good key stays in use", t.Check)
		}
	}
	p.names = func(ctx context.Context, db store.Store) error { return checkNames(ctx, db, f) }
	opts := f.Access.HandlerOptions
	opts.Sources = append(slices.Clone(opts.Sources), own...)
	for source, paths := range f.Access.TokenFiles {
		var files []*tokenFile
		for _, path := range paths {
			file, err := openTokenFile(path)
			if err != nil {
				return nil, f.At(err, "correct the file", "sources")
			}
			p.files.add("the last good tokens stay good", file.check)
			files = append(files, file)
		}
		tokens := func() (all []string) {
			for _, file := range files {
				all = append(all, file.tokens()...)
			}
			return all
		}
		if source == "" {
			opts.TokenSource = tokens
			continue
		}
		i := slices.IndexFunc(opts.Sources, func(s relay.Source) bool { return s.Name == source })
		opts.Sources[i].TokenSource = tokens
	}
	p.webhook = func(r *relay.Relay) (http.Handler, error) {
		h, err := relay.NewHandler(r, &opts)
		if err != nil {
			return nil, f.At(err, "correct the sources", "sources")
		}
		return h, nil
	}
	return p, nil
}
