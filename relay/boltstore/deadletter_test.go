package boltstore

import (
	"bytes"
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
		dead := laneBucket(tx, "lane").Bucket(deadPart)
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
