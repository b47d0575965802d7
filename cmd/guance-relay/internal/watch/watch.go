// Package watch reports the relay's own trouble as an event of its own, through a lane of the
// relay, and tells a dead-man's switch that alerts get through.
//
// [Policy] decides, and has neither clock nor I/O. [Watch] reads the figures and sends the reports.
// [Heartbeat] sends a synthetic webhook through the whole relay.
//
// Reports come from [Source], and synthetic webhooks from [HeartbeatSource]. Nothing that the watch
// judges counts them: not an alert that no lane takes, not a webhook of Guance, not a dead letter.
// So a report causes no report.
package watch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/store"
)

const (
	// Source is the source of the reports.
	Source = "relay-watch"
	// HeartbeatSource is the source of synthetic webhooks.
	HeartbeatSource = "relay-heartbeat"
	// HeartbeatLane is the lane that synthetic webhooks go to.
	HeartbeatLane = "relay-heartbeat"
)

const (
	interval     = 15 * time.Second // between two judgements
	judgeTimeout = 10 * time.Second // for one
)

// A Relay is what a Watch needs of a relay.Relay.
type Relay interface {
	Stats() relay.Stats
	Explain(ctx context.Context, problem string) ([]relay.ProblemHistory, error)
	AcceptFrom(ctx context.Context, source string, events ...*guance.Event) ([]relay.Receipt, error)
}

// A Store is what a Watch needs of a store.Store.
type Store interface {
	Holdings(ctx context.Context) (map[string]store.Holdings, error)
	DeadLetters(ctx context.Context, lane string, after uint64, limit int) ([]store.Settlement, error)
	OpenProblems(
		ctx context.Context, lane, from string, limit int,
	) (open []store.OpenProblem, next string, err error)
}

// Options are what a [Watch] watches.
type Options struct {
	Log  *slog.Logger
	Node string // shown to people
	// MaxEntries and MaxLaneEntries are the bounds of the store.
	MaxEntries, MaxLaneEntries int
}

// A Watch reports trouble. Its methods may be called concurrently.
type Watch struct {
	opts        Options
	began       time.Time
	settings    atomic.Pointer[Settings] // nil: nothing is reported
	full        func() (int, string)     // nil: it is not known
	unrouted    atomic.Uint64
	lastWebhook atomic.Int64 // since began
	laneStuck   atomic.Bool
}

// New returns a Watch without settings.
func New(opts Options) *Watch { return &Watch{opts: opts, began: time.Now()} }

// Set changes the settings; nil: nothing is reported.
func (w *Watch) Set(s *Settings) { w.settings.Store(s) }

// SetFull says how full the store is in other ways than events, in percent, and what that means. It
// must come before Run.
func (w *Watch) SetFull(full func() (percent int, what string)) { w.full = full }

// LaneStuck reports whether reports cannot get through, as their lane is stuck.
func (w *Watch) LaneStuck() bool { return w.laneStuck.Load() }

// Received is for relay.Options.Received.
func (w *Watch) Received(source string, _ *guance.Event, r relay.Receipt) {
	if Own(source) {
		return
	}
	w.lastWebhook.Store(max(int64(time.Since(w.began)), 1))
	if r.Fate == "unrouted" {
		w.unrouted.Add(1)
	}
}

// Own reports whether events of a source are the watch's.
func Own(source string) bool { return source == Source || source == HeartbeatSource }

// Route returns the lanes that events of the watch go to. ok is false for events of others.
func Route(source string, s *Settings) (lanes []string, ok bool) {
	switch {
	case source == HeartbeatSource:
		return []string{HeartbeatLane}, true
	case source != Source:
		return nil, false
	case s == nil:
		return nil, true
	}
	return []string{s.Lane}, true
}

// Run judges and reports until ctx ends.
func (w *Watch) Run(ctx context.Context, r Relay, db Store) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	policy, adopted := NewPolicy(), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s := w.settings.Load()
		if s == nil {
			continue
		}
		judging, cancel := context.WithTimeout(ctx, judgeTimeout)
		var err error
		if !adopted {
			err = w.adopt(judging, r, db, policy, s)
			adopted = err == nil
		}
		if err == nil {
			err = w.judge(judging, r, db, policy, s)
		}
		cancel()
		if err != nil && ctx.Err() == nil {
			w.opts.Log.Error("the watch cannot report trouble; it tries again", "error", err.Error())
		}
	}
}

func (w *Watch) judge(ctx context.Context, r Relay, db Store, p *Policy, s *Settings) error {
	f, err := w.figures(ctx, r, db)
	if err != nil {
		return err
	}
	now := time.Since(w.began)
	reports := p.Judge(now, s, f)
	w.laneStuck.Store(p.LaneStuck())
	for _, report := range reports {
		receipts, err := r.AcceptFrom(ctx, Source, w.event(report))
		if err != nil {
			return err
		}
		p.Reported(report, now)
		log := w.opts.Log.Error
		if report.Over {
			log = w.opts.Log.Info
		}
		log("watch: "+report.Title, "problem", receipts[0].Problem, "lane", s.Lane,
			"fate", receipts[0].Fate)
	}
	return nil
}

// figures reads what there is to judge.
func (w *Watch) figures(ctx context.Context, r Relay, db Store) (*Figures, error) {
	held, err := db.Holdings(ctx)
	if err != nil {
		return nil, err
	}
	f := &Figures{Unrouted: w.unrouted.Load(), LastWebhook: time.Duration(w.lastWebhook.Load())}
	full := func(percent int, what string) {
		if percent > f.Full {
			f.Full, f.What = percent, what
		}
	}
	pending := 0
	for _, l := range r.Stats().Lanes {
		has := held[l.Name]
		pending += has.Pending
		if l.Name == HeartbeatLane {
			continue
		}
		if has.Dead > 0 {
			others, err := anyOfOthers(ctx, db, l.Name)
			if err != nil {
				return nil, err
			}
			if !others {
				has.Dead = 0
			}
		}
		idle := l.State == relay.Held || l.State == relay.NoSink || l.State == relay.Stopped
		f.Lanes = append(f.Lanes, Lane{
			Name: l.Name, Pending: has.Pending, Taken: l.Delivered, Dead: has.Dead, Idle: idle,
		})
		if w.opts.MaxLaneEntries > 0 {
			full(100*has.Pending/w.opts.MaxLaneEntries, fmt.Sprintf(
				"%d events that lane %s may have pending", w.opts.MaxLaneEntries, l.Name))
		}
	}
	if w.opts.MaxEntries > 0 {
		full(100*pending/w.opts.MaxEntries, fmt.Sprintf("%d events that may be pending",
			w.opts.MaxEntries))
	}
	if w.full != nil {
		full(w.full())
	}
	return f, nil
}

// ownProblems is what the problem keys of reports begin with.
var ownProblems = relay.ProblemKey(Source, "")

// anyOfOthers reports whether a lane has a dead letter that is no report.
func anyOfOthers(ctx context.Context, db Store, lane string) (bool, error) {
	const page = 8 // a body has up to a mebibyte
	for after := uint64(0); ; {
		dead, err := db.DeadLetters(ctx, lane, after, page)
		if errors.Is(err, store.ErrDamaged) {
			return true, nil // whose it is cannot be read
		}
		if err != nil || len(dead) == 0 {
			return false, err
		}
		for _, d := range dead {
			if after = d.Seq; !strings.HasPrefix(d.Problem, ownProblems) {
				return true, nil
			}
		}
	}
}

// adopt finds the reports of an earlier process that are not over.
func (w *Watch) adopt(ctx context.Context, r Relay, db Store, p *Policy, s *Settings) error {
	now := time.Since(w.began)
	for from, more := "", true; more; more = from != "" {
		open, next, err := db.OpenProblems(ctx, s.Lane, from, 1000)
		if err != nil {
			return err
		}
		for _, o := range open {
			if key, own := strings.CutPrefix(o.Problem, ownProblems); own {
				p.Adopt(key, now)
			}
		}
		from = next
	}
	keys := []string{unroutedKind, silenceKind, fullKind}
	for _, l := range r.Stats().Lanes {
		keys = append(keys, deadKind+"/"+l.Name, stuckKind+"/"+l.Name)
	}
	for _, key := range keys { // those that were not sent yet
		histories, err := r.Explain(ctx, relay.ProblemKey(Source, key))
		if err != nil {
			return err
		}
		for _, h := range histories {
			for _, e := range h.Entries {
				if e.Outcome == 0 && e.State == guance.StateProblem {
					p.Adopt(key, now)
				}
			}
		}
	}
	return nil
}

// event returns the event of a report.
func (w *Watch) event(r Report) *guance.Event {
	status := guance.StatusCritical
	if r.Over {
		status = guance.StatusOK
	}
	kind, lane, _ := strings.Cut(r.Key, "/")
	now := time.Now()
	return &guance.Event{
		Status: status, EventID: "watch-" + rand.Text(), EventRef: r.Key, Timestamp: now, Date: now,
		Title: "guance-relay: " + r.Title, Message: r.Message, Source: "custom",
		CheckerName:   "guance-relay watch",
		DimensionTags: map[string]string{"relay_node": w.opts.Node, "trouble": kind, "lane": lane},
	}
}
