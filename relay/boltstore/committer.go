package boltstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A commit takes at most maxBatch requests, and stops at maxBatchBytes of events: a disk syncs
// those in some ten milliseconds.
const (
	maxBatch      = 512
	maxBatchBytes = 4 << 20
)

// commitLoop is the committer, the only goroutine that writes. A request waits for the commit
// before it and for nothing else.
func (s *Store) commitLoop() {
	defer close(s.done)
	debug.SetPanicOnFault(true) // a page of the map that cannot be read must not end the process
	var batch []*request
	for {
		select {
		case r := <-s.requests:
			batch = append(batch[:0], r)
		case <-s.stop:
			s.saveClock()
			return
		}
		s.letCallersIn()
		bytes := batch[0].bytes()
	more:
		for len(batch) < maxBatch && bytes < maxBatchBytes {
			select {
			case r := <-s.requests:
				batch = append(batch, r)
				bytes += r.bytes()
			default:
				break more
			}
		}
		s.commitBatch(batch)
		clear(batch)
		s.mapped.touched(1) // the pages of the tree that the commit has read
		s.mapped.trim(s.db)
	}
}

// letCallersIn lets the callers of the last commit queue their next request, so that it is part of
// this commit. It stops after the first turn of the scheduler that brings no request.
func (s *Store) letCallersIn() {
	for n := -1; n < len(s.requests) && len(s.requests) < maxBatch; {
		n = len(s.requests)
		runtime.Gosched()
	}
}

// commitBatch commits the requests together and sends each its result.
func (s *Store) commitBatch(batch []*request) {
	var bytes int64
	for _, r := range batch {
		if r.taken.CompareAndSwap(false, true) {
			bytes += r.bytes()
		} else {
			r.refused = context.Canceled // its caller has gone
		}
	}
	err := s.usable(context.Background())
	if err == nil && bytes > 0 {
		if moved := s.inPlace(); moved != nil {
			refuseAppends(batch, moved)
		} else if err = s.reserve(bytes); errors.Is(err, store.ErrFull) {
			refuseAppends(batch, err)
			err = nil
		} else if err != nil {
			err = s.fail(err)
		}
	}
	for again := true; err == nil && again; {
		again, err = s.tryCommit(batch)
	}
	for _, r := range batch {
		switch {
		case r.refused != nil:
			r.result <- r.refused
		case err != nil:
			r.result <- err
		default:
			r.durable()
			r.result <- nil
		}
	}
}

// refuseAppends refuses what adds events to the file, and reports whether there was any.
func refuseAppends(batch []*request, err error) (any bool) {
	for _, r := range batch {
		if r.refused == nil && r.bytes() > 0 {
			r.refused, any = err, true
		}
	}
	return any
}

// tryCommit makes one transaction of the requests that are not refused. If a write fails, it aborts
// the transaction and refuses that request; again means that the others must be tried once more.
func (s *Store) tryCommit(batch []*request) (again bool, err error) {
	var tx *bolt.Tx
	defer func() {
		if p := recover(); p != nil {
			again, err = false, s.fail(fmt.Errorf("bbolt panicked: %v: %w", p, store.ErrDamaged))
			rollback(tx)
		}
	}()
	if tx, err = s.db.Begin(true); err != nil {
		return false, s.fail(err)
	}
	c := newCommit(s, tx)
	for _, r := range batch {
		if r.refused != nil {
			continue
		}
		if r.checked = r.check(c); r.checked != nil {
			continue
		}
		if err := r.write(c); err != nil {
			if !errors.Is(err, store.ErrDamaged) { // bbolt found a bucket in place of a value
				err = s.damage(err)
			}
			r.refused = err
			return true, s.abort(tx)
		}
	}
	if c.changed {
		if err = c.finish(); err == nil {
			began := time.Now()
			err = c.toDisk()
			s.metrics.Commit(time.Since(began))
		}
	}
	rollback(tx) // does nothing after a commit
	if err == nil {
		for _, r := range batch {
			if r.refused == nil {
				r.refused = r.checked
			}
		}
		s.publish(c)
		return false, nil
	}
	if !diskFull(err) {
		return false, s.fail(err)
	}
	full := fmt.Errorf("boltstore: %s: %w: %w", s.path, store.ErrFull, err)
	if err := s.reload(c); err != nil {
		return false, s.fail(fmt.Errorf("after %v: %w", full, err)) // not ErrFull: some may be kept
	}
	if refuseAppends(batch, full) {
		return true, nil // marks free space: they are tried alone
	}
	return false, full
}

// abort ends a transaction without a commit and reads the index anew.
func (s *Store) abort(tx *bolt.Tx) error {
	rollback(tx)
	if err := s.loadIndex(); err != nil {
		return s.fail(err)
	}
	return nil
}

// reload reads the index anew after a commit that found no space. It fails if the file has the
// commit all the same.
func (s *Store) reload(c *commit) error {
	var last int
	if err := s.view(func(tx *bolt.Tx) error { last = tx.ID(); return nil }); err != nil {
		return err
	}
	if last >= c.id {
		return errors.New("the commit that found no space is in the file")
	}
	return s.loadIndex()
}

// fail ends all leases and has every call return an error from now on, which it returns.
func (s *Store) fail(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
		s.endLeases()
	}
	return s.failure(err)
}

func (s *Store) failure(err error) error {
	return fmt.Errorf("boltstore: %s: %w: %w; check the disk, then restart the process",
		s.path, store.ErrFailed, err)
}

// publish shows callers what a commit changed, and wakes readers.
func (s *Store) publish(c *commit) {
	if c.changed {
		s.savedClock = c.now
		s.pendingBytes.Store(s.index.bytes)
	}
	for _, l := range c.lanes {
		l.lost.report(s.log, l.name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(c.renamed) > 0 {
		s.showNames(c.renamed)
	}
	for _, l := range c.lanes {
		s.holdings[l.name] = l.holdings()
		if l.arrived {
			s.owner(l.name).wake()
		}
	}
}
