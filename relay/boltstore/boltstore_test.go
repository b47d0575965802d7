package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
)

func open(t *testing.T, dir string, opts *boltstore.Options) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func entry(id, problem string) *relay.Entry {
	return &relay.Entry{
		Lane: "pd", ID: id, Problem: problem, State: guance.StateProblem, Level: guance.LevelCritical,
		Time: time.Unix(100, 0).UTC(), Accepted: time.Unix(200, 0).UTC(), Body: []byte(`{"id":"` + id + `"}`),
	}
}

func TestKeptOverReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := open(t, dir, nil)
	ctx := t.Context()
	a, b := entry("a", "p"), entry("b", "p")
	if err := s.Append(ctx, []*relay.Entry{a, b}); err != nil {
		t.Fatal(err)
	}
	lease, err := s.Acquire(ctx, "pd")
	if err != nil {
		t.Fatal(err)
	}
	if err := lease.Mark(ctx, []relay.Mark{{Seq: 1, Problem: "p", State: guance.StateProblem}}); err != nil {
		t.Fatal(err)
	}
	if err := lease.Mark(ctx, []relay.Mark{{Seq: 1, Problem: "p", State: guance.StateProblem, Outcome: relay.Delivered}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(ctx, []*relay.Entry{a}); !errors.Is(err, relay.ErrClosed) {
		t.Errorf("Append after Close: got %v, want ErrClosed", err)
	}

	s = open(t, dir, nil)
	if lease, err = s.Acquire(ctx, "pd"); err != nil {
		t.Fatal(err)
	}
	got, err := lease.Read(ctx, 0, 10)
	if err != nil || len(got) != 1 || got[0].Seq != 2 || got[0].ID != "b" || !got[0].Time.Equal(b.Time) {
		t.Fatalf("Read: got %+v, %v; want entry 2 alone", got, err)
	}
	if e, err := lease.Load(ctx, 2); err != nil || string(e.Body) != `{"id":"b"}` {
		t.Errorf("Load: got %+v, %v", e, err)
	}
	if r, err := lease.Records(ctx, []string{"p"}); err != nil || r[0].Seq != 1 || !r[0].Open {
		t.Errorf("Record: got %+v, %v; want entry 1 open", r, err)
	}
	again := entry("a", "p")
	if err := s.Append(ctx, []*relay.Entry{again}); err != nil || again.Seq != 0 {
		t.Errorf("a known ID: got seq %d, %v; want a duplicate", again.Seq, err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "relay.db"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, nil)
	if _, err := boltstore.Open(dir, nil); !errors.Is(err, boltstore.ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
}

func TestFull(t *testing.T) {
	s := open(t, t.TempDir(), &boltstore.Options{MaxEntries: 2})
	if err := s.Append(t.Context(), []*relay.Entry{entry("a", "p"), entry("b", "p"), entry("c", "p")}); !errors.Is(err, relay.ErrFull) {
		t.Fatalf("got %v, want ErrFull", err)
	}
	if err := s.Append(t.Context(), []*relay.Entry{entry("a", "p"), entry("b", "p")}); err != nil {
		t.Fatalf("after a refused call: %v", err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, relay.ErrFull) {
		t.Errorf("Check: got %v, want ErrFull", err)
	}
}

func TestFenced(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	first, err := s.Acquire(t.Context(), "pd")
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error)
	go func() {
		_, err := first.Read(context.Background(), 0, 1)
		waiting <- err
	}()
	if _, err := s.Acquire(t.Context(), "pd"); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, relay.ErrFenced) {
		t.Errorf("Read: got %v, want ErrFenced", err)
	}
	if err := first.Mark(t.Context(), []relay.Mark{{Seq: 1, Problem: "p"}}); !errors.Is(err, relay.ErrFenced) {
		t.Errorf("Mark: got %v, want ErrFenced", err)
	}
}

func TestConcurrentAppends(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				if err := s.Append(t.Context(), []*relay.Entry{entry(fmt.Sprint(i, "-", j), "p")}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	lease, err := s.Acquire(t.Context(), "pd")
	if err != nil {
		t.Fatal(err)
	}
	got, err := lease.Read(t.Context(), 0, 1000)
	if err != nil || len(got) != 160 {
		t.Fatalf("got %d entries, %v; want 160", len(got), err)
	}
	for i, e := range got {
		if e.Seq != uint64(i+1) {
			t.Fatalf("entry %d has sequence number %d", i, e.Seq)
		}
	}
}
