package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// bbolt panics if it reads what it did not write. The process goes on, and the store has failed.
func TestPanicOfTheDatabaseIsAFailure(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	s.OnCommit(func(func() error) error { panic("page 7 already freed") })
	err := keep(t.Context(), s, entry("a", "p"))
	if !errors.Is(err, store.ErrFailed) || !strings.Contains(err.Error(), "page 7 already freed") {
		t.Errorf("Append: %v, want ErrFailed with what bbolt said", err)
	}
	s.OnCommit(nil)
	err = keep(t.Context(), s, entry("b", "p"))
	if !errors.Is(err, store.ErrFailed) {
		t.Errorf("Append afterwards: %v, want ErrFailed", err)
	}
}

// A call that waits for a commit while the one before it fails is not written.
func TestNothingIsWrittenAfterAFailure(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	var commits atomic.Int32
	begun, fail := make(chan struct{}), make(chan struct{})
	s.OnCommit(func(commit func() error) error {
		if commits.Add(1) > 1 {
			return commit()
		}
		close(begun)
		<-fail
		return errors.New("input/output error")
	})
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- keep(t.Context(), s, entry("first", "p")) }()
	<-begun
	go func() { second <- keep(t.Context(), s, entry("second", "p")) }()
	for s.Queued() == 0 {
		time.Sleep(time.Millisecond)
	}
	close(fail)
	for name, done := range map[string]chan error{"first": first, "second": second} {
		if err := <-done; !errors.Is(err, store.ErrFailed) {
			t.Errorf("the %s Append: %v, want ErrFailed", name, err)
		}
	}
	if n := commits.Load(); n != 1 {
		t.Errorf("%d commits, want the one that failed", n)
	}
}

// What Open reads of a lane must be as it was written: a pending entry that it passed over would
// not be counted, and its record might be deleted.
func TestOpenRefusesWhatItCannotRead(t *testing.T) {
	for name, test := range map[string]struct{ lane, bucket string }{
		"clock":    {"", "meta"},
		"progress": {lane, "progress"},
		"source":   {"", "sources"},
		"lane":     {"", "names"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, nil)
			add(t, s, entry("a", "p"))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			overwrite(t, dir, test.lane, test.bucket)
			_, err := boltstore.Open(dir, nil)
			if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), name) {
				t.Errorf("Open: %v; want ErrDamaged that names the %s", err, name)
			}
		})
	}
}

// laneBucket returns the bucket of the first lane of a file.
func laneBucket(tx *bolt.Tx) *bolt.Bucket {
	return tx.Bucket([]byte("lanes")).Bucket([]byte{0, 0, 0, 0, 0, 0, 0, 1})
}

// overwrite damages the first value of a bucket, of the first lane or of the file.
func overwrite(t *testing.T, dir, lane, bucket string) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(dir, "relay.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if lane != "" {
			b = laneBucket(tx).Bucket([]byte(bucket))
		}
		k, v := b.Cursor().First()
		if v == nil { // of a source
			b = b.Bucket(k)
			k, _ = b.Cursor().First()
		}
		return b.Put(k, []byte("overwritten"))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// An outcome that cannot be read is an error of History, and not an entry without an outcome.
func TestDamagedHistory(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	e := entry("a", "p")
	add(t, s, e)
	settle(t, acquire(t, s), store.Delivered, time.Now(), e)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	overwrite(t, dir, lane, "history")
	again, err := boltstore.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if found, err := again.History(t.Context(), lane, "p"); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("History: %v, %v; want ErrDamaged", found, err)
	}
}

// Close saves the store's time if the last commit has not: it writes nothing for nothing.
func TestCloseWritesTheTimeOnce(t *testing.T) {
	for name, test := range map[string]struct {
		idle    time.Duration
		commits int64
	}{
		"right after a commit": {0, 1},
		"a minute later":       {time.Minute, 2},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			s := open(t, t.TempDir(), nil)
			count := s.CountCommits()
			add(t, s, entry("a", "p"))
			time.Sleep(test.idle)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if n := count(); n != test.commits {
				t.Errorf("%d commits, want %d", n, test.commits)
			}
		}))
	}
}

// A call whose context has ended writes nothing, however often it is made.
func TestEndedContextWritesNothing(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	count := s.CountCommits()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 500 {
		err := keep(ctx, s, entry(fmt.Sprint(i), "p"))
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("Append: %v, want context.Canceled", err)
		}
	}
	if err := s.Check(t.Context()); err != nil || count() != 0 {
		t.Errorf("%d commits, %v; want none", count(), err)
	}
}
