package boltstore

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

func TestPause(t *testing.T) {
	for _, p := range []store.Pause{
		{},
		{Until: time.Hour + 1, By: "li", Reason: "a\x00\xff", At: first},
	} {
		if got, err := decodePause(encodePause(p)); err != nil || got != p {
			t.Errorf("got %+v, %v; want %+v", got, err, p)
		}
	}
}

// A damaged pause is an error of its reader alone, and the next SetPause replaces it. A damaged
// record is that of an open problem in the list, too.
func TestDamagedPause(t *testing.T) {
	dir := t.TempDir()
	s, l := openLane(t, dir)
	e := &store.Event{Problem: "p", Wanted: []store.Offer{{Lane: "lane"}}}
	err := errors.Join(s.Append(t.Context(), &store.Batch{Events: []*store.Event{e}}),
		l.Mark(t.Context(), []store.Mark{{Seq: 1, Problem: "p", State: 1, Level: 4}}),
		l.SetPause(t.Context(), store.Pause{Until: time.Hour}), s.Close())
	if err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(filepath.Join(dir, fileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(db.Update(func(tx *bolt.Tx) error {
		b, _, err := findLane(tx, "lane")
		return errors.Join(err, b.Put(pauseKey, []byte("damaged")),
			b.Bucket(recordsPart).Put(recordKey("p"), []byte("damaged")))
	}), db.Close())
	if err != nil {
		t.Fatal(err)
	}
	s, l = openLane(t, dir)
	if p, err := l.Pause(t.Context()); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a damaged pause: got %+v, %v; want ErrDamaged", p, err)
	}
	want := store.Pause{Until: time.Minute, By: "li"}
	err = l.SetPause(t.Context(), want)
	if p, pauseErr := l.Pause(t.Context()); errors.Join(err, pauseErr) != nil || p != want {
		t.Errorf("after a damaged pause was replaced: got %+v, %v, %v", p, err, pauseErr)
	}
	open, next, err := s.OpenProblems(t.Context(), "lane", "", 10)
	if err != nil || len(open) != 1 || open[0].Problem != "p" || next != "" {
		t.Errorf("open problems with a damaged record: got %+v, %q, %v", open, next, err)
	}
}

func openLane(t *testing.T, dir string) (*Store, store.Lane) {
	t.Helper()
	s, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	lease, err := s.Acquire(t.Context(), store.Group{Name: "lane", Lanes: []string{"lane"}})
	if err != nil {
		t.Fatal(err)
	}
	return s, lease.Lane("lane")
}
