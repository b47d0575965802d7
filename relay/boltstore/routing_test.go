package boltstore_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// event returns an event that some lanes want.
func event(source, id, problem string, lanes ...string) *store.Event {
	e := eventOf(entry(id, problem))
	e.Source, e.Wanted = source, nil
	for _, l := range lanes {
		e.Wanted = append(e.Wanted, store.Offer{Lane: l})
	}
	return e
}

func holdings(t *testing.T, s store.Store, want map[string]store.Holdings) {
	t.Helper()
	if got, err := s.Holdings(t.Context()); err != nil || !maps.Equal(got, want) {
		t.Errorf("Holdings: got %+v, %v; want %+v", got, err, want)
	}
}

// Each source has a window of its own, of Options.Remembered IDs, however many lanes an event went
// to.
func TestWindowsBySource(t *testing.T) {
	dir, opts := t.TempDir(), &boltstore.Options{Remembered: 3}
	s := open(t, dir, opts)
	long := string(make([]byte, 255)) // as long as a name may be
	for i := range 3 {
		route(t, s, event("", fmt.Sprint(i), "p", "x", "y", "z"))
	}
	for i := range 50 { // of other sources
		route(t, s, event("busy", fmt.Sprint(i), "q", "x"), event(long, fmt.Sprint(i), "q", "y"))
	}
	nobody := event("", "of nobody", "r")
	for range 10 { // no entry: they take no place in the window
		route(t, s, nobody)
	}
	for range 2 {
		for i, want := range map[int]bool{0: true, 1: true, 2: true} {
			e := event("", fmt.Sprint(i), "another", "x")
			if route(t, s, e); e.Duplicate != want {
				t.Errorf("event %d: duplicate %v, want %v", i, e.Duplicate, want)
			}
		}
		for _, source := range []string{"busy", long} {
			e := event(source, "49", "another", "x")
			if route(t, s, e); !e.Duplicate {
				t.Errorf("the newest event of source %.4q: no duplicate", source)
			}
		}
		s.CheckIndex(t)
		s = reopen(t, s, dir, opts)
	}
	e := event("busy", "46", "another", "x")
	if route(t, s, e); e.Duplicate {
		t.Error("the fourth newest event of a source is a duplicate, want three to be remembered")
	}
}

// A lane that is full takes no place from the others: what comes for it is dead there, with its
// body, and the other lanes keep it.
func TestFullLane(t *testing.T) {
	dir, opts := t.TempDir(), &boltstore.Options{MaxEntries: 8} // a lane may have two
	s := open(t, dir, opts)
	route(t, s, event("", "1", "p", "stuck"), event("", "2", "q", "stuck"))
	for range 2 {
		s.CheckIndex(t)
		s = reopen(t, s, dir, opts)
	}
	e := event("", "3", "p", "other", "stuck")
	route(t, s, e)
	want := []store.Placement{{Lane: "other", Seq: 1}, {Lane: "stuck", Seq: 3, Outcome: store.Dead}}
	if !slices.Equal(e.Placed, want) {
		t.Errorf("placed as %+v, want %+v", e.Placed, want)
	}
	holdings(t, s, map[string]store.Holdings{"other": {Pending: 1}, "stuck": {Pending: 2, Dead: 1}})
	dead, err := s.DeadLetters(t.Context(), "stuck", 0, 10)
	if err != nil || len(dead) != 1 || dead[0].Reason != store.LaneFull ||
		string(dead[0].Body) != string(e.Body) || !dead[0].At.Equal(e.Accepted) {
		t.Errorf("dead letters: %+v, %v; want one with its body", dead, err)
	}
	lease, err := s.Acquire(t.Context(), store.Group{Name: "stuck", Lanes: []string{"stuck"}})
	if err != nil {
		t.Fatal(err)
	}
	l := lease.Lane("stuck")
	records, err := l.Records(t.Context(), []string{"p"})
	if err != nil || records[0].Last != 3 || records[0].Open {
		t.Errorf("record: got %+v, %v; want Last 3, not open", records, err)
	}
	// A store that is full keeps a batch whose entries are dead at once.
	for i := range 5 {
		name := fmt.Sprint("lane ", i)
		route(t, s, event("", name, name, name))
	}
	full := &store.Batch{Events: []*store.Event{event("", "4", "s", "other")}}
	if err := s.Append(t.Context(), full); !errors.Is(err, store.ErrFull) {
		t.Errorf("Append to a full store: got %v, want ErrFull", err)
	}
	route(t, s, event("", "4", "s", "stuck"))
	holdings(t, s, map[string]store.Holdings{
		"other": {Pending: 1}, "stuck": {Pending: 2, Dead: 2}, "lane 0": {Pending: 1},
		"lane 1": {Pending: 1}, "lane 2": {Pending: 1}, "lane 3": {Pending: 1},
		"lane 4": {Pending: 1},
	})
	// What is revived is pending, whatever the bound.
	if _, err := l.Revive(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	found, err := l.Read(t.Context(), 0, 10)
	if err != nil || len(found) != 3 {
		t.Errorf("Read: got %d entries, %v; want 3", len(found), err)
	}
	s.CheckIndex(t)
	reopen(t, s, dir, opts).CheckIndex(t)
}

// Dead letters that come from a full lane are as bounded as the others.
func TestFullLaneBoundsDeadLetters(t *testing.T) {
	s := open(t, t.TempDir(), &boltstore.Options{MaxLaneEntries: 1, MaxDead: 3})
	var all []*store.Event
	for i := range 10 {
		all = append(all, event("", fmt.Sprint(i), fmt.Sprint("p", i), lane))
	}
	route(t, s, all...)
	if got := deadLetters(t, s); !slices.Equal(got, []uint64{8, 9, 10}) {
		t.Errorf("dead letters %v, want the last three", got)
	}
	s.CheckIndex(t)
	// A problem whose dead letter was deleted is not held any more.
	gone, kept := event("", "gone", "p3"), event("", "kept", "p8")
	if route(t, s, gone, kept); len(gone.Placed) != 0 || len(kept.Placed) != 1 {
		t.Errorf("placed as %+v and %+v, want no place and one", gone.Placed, kept.Placed)
	}
}

// All of a batch is kept or none, and that is known before anything is written: sticky entries
// count, and those that earlier events of the batch cause.
func TestBatchThatDoesNotFit(t *testing.T) {
	small := func(e *store.Event) *store.Event { e.Body = e.Body[:1]; return e }
	recovery := func(e *store.Event) *store.Event { e.State = guance.StateRecovered; return e }
	for name, test := range map[string]struct {
		batch []*store.Event
		takes int // entries
	}{
		"a sticky entry": {[]*store.Event{event("", "1", "held", "b")}, 2},
		"what an earlier event of the batch waits for": {
			[]*store.Event{event("", "1", "new", "a"), event("", "2", "new", "b")}, 3},
		"a duplicate within the batch": {
			[]*store.Event{event("", "1", "new", "a"), event("", "1", "new", "b")}, 1},
		"a duplicate of what no lane took": {
			[]*store.Event{event("", "1", "new"), event("", "1", "new", "b")}, 1},
		"two events without an ID": {
			[]*store.Event{event("", "", "new", "a"), event("", "", "new", "a")}, 2},
		"a fallback after a recovery in the batch": {[]*store.Event{
			recovery(event("", "1", "shown", "a")),
			{ID: "2", Problem: "shown", Fallback: &store.Offer{Lane: "b"}},
		}, 3},
		"a lane that is full within the batch": {[]*store.Event{
			event("", "1", "new", "a"), event("", "2", "new", "a"), event("", "3", "new", "a"),
			event("", "4", "new", "a"),
		}, 3},
		"a lane that nobody has used": {
			[]*store.Event{small(event("", "1", "new", "c")), event("", "2", "new", "c", "a")}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			for room := test.takes - 1; room <= test.takes; room++ {
				dir := t.TempDir()
				opts := &boltstore.Options{MaxEntries: 1 + room, MaxLaneEntries: 4}
				s := open(t, dir, opts)
				lease, err := s.Acquire(t.Context(), store.Group{Name: "g", Lanes: []string{"a"}})
				if err != nil {
					t.Fatal(err)
				}
				route(t, s, event("", "shown", "shown", "a"))
				settle(t, lease.Lane("a"), store.Delivered, time.Now(), &store.Entry{
					Seq: 1, Problem: "shown", State: guance.StateProblem,
				})
				route(t, s, event("", "held", "held", "a"))
				aborts := s.CountLoads(t)
				commits := s.CountCommits()
				err = s.Append(t.Context(), &store.Batch{
					Events: test.batch, Served: []string{"a", "b"},
				})
				held, errHeld := s.Holdings(t.Context())
				pending := 0
				for _, h := range held {
					pending += h.Pending
				}
				if errHeld != nil {
					t.Fatal(errHeld)
				}
				if room < test.takes {
					if !errors.Is(err, store.ErrFull) || pending != 1 || commits() != 0 {
						t.Errorf("room for %d: %v, %d pending, %d commits; want ErrFull, and "+
							"nothing kept", room, err, pending, commits())
					}
				} else if err != nil || pending != 1+test.takes {
					t.Errorf("room for %d: %v, %d pending; want all", room, err, pending)
				}
				if n := aborts(); n != 0 {
					t.Errorf("room for %d: the index was read again %d times", room, n)
				}
				s.CheckIndex(t)
				reopen(t, s, dir, opts).CheckIndex(t)
			}
		})
	}
}

// What Read, Load, History, DeadLetters and Revive say of an entry that its lane did not want.
func TestStickyLasts(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	route(t, s, event("", "1", "p", lane), event("", "2", "p", "other"), event("", "3", "p", lane))
	for range 2 {
		l := acquire(t, s)
		found, err := l.Read(t.Context(), 0, 10)
		if err != nil || len(found) != 3 {
			t.Fatalf("Read: %d entries, %v", len(found), err)
		}
		for i, want := range []bool{false, true, false} {
			e, err := l.Load(t.Context(), found[i].Seq)
			if err != nil || e.Sticky != want || found[i].Sticky != want {
				t.Errorf("entry %d: Load says sticky %v, Read %v, %v; want %v", i+1, e.Sticky,
					found[i].Sticky, err, want)
			}
		}
		settle(t, l, store.Dead, time.Now(), found...)
		s = reopen(t, s, dir, nil)
		l = acquire(t, s)
		dead, errDead := s.DeadLetters(t.Context(), lane, 0, 10)
		history, errHistory := s.History(t.Context(), lane, "p")
		if err := errors.Join(errDead, errHistory); err != nil || len(dead) != 3 {
			t.Fatalf("%d dead letters, %v", len(dead), err)
		}
		for _, st := range append(dead, history...) {
			if want := st.Seq == 2; st.Sticky != want {
				t.Errorf("the outcome of entry %d: sticky %v, want %v", st.Seq, st.Sticky, want)
			}
		}
		for _, st := range dead {
			e, err := l.Revive(t.Context(), st.Seq)
			if err != nil || e.Sticky != st.Sticky {
				t.Errorf("Revive of entry %d: %+v, %v", st.Seq, e, err)
			}
		}
		s.CheckIndex(t)
		s = reopen(t, s, dir, nil)
	}
}

// A transaction that is aborted leaves the index as it was.
func TestIndexAfterAborts(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	route(t, s, event("x", "1", "p", "a", "b"), event("y", "1", "q", "b"))
	full := &fs.PathError{Op: "write", Path: "relay.db", Err: syscall.ENOSPC}
	for name, call := range map[string]func() error{
		"Append": func() error {
			return s.Append(t.Context(), &store.Batch{
				Events: []*store.Event{event("x", "2", "p", "c"), event("z", "2", "r", "d")},
			})
		},
		"Rename": func() error { return s.Rename(t.Context(), "a", "e") },
	} {
		before := s.Counts(t)
		s.FailNext(full, false)
		if err := call(); !errors.Is(err, store.ErrFull) {
			t.Errorf("%s: got %v, want ErrFull", name, err)
		}
		if diff := cmp.Diff(before, s.Counts(t)); diff != "" {
			t.Errorf("%s that found no space changed the index:\n%s", name, diff)
		}
		s.CheckIndex(t)
	}
	if renamed, err := s.Renamed(t.Context()); err != nil || len(renamed) > 0 {
		t.Errorf("Renamed: got %v, %v; want none", renamed, err)
	}
	again := event("x", "2", "p", "c")
	if route(t, s, again); again.Duplicate || len(again.Placed) != 3 {
		t.Errorf("sent again: %+v; want it in three lanes", again.Placed)
	}
	if err := s.Rename(t.Context(), "a", "e"); err != nil {
		t.Error(err)
	}
	before := s.Counts(t)
	s = reopen(t, s, dir, nil)
	if diff := cmp.Diff(before, s.Counts(t)); diff != "" {
		t.Errorf("opening the store again changed the index:\n%s", diff)
	}
}

// Names are refused that bbolt could not keep, and a long chain of names is followed.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	for _, bad := range []string{"", string(make([]byte, 256))} {
		if s.Rename(t.Context(), bad, "a") == nil || s.Rename(t.Context(), "a", bad) == nil {
			t.Errorf("Rename takes a name of %d bytes", len(bad))
		}
	}
	route(t, s, event("", "0", "p", "name 0"))
	const n = 30
	for i := range n {
		from, to := fmt.Sprint("name ", i/2), fmt.Sprint("name ", i+1) // by an earlier name
		if err := s.Rename(t.Context(), from, to); err != nil {
			t.Fatal(err)
		}
		if i%10 == 9 {
			s = reopen(t, s, dir, nil)
		}
		e := event("", fmt.Sprint(i+1), "p", from)
		if route(t, s, e); len(e.Placed) != 1 || e.Placed[0].Seq != uint64(i)+2 {
			t.Fatalf("after %d names: placed as %+v", i+1, e.Placed)
		}
	}
	renamed, err := s.Renamed(t.Context())
	if err != nil || len(renamed) != n {
		t.Errorf("Renamed: got %d names, %v; want %d", len(renamed), err, n)
	}
	for i := range n {
		if got := renamed[fmt.Sprint("name ", i)]; got != fmt.Sprint("name ", n) {
			t.Errorf("name %d: got %q, want the last name", i, got)
		}
	}
	holdings(t, s, map[string]store.Holdings{fmt.Sprint("name ", n): {Pending: n + 1}})
	s.CheckIndex(t)
}

// Two names of one lane in one group are one lane.
func TestGroupWithTwoNamesOfALane(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	route(t, s, event("", "1", "p", "a"))
	if err := s.Rename(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	lease, err := s.Acquire(t.Context(), store.Group{Name: "g", Lanes: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		found, err := lease.Lane(name).Read(t.Context(), 0, 1)
		if err != nil || len(found) != 1 || found[0].Lane != "b" {
			t.Errorf("Read by the name %q: %v, %v; want an entry of lane b", name, found, err)
		}
	}
}
