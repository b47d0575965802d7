package boltstore

import (
	"sync/atomic"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// OnCommit makes fn do each commit. With nil, commits are as usual. Call it from fn, or while no
// other call runs.
func (s *Store) OnCommit(fn func(commit func() error) error) {
	if fn == nil {
		fn = func(commit func() error) error { return commit() }
	}
	s.commitHook.Store(&fn)
}

// FailNext makes the next commit fail with err. With landed, the commit is on the disk all the
// same.
func (s *Store) FailNext(err error, landed bool) {
	s.OnCommit(func(commit func() error) error {
		s.OnCommit(nil)
		if landed {
			if err := commit(); err != nil {
				return err
			}
		}
		return err
	})
}

// NoSync turns syncs off. Call it right after Open.
func (s *Store) NoSync() { s.db.NoSync = true }

// CloseFile closes the file, which the store does not know.
func (s *Store) CloseFile(t *testing.T) {
	t.Helper()
	if err := s.file.Close(); err != nil {
		t.Fatal(err)
	}
}

// CountCommits returns a function that returns the number of commits since this call.
func (s *Store) CountCommits() func() int64 {
	var n atomic.Int64
	s.OnCommit(func(commit func() error) error {
		n.Add(1)
		return commit()
	})
	return n.Load
}

// Queued returns the number of calls that wait for a commit.
func (s *Store) Queued() int { return len(s.requests) }

// QueueSize returns how many calls can wait for a commit.
func (s *Store) QueueSize() int { return cap(s.requests) }

// PretendReserved makes the store believe that the file has all the space that it may need.
func (s *Store) PretendReserved(t *testing.T) {
	t.Helper()
	if err := s.submit(t.Context(), pretendOp{}); err != nil {
		t.Fatal(err)
	}
}

type pretendOp struct{ noOperation }

func (pretendOp) check(c *commit) error { c.store.reserved = 1 << 50; return nil }

// AgeKeys returns how many age keys a lane has for its records.
func (s *Store) AgeKeys(t *testing.T, lane string) (n int) {
	t.Helper()
	err := s.viewLane(lane, func(b *bolt.Bucket, _ string) error {
		n = b.Bucket(openPart).Stats().KeyN + b.Bucket(closedPart).Stats().KeyN
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Records returns how many records of problems a lane has in the file.
func (s *Store) Records(t *testing.T, lane string) (n int) {
	t.Helper()
	err := s.viewLane(lane, func(b *bolt.Bucket, _ string) error {
		return b.Bucket(recordsPart).ForEach(func(_, _ []byte) error { n++; return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Readers returns how many read transactions are open.
func (s *Store) Readers() int { return s.db.Stats().OpenTxN }

// ReadUntil keeps a read transaction open until done is closed.
func (s *Store) ReadUntil(t *testing.T, done <-chan struct{}) {
	t.Helper()
	tx, err := s.db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-done
		_ = tx.Rollback()
	}()
}
