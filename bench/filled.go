package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// backlogLane is the lane of every backlog: that of cmd/guance-relay.
const backlogLane = "pagerduty"

// filled returns the directory of a store with n pending entries of n problems. Each n is filled
// once for the whole run, in the directory that removeBuilt removes: whoever has a lane run over it
// leaves as many as there were, give or take those of a minute's budget.
func filled(n int) (string, error) {
	built.mu.Lock()
	defer built.mu.Unlock()
	if err := makeBuilt(); err != nil {
		return "", err
	}
	dir := filepath.Join(built.dir, fmt.Sprint("backlog-", n))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	s, err := openFor(dir, n)
	if err != nil {
		return "", err
	}
	return dir, errors.Join(filling{events: n, problems: n}.into(s), s.Close())
}

// openFor opens a store that may hold a backlog of n, and as much again of what comes meanwhile.
func openFor(dir string, n int) (*boltstore.Store, error) {
	most := 2*n + 1_000_000
	return boltstore.Open(dir, &boltstore.Options{
		MaxEntries: most, MaxLaneEntries: most, MaxBytes: 16 << 30,
	})
}

// A filling is how a store is filled: the events are numbered from first, and of so many problems
// in turn. They come one by one from several callers, as webhooks do: many to an append would fill
// a file sooner, and one that looks otherwise.
type filling struct{ first, events, problems int }

const fillers = 64

func (f filling) into(s store.Store) error {
	m, err := newMint(guance.LevelError)
	if err != nil {
		return err
	}
	errs := make([]error, fillers)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for n := i; n < f.events && errs[i] == nil; n += fillers {
				errs[i] = s.Append(context.Background(), &store.Batch{
					Events: []*store.Event{m.entry(uint64(f.first+n), uint64(n%f.problems))},
				})
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// drain settles everything that a store has.
func drain(s store.Store) error {
	return readAll(context.Background(), s, func(lane store.Lane, entries []*store.Entry) error {
		marks := make([]store.Mark, len(entries))
		for i, e := range entries {
			marks[i] = store.Mark{Seq: e.Seq, Problem: e.Problem, State: e.State, Level: e.Level,
				Time: e.Time, Outcome: store.Superseded, At: time.Now()}
		}
		return lane.Mark(context.Background(), marks)
	})
}

// readAll calls fn with all that is pending, a thousand at a time.
func readAll(ctx context.Context, s store.Store, fn func(store.Lane, []*store.Entry) error) error {
	held, err := s.Holdings(ctx)
	if err != nil {
		return err
	}
	lease, err := s.Acquire(ctx, store.Group{Name: backlogLane, Lanes: []string{backlogLane}})
	if err != nil {
		return err
	}
	lane := lease.Lane(backlogLane)
	after := uint64(0)
	for left := held[backlogLane].Pending; left > 0; {
		entries, err := lane.Read(ctx, after, 1000)
		if err != nil {
			return err
		}
		if err := fn(lane, entries); err != nil {
			return err
		}
		after = entries[len(entries)-1].Seq
		left -= len(entries)
	}
	return lease.Release()
}

// A mint makes events of one kind that differ in their numbers: of the event, and of the problem.
// It is safe for concurrent use.
type mint struct {
	body, key, id string // with marks
	bytes         []byte // the body
	event         guance.Event
}

func newMint(level guance.Level) (*mint, error) {
	body := webhook(level)
	events, err := guance.Decode(body, "application/json")
	if err != nil {
		return nil, err
	}
	m := &mint{body: string(body), bytes: body, key: events[0].ProblemKey(),
		id: relay.EventID("", events[0]), event: *events[0]}
	if !strings.Contains(m.key, problemMark) || !strings.Contains(m.id, eventMark) {
		return nil, fmt.Errorf("the problem key %q or the event's ID %q has no mark", m.key, m.id)
	}
	return m, nil
}

// stamp puts numbers in the place of the marks, as a load does.
func stamp(text string, event, problem uint64) string {
	text = strings.ReplaceAll(text, eventMark, fmt.Sprintf("%012d", event))
	return strings.ReplaceAll(text, problemMark, fmt.Sprintf("%012d", problem))
}

func (m *mint) entry(event, problem uint64) *store.Event {
	return &store.Event{
		ID: stamp(m.id, event, problem), Problem: stamp(m.key, event, problem),
		State: guance.StateProblem, Level: m.event.Level(),
		Time: m.event.Time(), Accepted: time.Now(), Body: []byte(stamp(m.body, event, problem)),
		Wanted: []store.Offer{{Lane: backlogLane}},
	}
}

// decoded returns an event as a handler has it.
func (m *mint) decoded(event, problem uint64) (*guance.Event, error) {
	events, err := guance.Decode([]byte(stamp(m.body, event, problem)), "application/json")
	if err != nil {
		return nil, err
	}
	return events[0], nil
}

// same returns an entry whose body is that of every other: it is made in no time.
func (m *mint) same(event, problem uint64) *store.Event {
	now := time.Now()
	return &store.Event{
		ID:      fmt.Sprintf("event-%012d/critical/", event),
		Problem: fmt.Sprintf("0f8e5a1c9d3b4e7f8a6c2d1b-%012d", problem),
		State:   guance.StateProblem, Level: m.event.Level(), Time: now, Accepted: now,
		Body: m.bytes, Wanted: []store.Offer{{Lane: backlogLane}},
	}
}
