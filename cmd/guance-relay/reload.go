package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/guance-relay/guance-relay/cmd/guance-relay/internal/relayfile"
	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A reloader puts a changed configuration file in force, as a whole or not at all.
type reloader struct {
	path      string
	maxBody   int  // if the file does not say it
	fixedBody bool // a flag or variable says it, whatever the file does
	loader    *relayfile.Loader
	relay     *relay.Relay
	store     store.Store
	gate      *gate
	files     *secretFiles
	pair      *certificate // nil: plain HTTP
	watch     *selfWatch
	conns     *connections
	log       *slog.Logger
	m         *metrics
	route     atomic.Pointer[func(string, *guance.Event) []string]

	mu      sync.Mutex // held during a reload
	current *relayfile.Config
	started *relayfile.File // the file of the start, whose store and listeners are in use

	lastMu sync.Mutex
	last   error // guarded by lastMu: of the last reload
}

// A reloaded is the answer to a reload.
type reloaded struct {
	Status   string   `json:"status"`
	Added    []string `json:"added,omitempty"`
	Replaced []string `json:"replaced,omitempty"`
	Removed  []string `json:"removed,omitempty"`
	// Restart are the parts of the file that have changed and take effect at the next start.
	Restart []string `json:"restart,omitempty"`
}

// routes is for relay.Options.Route.
func (r *reloader) routes(source string, e *guance.Event) []string {
	return (*r.route.Load())(source, e)
}

// err returns why the last reload has failed.
func (r *reloader) err() error {
	r.lastMu.Lock()
	defer r.lastMu.Unlock()
	return r.last
}

// reload reads the file and puts it in force. After an error everything is as it was.
func (r *reloader) reload(ctx context.Context) (*reloaded, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	answer, err := r.apply(ctx)
	r.m.reloaded(err == nil)
	r.lastMu.Lock()
	defer r.lastMu.Unlock()
	if err != nil {
		r.last = fmt.Errorf("the configuration of before is in force, because the last reload failed: %w",
			err)
		r.log.Error("the configuration was not reloaded; that of before stays in force",
			"error", oneLine(err))
		return nil, err
	}
	r.last = nil
	r.log.Info("the configuration was reloaded", "file", r.path, "added", answer.Added,
		"replaced", answer.Replaced, "removed", answer.Removed, "needs_restart", answer.Restart)
	return answer, nil
}

func (r *reloader) apply(ctx context.Context) (*reloaded, error) {
	next, err := r.loader.Load(r.path)
	if err != nil {
		return nil, configError{err}
	}
	if next.Access.MaxBytes == 0 || r.fixedBody {
		next.Access.MaxBytes = int64(r.maxBody)
	}
	p, err := filePlan(next, r.watch.sources...)
	if err != nil {
		return nil, configError{err}
	}
	if r.pair != nil {
		p.files.add("the last good certificate stays in use", r.pair.check)
	}
	handler, err := p.webhook(r.relay)
	if err != nil {
		return nil, configError{err}
	}
	if err := p.names(ctx, r.store); err != nil {
		return nil, err
	}
	answer := &reloaded{Status: "ok", Restart: unchangeable(r.started, next.File)}
	var changes []change
	before, after := byName(r.current.Targets), byName(next.Targets)
	for _, t := range r.current.Targets {
		if after[t.Name] == nil {
			answer.Removed = append(answer.Removed, t.Name)
		}
	}
	for _, t := range next.Targets {
		old := before[t.Name]
		switch {
		case old == nil:
			answer.Added = append(answer.Added, t.Name)
		case old.Digest == t.Digest:
			t.Sink, t.Options = old.Sink, old.Options // it goes on
			continue
		default:
			answer.Replaced = append(answer.Replaced, t.Name)
		}
		changes = append(changes, change{t, old})
	}
	// A lane that takes over another, and a fallback that moves, leave a moment in which events would
	// go nowhere. So these changes are made while the gate is shut; the others need time, and are not.
	undo := []func(context.Context) error{}
	for _, c := range changes {
		if !c.needsShutGate(before) {
			if err := r.set(ctx, c, &undo); err != nil {
				return nil, r.undo(ctx, undo, err)
			}
		}
	}
	if err := r.swap(ctx, changes, before, p.route, handler, &undo); err != nil {
		return nil, r.undo(ctx, undo, err)
	}
	for _, name := range answer.Removed {
		// One that was taken over is gone already.
		if err := r.relay.RemoveLane(ctx, name); err != nil && !errors.Is(err, relay.ErrNoLane) {
			r.log.Error("a lane without routes cannot be removed", "lane", name, "error", err.Error())
		}
	}
	r.watch.watch.Set(next.Watch)
	r.files.replace(p.files)
	r.conns.setAllow(p.allow)
	r.current = next
	return answer, nil
}

// swap makes the changes that need a shut gate, and the new routes and sources take effect.
func (r *reloader) swap(ctx context.Context, changes []change, before map[string]*relayfile.Target,
	route func(string, *guance.Event) []string, handler http.Handler,
	undo *[]func(context.Context) error) error {
	r.gate.open.Lock()
	defer r.gate.open.Unlock()
	for _, c := range changes {
		if !c.needsShutGate(before) {
			continue
		}
		if from := before[c.new.Options.Formerly]; from != nil {
			if err := r.relay.RemoveLane(ctx, from.Name); err != nil {
				return err
			}
			*undo = append(*undo, func(ctx context.Context) error {
				opts := *from.Options
				renamed, err := r.store.Renamed(ctx)
				if renamed[from.Name] == c.new.Name { // the change went that far
					opts.Formerly = c.new.Name
				}
				return errors.Join(err, r.relay.SetLane(ctx, from.Name, from.Sink, &opts))
			})
		}
	}
	for _, fallback := range []bool{false, true} { // there is never more than one
		for _, c := range changes {
			if c.needsShutGate(before) && c.new.Options.Fallback == fallback {
				if err := r.set(ctx, c, undo); err != nil {
					return err
				}
			}
		}
	}
	r.route.Store(&route)
	r.gate.h = handler
	return nil
}

// set gives the relay a lane.
func (r *reloader) set(ctx context.Context, c change, undo *[]func(context.Context) error) error {
	err := r.relay.SetLane(ctx, c.new.Name, c.new.Sink, c.new.Options)
	if err != nil {
		return err
	}
	*undo = append(*undo, func(ctx context.Context) error {
		if c.old == nil {
			return r.relay.RemoveLane(ctx, c.new.Name)
		}
		return r.relay.SetLane(ctx, c.old.Name, c.old.Sink, c.old.Options)
	})
	return nil
}

// undo takes back what was done before an error.
func (r *reloader) undo(ctx context.Context, undo []func(context.Context) error, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), operatorTimeout)
	defer cancel()
	for i := len(undo) - 1; i >= 0; i-- {
		if failed := undo[i](ctx); failed != nil {
			err = fmt.Errorf("%w; taking the change back failed, restart the server: %w", err, failed)
		}
	}
	return err
}

// A change is a lane that is new, or whose settings are.
type change struct {
	new, old *relayfile.Target // old is nil if the lane is new
}

// needsShutGate reports whether the lane takes over another one, or a fallback moves.
func (c change) needsShutGate(before map[string]*relayfile.Target) bool {
	wasFallback := c.old != nil && c.old.Options.Fallback
	return wasFallback != c.new.Options.Fallback || before[c.new.Options.Formerly] != nil
}

func byName(targets []*relayfile.Target) map[string]*relayfile.Target {
	m := make(map[string]*relayfile.Target, len(targets))
	for _, t := range targets {
		m[t.Name] = t
	}
	return m
}

// unchangeable returns the parts of the file that differ and need a restart.
func unchangeable(old, next *relayfile.File) (parts []string) {
	if !reflect.DeepEqual(old.Store, next.Store) {
		parts = append(parts, "store")
	}
	a, b := old.Listeners, next.Listeners
	a.Header, b.Header = "", "" // the handler of webhooks has it
	if !reflect.DeepEqual(a, b) {
		parts = append(parts, "listeners")
	}
	heartbeat := func(w relayfile.Watch) []any {
		return []any{w.HeartbeatURL, w.HeartbeatEvery, w.HeartbeatNetworks}
	}
	if !reflect.DeepEqual(heartbeat(old.Watch), heartbeat(next.Watch)) {
		parts = append(parts, "watch.heartbeat")
	}
	if old.Limits.MaxConnections != next.Limits.MaxConnections {
		parts = append(parts, "limits.max_connections")
	}
	return parts
}

// signalled reloads after SIGHUP. The result is in the log.
func (r *reloader) signalled(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, operatorTimeout)
	defer cancel()
	_, _ = r.reload(ctx)
}

// postReload is POST /reload. A parameter or a body is refused: there is nothing to choose.
func (o *operator) postReload(w http.ResponseWriter, req *http.Request) {
	if req.URL.RawQuery != "" || req.Body != http.NoBody {
		writeStatus(w, http.StatusBadRequest, "error", "a reload has no parameters and no body")
		return
	}
	if o.reload == nil {
		writeStatus(w, http.StatusNotFound, "error",
			"the server runs without -config: there is nothing to reload")
		return
	}
	// A client that goes away must not leave the reload half done.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), operatorTimeout)
	defer cancel()
	answer, err := o.reload(ctx)
	if _, bad := errors.AsType[configError](err); bad {
		writeStatus(w, http.StatusBadRequest, "error",
			"not reloaded, the configuration of before is in force: "+err.Error())
		return
	}
	if err != nil {
		writeStatus(w, http.StatusServiceUnavailable, "error", err.Error())
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// fromFile takes the settings of a file that neither flag nor variable has.
func (c *config) fromFile(f *relayfile.File) error {
	for _, name := range []string{"tokens", "tokens-file", "header", "allow", "trusted-proxies",
		"no-auth", "pagerduty-region", "pagerduty-url", "pagerduty-per-minute"} {
		if c.given(name) {
			return fmt.Errorf("-%s has no effect with -config; remove it, and write it into %s", name,
				c.file)
		}
	}
	for _, s := range []struct {
		flag, value string
		dst         *string
	}{
		{"listen", f.Listeners.Webhook, &c.listen}, {"operator", f.Listeners.Operator, &c.operator},
		{"metrics", f.Listeners.Metrics, &c.metrics},
		{"data", f.Store.Directory, &c.data},
		{"tls-cert", f.Listeners.TLSCert, &c.tlsCert}, {"tls-key", f.Listeners.TLSKey, &c.tlsKey},
	} {
		if !c.set(s.flag) && s.value != "" {
			*s.dst = s.value
		}
	}
	if !c.set("max-body") && f.Limits.MaxBody > 0 {
		c.maxBody = f.Limits.MaxBody
	}
	if !c.set("max-connections") && f.Limits.MaxConnections > 0 {
		c.maxConnections = f.Limits.MaxConnections
	}
	return nil
}
