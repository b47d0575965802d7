package boltstore

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A lane has as many dead letters as it may, and the oldest is damaged: it goes, like any oldest.
func TestOldestDeadLetterIsDamaged(t *testing.T) {
	dir := t.TempDir()
	opts := &Options{MaxDead: 2}
	s, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	fill(t, s, "lane", 3, 1000)
	lease, err := s.Acquire(t.Context(), store.Group{Name: "lane", Lanes: []string{"lane"}})
	if err != nil {
		t.Fatal(err)
	}
	dies := func(seq uint64) {
		t.Helper()
		marks := []store.Mark{{Seq: seq, Problem: "p", Outcome: store.Dead, At: time.Now()}}
		if err := lease.Lane("lane").Mark(t.Context(), marks); err != nil {
			t.Errorf("entry %d dies: %v", seq, err)
		}
	}
	dies(1)
	dies(2)
	err = s.db.Update(func(tx *bolt.Tx) error {
		dead := laneBucket(tx, 1).Bucket(deadPart)
		value := bytes.Clone(dead.Get(seqKey(1)))
		value[10] ^= 1
		return dead.Put(seqKey(1), value)
	})
	if err != nil {
		t.Fatal(err)
	}
	dies(3)
	for range 2 {
		letters, err := s.DeadLetters(t.Context(), "lane", 0, 10)
		if err != nil || len(letters) != 2 || letters[0].Seq != 2 || letters[1].Seq != 3 {
			t.Errorf("got %d dead letters, %v; want 2 and 3", len(letters), err)
		}
		held, err := s.Holdings(t.Context())
		if err != nil || held["lane"] != (store.Holdings{Dead: 2}) {
			t.Errorf("Holdings: got %+v, %v", held, err)
		}
		if n := s.index.deadBytes; n != 2000 {
			t.Errorf("the index has %d bytes of dead letters, want 2,000", n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(dir, opts); err != nil {
			t.Fatal(err)
		}
	}
}

// A damaged dead letter does not keep the store from opening. It can be dropped, and the others can
// be replayed.
func TestDamagedDeadLetter(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s, "lane", 3, 1000)
	acquired := func() store.Lane {
		t.Helper()
		l, err := s.Acquire(t.Context(), store.Group{Name: "lane", Lanes: []string{"lane"}})
		if err != nil {
			t.Fatal(err)
		}
		return l.Lane("lane")
	}
	l := acquired()
	for seq := range uint64(2) {
		m := store.Mark{Seq: seq + 1, Problem: "p", Outcome: store.Dead, At: time.Now()}
		if err := l.Mark(t.Context(), []store.Mark{m}); err != nil {
			t.Fatal(err)
		}
	}
	err = s.db.Update(func(tx *bolt.Tx) error {
		dead := laneBucket(tx, 1).Bucket(deadPart)
		value := bytes.Clone(dead.Get(seqKey(1)))
		value[10] ^= 1
		return dead.Put(seqKey(1), value)
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s, err = Open(dir, &Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatalf("Open with a damaged dead letter: %v", err)
	}
	defer s.Close()
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "seq=1") {
		t.Errorf("the log is %q, want an error that names entry 1", log.String())
	}
	l = acquired()
	if _, err := l.Revive(t.Context(), 1); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("Revive of the damaged one: %v, want ErrDamaged", err)
	}
	if _, err := l.Revive(t.Context(), 2); err != nil {
		t.Errorf("Revive of the other: %v", err)
	}
	if err := l.Drop(t.Context(), 1); err != nil {
		t.Errorf("Drop of the damaged one: %v", err)
	}
	held, err := s.Holdings(t.Context())
	if err != nil || held["lane"] != (store.Holdings{Pending: 2}) || s.index.deadBytes != 0 {
		t.Errorf("got %+v, %d bytes, %v; want two pending entries and no dead letter",
			held, s.index.deadBytes, err)
	}
}
