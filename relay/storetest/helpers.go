package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// noon is when all events of the checks happen. It has nanoseconds, as a store must keep them. It
// is not long ago, as a store may delete what is old.
var noon = time.Now().UTC().Truncate(time.Hour).Add(-3*time.Hour + 123456789)

const lane = "lane" // where a check needs one lane

// event returns an entry of a problem in one lane, with a body that no other entry has.
func event(lane, id, problem string) *store.Entry {
	return &store.Entry{
		Lane: lane, ID: id, Problem: problem,
		State: guance.StateProblem, Level: guance.LevelCritical,
		Time: noon, Accepted: noon.Add(time.Second),
		Body: fmt.Appendf(nil, `{"id":%q,"problem":%q}`, id, problem),
	}
}

// events returns n entries of one problem each.
func events(lane string, n int) []*store.Entry {
	list := make([]*store.Entry, n)
	for i := range list {
		list[i] = event(lane, fmt.Sprint("id-", i), fmt.Sprint(lane, "-problem-", i))
	}
	return list
}

// mark returns a mark of an entry. Each outcome has a time of its own.
func mark(e *store.Entry, o store.Outcome, reason string) store.Mark {
	return store.Mark{
		Seq: e.Seq, Problem: e.Problem, State: e.State, Level: e.Level, Time: e.Time,
		Outcome: o, Reason: reason, At: noon.Add(time.Minute + time.Duration(o)*time.Second),
	}
}

// eventOf returns an event that becomes the entry e. Its source has the name of the lane, so that
// each lane has event IDs of its own.
func eventOf(e *store.Entry) *store.Event {
	return &store.Event{
		Source: e.Lane, ID: e.ID, Problem: e.Problem, State: e.State, Level: e.Level, Time: e.Time,
		Accepted: e.Accepted, Trace: e.Trace, Body: e.Body, Wanted: []store.Offer{{Lane: e.Lane}},
	}
}

// batchOf returns a batch that becomes these entries.
func batchOf(entries ...*store.Entry) *store.Batch {
	b := &store.Batch{}
	for _, e := range entries {
		b.Events = append(b.Events, eventOf(e))
	}
	return b
}

// append appends entries, each as an event of its own, and sets their sequence numbers: 0 means
// that the event is a duplicate.
func (r *run) append(entries ...*store.Entry) {
	b := batchOf(entries...)
	r.appendBatch(b)
	for i, e := range entries {
		ev := b.Events[i]
		if e.Seq = 0; ev.Duplicate {
			continue
		}
		want := store.Placement{Lane: e.Lane, Seq: seqIn(ev, e.Lane)}
		if len(ev.Placed) != 1 || ev.Placed[0] != want || want.Seq == 0 {
			r.errorf("Append of an event that one lane wants: placed as %+v, want lane %q alone",
				ev.Placed, e.Lane)
		}
		e.Seq = want.Seq
	}
}

// ignore appends an entry that its sink ignores.
func (r *run) ignore(e *store.Entry, reason string) {
	ev := eventOf(e)
	ev.Wanted[0].Ignored = reason
	r.appendBatch(&store.Batch{Events: []*store.Event{ev}})
	e.Seq = seqIn(ev, e.Lane)
}

func (r *run) appendBatch(b *store.Batch) {
	if err := r.store.Append(r.ctx, b); err != nil {
		r.fatalf("Append of %d events: %v", len(b.Events), err)
	}
	for _, e := range b.Events {
		if e.Duplicate && len(e.Placed) > 0 {
			r.errorf("Append: a duplicate was placed as %+v", e.Placed)
		}
	}
}

// seqIn returns the sequence number of an event in a lane; 0 if it is not there.
func seqIn(e *store.Event, lane string) uint64 {
	for _, p := range e.Placed {
		if p.Lane == lane {
			return p.Seq
		}
	}
	return 0
}

// lease acquires lanes as one group.
func (r *run) lease(lanes ...string) store.Lease {
	l, err := r.store.Acquire(r.ctx, store.Group{Name: lanes[0], Lanes: lanes})
	if err != nil {
		r.fatalf("Acquire: %v", err)
	}
	return l
}

// acquire acquires one lane.
func (r *run) acquire(lane string) store.Lane { return r.lease(lane).Lane(lane) }

func (r *run) mark(l store.Lane, marks ...store.Mark) {
	if err := l.Mark(r.ctx, marks); err != nil {
		r.fatalf("Mark of %d entries: %v", len(marks), err)
	}
}

// read reads until it has n entries.
func (r *run) read(l store.Lane, after uint64, n int) (found []*store.Entry) {
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	for len(found) < n {
		batch, err := l.Read(ctx, after, n-len(found))
		if err != nil {
			r.fatalf("Read after %d, with %d of %d entries read: %v", after, len(found), n, err)
		}
		if len(batch) == 0 || len(batch) > n-len(found) {
			r.fatalf("Read of up to %d entries: got %d", n-len(found), len(batch))
		}
		for _, e := range batch {
			if e.Seq <= after {
				r.fatalf("Read after %d: got entry %d", after, e.Seq)
			}
			after = e.Seq
		}
		found = append(found, batch...)
	}
	return found
}

// nothing checks that there is nothing to read.
func (r *run) nothing(l store.Lane, after uint64) {
	ctx, cancel := context.WithTimeout(r.ctx, moment)
	defer cancel()
	if found, err := l.Read(ctx, after, 10); !errors.Is(err, context.DeadlineExceeded) {
		r.errorf("Read after %d, where there is nothing: got %s, %v; want it to wait for the end "+
			"of its context", after, seqs(found), err)
	}
}

// pending acquires a lane and checks which entries are unsettled.
func (r *run) pending(lane string, want ...*store.Entry) store.Lane {
	l := r.acquire(lane)
	last := uint64(0)
	if len(want) > 0 {
		got := r.read(l, 0, len(want))
		last = got[len(got)-1].Seq
		for i := range want {
			if got[i].Seq != want[i].Seq {
				r.fatalf("unsettled entries of %s: got %s, want %s", lane, seqs(got), seqs(want))
			}
		}
	}
	r.nothing(l, last)
	return l
}

func (r *run) history(lane, problem string) []store.Settlement {
	h, err := r.store.History(r.ctx, lane, problem)
	if err != nil {
		r.fatalf("History: %v", err)
	}
	return h
}

// ended checks that an entry is the only one of its problem that is settled, and how.
func (r *run) ended(e *store.Entry, o store.Outcome, reason string, at time.Time) {
	h := r.history(e.Lane, e.Problem)
	if len(h) != 1 {
		r.errorf("History of %q: got %d settlements, want 1 %v", e.Problem, len(h), o)
		return
	}
	r.settlement(h[0], e, o, reason, at, false)
}

func (r *run) settlement(
	got store.Settlement, e *store.Entry, o store.Outcome, reason string, at time.Time, body bool,
) {
	if got.Outcome != o || got.Reason != reason || !got.At.Equal(at) {
		r.errorf("entry %d: got %v, %q at %v; want %v, %q at %v", e.Seq, got.Outcome, got.Reason,
			got.At, o, reason, at)
	}
	r.same(&got.Entry, e)
	switch {
	case !body && got.Body != nil:
		r.errorf("entry %d: its settlement has a body", e.Seq)
	case body && !bytes.Equal(got.Body, e.Body):
		r.errorf("entry %d: got the body %.100q, want %.100q", e.Seq, got.Body, e.Body)
	}
}

// same checks that an entry is as it was appended. It ignores the body, Begun, Failed, and Kept if
// it is not known.
func (r *run) same(got, want *store.Entry) {
	type identity struct {
		lane           string
		seq            uint64
		id, problem    string
		state          guance.State
		level          guance.Level
		time, accepted int64
		zero           bool
		kept           time.Duration
		trace          string
		sticky         bool
	}
	of := func(e *store.Entry) identity {
		id := identity{
			e.Lane, e.Seq, e.ID, e.Problem, e.State, e.Level, 0, 0, e.Time.IsZero(), e.Kept,
			e.Trace, e.Sticky,
		}
		if want.Kept == 0 {
			id.kept = 0
		}
		if !e.Time.IsZero() {
			id.time = e.Time.UnixNano()
		}
		id.accepted = e.Accepted.UnixNano()
		return id
	}
	if of(got) != of(want) {
		r.errorf("entry %d: got %+v, want %+v", want.Seq, of(got), of(want))
	}
}

// body checks what Load returns.
func (r *run) body(l store.Lane, want *store.Entry) {
	got, err := l.Load(r.ctx, want.Seq)
	if err != nil {
		r.errorf("Load of entry %d: %v", want.Seq, err)
		return
	}
	r.same(got, want)
	if !bytes.Equal(got.Body, want.Body) {
		r.errorf("Load of entry %d: got the body %.100q, want %.100q", want.Seq, got.Body,
			want.Body)
	}
}

func (r *run) record(l store.Lane, problem string) store.Record {
	records, err := l.Records(r.ctx, []string{problem})
	if err != nil || len(records) != 1 {
		r.fatalf("Records of one problem: got %d, %v", len(records), err)
	}
	return records[0]
}

func (r *run) sameRecord(what string, got, want store.Record) {
	if !got.Time.Equal(want.Time) || !got.At.Equal(want.At) {
		r.errorf("%s: got the times %v and %v, want %v and %v", what, got.Time, got.At, want.Time,
			want.At)
	}
	got.Time, got.At, want.Time, want.At = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	if got != want {
		r.errorf("%s: got the record %+v, want %+v", what, got, want)
	}
}

func (r *run) dead(lane string) []store.Settlement {
	dead, err := r.store.DeadLetters(r.ctx, lane, 0, 1000)
	if err != nil {
		r.fatalf("DeadLetters: %v", err)
	}
	return dead
}

func (r *run) holdings(want map[string]store.Holdings) {
	got, err := r.store.Holdings(r.ctx)
	if err != nil {
		r.fatalf("Holdings: %v", err)
	}
	for name, h := range got {
		if h != want[name] {
			r.errorf("Holdings of lane %q: got %+v, want %+v", name, h, want[name])
		}
	}
	for name, h := range want {
		if _, ok := got[name]; !ok && h != (store.Holdings{}) {
			r.errorf("Holdings of lane %q: got none, want %+v", name, h)
		}
	}
}

// is checks what an error wraps.
func (r *run) is(what string, err, want error) {
	if !errors.Is(err, want) {
		r.errorf("%s: got the error %v, want %v", what, err, want)
	}
}

// calls returns a call of each method of a store and a lane that can fail. Release is not among
// them: it succeeds for an ownership that has ended.
func calls(
	s store.Store, l store.Lane, lane string, pending, dead *store.Entry,
) map[string]func(context.Context) error {
	all := map[string]func(context.Context) error{
		"Append": func(ctx context.Context) error {
			return s.Append(ctx, batchOf(event(lane, "new", "new")))
		},
		"Rename":  func(ctx context.Context) error { return s.Rename(ctx, "renamed", "new name") },
		"Renamed": func(ctx context.Context) error { _, err := s.Renamed(ctx); return err },
		"Acquire": func(ctx context.Context) error {
			_, err := s.Acquire(ctx, store.Group{Name: lane, Lanes: []string{lane}})
			return err
		},
		"Check":    func(ctx context.Context) error { return s.Check(ctx) },
		"Holdings": func(ctx context.Context) error { _, err := s.Holdings(ctx); return err },
		"History": func(ctx context.Context) error {
			_, err := s.History(ctx, lane, dead.Problem)
			return err
		},
		"DeadLetters": func(ctx context.Context) error {
			_, err := s.DeadLetters(ctx, lane, 0, 10)
			return err
		},
		"OpenProblems": func(ctx context.Context) error {
			_, _, err := s.OpenProblems(ctx, lane, "", 10)
			return err
		},
	}
	for name, call := range laneCalls(l, pending, dead) {
		all[name] = call
	}
	return all
}

func laneCalls(l store.Lane, pending, dead *store.Entry) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Read": func(ctx context.Context) error { _, err := l.Read(ctx, 0, 10); return err },
		"Load": func(ctx context.Context) error {
			_, err := l.Load(ctx, pending.Seq)
			return err
		},
		"Records": func(ctx context.Context) error {
			_, err := l.Records(ctx, []string{pending.Problem})
			return err
		},
		"Mark": func(ctx context.Context) error {
			return l.Mark(ctx, []store.Mark{mark(pending, store.Delivered, "")})
		},
		"Revive": func(ctx context.Context) error { _, err := l.Revive(ctx, dead.Seq); return err },
		"Drop":   func(ctx context.Context) error { return l.Drop(ctx, dead.Seq) },
		"SetPause": func(ctx context.Context) error {
			return l.SetPause(ctx, somePause("of a call that must fail"))
		},
		"Pause": func(ctx context.Context) error { _, err := l.Pause(ctx); return err },
	}
}

// try makes a call that a broken store might never return from.
func (r *run) try(call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	return call(ctx)
}

// both appends an unsettled entry and a dead letter.
func (r *run) both() (l store.Lane, pending, dead *store.Entry) {
	pending, dead = event(lane, "pending", "pending"), event(lane, "dead", "dead")
	r.append(pending, dead)
	l = r.acquire(lane)
	r.mark(l, mark(dead, store.Dead, "refused"))
	return l, pending, dead
}

// unchanged checks that one entry is still unsettled, the other still dead, and nothing appended.
func (r *run) unchanged(pending, dead *store.Entry) {
	l := r.pending(lane, pending)
	r.body(l, pending)
	if letters := r.dead(lane); len(letters) != 1 || letters[0].Seq != dead.Seq {
		r.errorf("DeadLetters: got %d, want entry %d alone", len(letters), dead.Seq)
	}
	if got := r.record(l, pending.Problem); got != (store.Record{}) {
		r.errorf("an entry that was not marked: got the record %+v", got)
	}
	r.paused("after calls that failed", l, store.Pause{})
	again := event(lane, "new", "new")
	r.append(again)
	if again.Seq == 0 {
		r.errorf("Append that failed: the event is taken for a duplicate")
	}
}

// eventually checks that a waiting call returns an error in time.
func (r *run) eventually(what string, done <-chan error, want error) {
	select {
	case err := <-done:
		r.is(what, err, want)
	case <-time.After(patience):
		r.errorf("%s: still waiting after %v, want %v", what, patience, want)
	}
}

// waiting starts a Read that finds nothing, and gives it a moment to begin to wait.
func (r *run) waiting(l store.Lane, after uint64) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := l.Read(r.ctx, after, 10)
		done <- err
	}()
	time.Sleep(moment / 10)
	return done
}

func seqs(entries []*store.Entry) string {
	list := make([]uint64, len(entries))
	for i, e := range entries {
		list[i] = e.Seq
	}
	return fmt.Sprint(list)
}

func ascending(list []*store.Entry) bool {
	return slices.IsSortedFunc(list, func(a, b *store.Entry) int {
		if a.Seq < b.Seq {
			return -1
		}
		return 1
	})
}
