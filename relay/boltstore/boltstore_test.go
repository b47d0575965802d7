package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

const lane = "pagerduty"

// open opens a store that does not sync. Its tests have no power cut, and hundreds of syncs take
// tens of seconds on a busy disk.
func open(t testing.TB, dir string, opts *boltstore.Options) *boltstore.Store {
	t.Helper()
	s := openSynced(t, dir, opts)
	s.NoSync()
	return s
}

// openSynced opens a store as a program does.
func openSynced(t testing.TB, dir string, opts *boltstore.Options) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func reopen(
	t *testing.T, s *boltstore.Store, dir string, opts *boltstore.Options,
) *boltstore.Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, dir, opts)
}

func entry(id, problem string) *store.Entry {
	return &store.Entry{
		Lane: lane, ID: id, Problem: problem, State: guance.StateProblem,
		Level: guance.LevelCritical,
		Time:  time.Unix(100, 0).UTC(), Accepted: time.Unix(200, 0).UTC(),
		Body: []byte(`{"id":"` + id + `"}`),
	}
}

// eventOf returns an event that one lane wants, and that becomes the entry e.
func eventOf(e *store.Entry) *store.Event {
	return &store.Event{
		ID: e.ID, Problem: e.Problem, State: e.State, Level: e.Level, Time: e.Time,
		Accepted: e.Accepted, Trace: e.Trace, Body: e.Body, Wanted: []store.Offer{{Lane: e.Lane}},
	}
}

// keep appends entries in one call, each as an event of its own, and sets their sequence numbers: 0
// means that the event is a duplicate.
func keep(ctx context.Context, s store.Store, entries ...*store.Entry) error {
	b := &store.Batch{}
	for _, e := range entries {
		b.Events = append(b.Events, eventOf(e))
	}
	if err := s.Append(ctx, b); err != nil {
		return err
	}
	for i, e := range entries {
		if e.Seq = 0; !b.Events[i].Duplicate {
			e.Seq = b.Events[i].Placed[0].Seq
		}
	}
	return nil
}

func add(t *testing.T, s *boltstore.Store, entries ...*store.Entry) {
	t.Helper()
	if err := keep(t.Context(), s, entries...); err != nil {
		t.Fatal(err)
	}
}

// route appends events that name their lanes, in one call.
func route(t *testing.T, s store.Store, events ...*store.Event) {
	t.Helper()
	if err := s.Append(t.Context(), &store.Batch{Events: events}); err != nil {
		t.Fatal(err)
	}
}

func acquire(t *testing.T, s store.Store) store.Lane {
	t.Helper()
	l, err := s.Acquire(t.Context(), store.Group{Name: lane, Lanes: []string{lane}})
	if err != nil {
		t.Fatal(err)
	}
	return l.Lane(lane)
}

func settle(t *testing.T, l store.Lane, o store.Outcome, at time.Time, entries ...*store.Entry) {
	t.Helper()
	var marks []store.Mark
	for _, e := range entries {
		marks = append(marks, store.Mark{
			Seq: e.Seq, Problem: e.Problem, State: e.State, Level: e.Level, Time: e.Time,
			Outcome: o, At: at,
		})
	}
	if err := l.Mark(t.Context(), marks); err != nil {
		t.Fatal(err)
	}
}

func inParallel(n int, fn func(int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}

func TestConcurrentCallsShareACommit(t *testing.T) {
	s := openSynced(t, t.TempDir(), nil)
	commits := s.CountCommits()
	const callers, each = 32, 20
	inParallel(callers, func(c int) {
		for i := range each {
			e := entry(fmt.Sprint(c, "-", i), "p")
			if err := keep(t.Context(), s, e); err != nil {
				t.Error(err)
			}
		}
	})
	// Each caller waits for its commits, so there are at least as many as one caller needs.
	if n := commits(); n < each || n > callers*each/2 {
		t.Errorf("%d appends by %d callers at once: %d commits", callers*each, callers, n)
	}
}

func TestNothingIsWrittenForNothing(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	e := entry("a", "p")
	add(t, s, e)
	l := acquire(t, s)
	settle(t, l, store.Delivered, time.Now(), e)
	commits := s.CountCommits()
	add(t, s, entry("a", "p"))
	add(t, s)
	settle(t, l, store.Dead, time.Now(), e)
	acquire(t, s)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if n := commits(); n != 0 {
		t.Errorf("duplicates, marks of what is settled, Acquire and Check: %d commits", n)
	}
}

// A disk can hang for minutes. A call in the queue may give up. A call in a commit must wait.
func TestContextWhileTheDiskHangs(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	hanging, release := make(chan struct{}), make(chan struct{})
	s.OnCommit(func(commit func() error) error {
		close(hanging)
		<-release
		s.OnCommit(nil)
		return commit()
	})
	ctx, cancel := context.WithCancel(t.Context())
	first, waiting := make(chan error, 1), make(chan error)
	go func() { first <- keep(ctx, s, entry("first", "p")) }()
	<-hanging
	const more = 600 // than the queue holds
	for range more {
		go func() { waiting <- keep(ctx, s, entry("second", "p")) }()
	}
	for s.Queued() < s.QueueSize() {
		time.Sleep(time.Millisecond)
	}
	cancel()
	for range more {
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Fatalf("an append that waits: got %v, want context.Canceled", err)
		}
	}
	select {
	case err := <-first:
		t.Errorf("an append that is being committed returned %v", err)
	default:
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("an append that was committed: got %v", err)
	}
	again := entry("second", "p")
	add(t, s, again)
	if again.Seq != 2 {
		t.Errorf("the append that left: sent again it has the sequence number %d, want 2",
			again.Seq)
	}
}

func TestCloseWithCallsInTheQueue(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	const callers = 16
	var kept atomic.Int32
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := 0; ; i++ {
				e := entry(fmt.Sprint(c, "-", i), "p")
				switch err := keep(t.Context(), s, e); {
				case errors.Is(err, store.ErrClosed):
					return
				case err != nil:
					t.Error(err)
					return
				}
				kept.Add(1)
			}
		})
	}
	for kept.Load() < callers {
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	s = open(t, dir, nil)
	if held, err := s.Holdings(t.Context()); err != nil || held[lane].Pending != int(kept.Load()) {
		t.Errorf("%d appends succeeded and none else may be there: %+v, %v", kept.Load(), held, err)
	}
}

// A failed sync is final, even if the error says that the disk is full.
func TestFailedSync(t *testing.T) {
	for _, errno := range []error{
		syscall.EIO, syscall.ENOSPC,
		// the write is on the disk all the same
		&fs.PathError{Op: "write", Path: "relay.db", Err: syscall.ENOSPC},
	} {
		s := open(t, t.TempDir(), nil)
		s.FailNext(errno, true)
		err := keep(t.Context(), s, entry("a", "p"))
		if !errors.Is(err, store.ErrFailed) || errors.Is(err, store.ErrFull) ||
			!strings.Contains(err.Error(), errno.Error()) {
			t.Errorf("%v: got %v, want ErrFailed and what happened", errno, err)
		}
		if err := s.Check(t.Context()); !errors.Is(err, store.ErrFailed) {
			t.Errorf("%v: Check got %v, want ErrFailed", errno, err)
		}
	}
}

// A write that finds no space changes nothing. Appends are refused, marks of the same commit are
// made, and appends succeed again once there is space.
func TestWriteWithoutRoom(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	e := entry("kept", "p")
	add(t, s, e)
	l := acquire(t, s)

	full := &fs.PathError{Op: "write", Path: "relay.db", Err: syscall.ENOSPC}
	hanging, release := make(chan struct{}), make(chan struct{})
	s.OnCommit(func(func() error) error { // the next commit takes both calls below
		close(hanging)
		<-release
		s.FailNext(full, false)
		return full
	})
	first := make(chan error, 1)
	go func() { first <- keep(t.Context(), s, entry("first", "p")) }()
	<-hanging
	refused, marked := make(chan error, 1), make(chan error, 1)
	lost := entry("lost", "p")
	go func() { refused <- keep(t.Context(), s, lost, entry("lost too", "p")) }()
	go func() {
		marked <- l.Mark(t.Context(), []store.Mark{{
			Seq: e.Seq, Problem: "p", State: e.State, Outcome: store.Delivered, At: time.Now(),
		}})
	}()
	for s.Queued() < 2 {
		time.Sleep(time.Millisecond)
	}
	close(release)
	if err := <-first; !errors.Is(err, store.ErrFull) {
		t.Errorf("Append alone: got %v, want ErrFull", err)
	}
	if err := <-refused; !errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrFailed) {
		t.Errorf("Append with a mark: got %v, want ErrFull", err)
	}
	if err := <-marked; err != nil {
		t.Errorf("Mark with an append: got %v", err)
	}
	if lost.Seq != 0 {
		t.Errorf("the refused entry has the sequence number %d", lost.Seq)
	}
	again := entry("lost", "p")
	add(t, s, again)
	if again.Seq != 2 {
		t.Errorf("the refused entry, sent again: got the sequence number %d, want 2", again.Seq)
	}
	if held, err := s.Holdings(t.Context()); err != nil ||
		held[lane] != (store.Holdings{Pending: 1}) {
		t.Errorf("Holdings: got %+v, %v", held, err)
	}
	s = reopen(t, s, dir, nil)
	if held, err := s.Holdings(t.Context()); err != nil ||
		held[lane] != (store.Holdings{Pending: 1}) {
		t.Errorf("Holdings, opened again: got %+v, %v", held, err)
	}
}

func TestRefusedEntries(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	long := make([]byte, 5000)
	for name, e := range map[string]*store.Event{
		"no lane":            {Wanted: []store.Offer{{}}},
		"a long lane":        {Wanted: []store.Offer{{Lane: string(long)}}},
		"a long fallback":    {Fallback: &store.Offer{Lane: string(long)}},
		"a long source":      {Wanted: []store.Offer{{Lane: lane}}, Source: string(long)},
		"a long problem key": {Wanted: []store.Offer{{Lane: lane}}, Problem: string(long)},
	} {
		good := eventOf(entry(name, "p"))
		b := &store.Batch{Events: []*store.Event{good, e}}
		if err := s.Append(t.Context(), b); err == nil {
			t.Errorf("%s: Append took it", name)
		}
	}
	if held, err := s.Holdings(t.Context()); err != nil || len(held) != 0 {
		t.Errorf("Holdings: got %+v, %v", held, err)
	}
	marks := []store.Mark{{Seq: 1, Problem: string(long)}}
	if err := acquire(t, s).Mark(t.Context(), marks); err == nil {
		t.Error("Mark with a long problem key: no error")
	}
	add(t, s, entry("good", "p"))
}
