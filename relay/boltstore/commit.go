package boltstore

import (
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay"
)

// maxBatch bounds how much one commit takes: about a megabyte of bodies, which a disk syncs in milliseconds.
const maxBatch = 512

// A job is one caller's part of a commit.
type job struct {
	check func(*bolt.Tx) error // may refuse the job; changes nothing
	write func(*bolt.Tx) error // an error fails the whole commit
	after func()               // runs once the commit is durable
	done  chan error
}

// submit has the committer run a job and waits until it is durable. check alone (write nil) is answered without a write.
func (s *Store) submit(ctx context.Context, check, write func(*bolt.Tx) error, after ...func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{check: check, write: write, done: make(chan error, 1)}
	if len(after) > 0 {
		j.after = after[0]
	}
	select {
	case s.jobs <- j:
	case <-s.stop:
		return fmt.Errorf("boltstore: %w", relay.ErrClosed)
	case <-ctx.Done():
		return ctx.Err() // not queued: nothing was kept
	}
	// From here on the job may be committed: the caller waits for the truth, whatever its context says.
	select {
	case err := <-j.done:
		return err
	case <-s.done:
		select {
		case err := <-j.done:
			return err
		default:
			return fmt.Errorf("boltstore: %w", relay.ErrClosed)
		}
	}
}

// commit is the one goroutine that writes. The previous fsync is the only delay.
func (s *Store) commit() {
	defer close(s.done)
	for {
		var batch []*job
		select {
		case j := <-s.jobs:
			batch = append(batch, j)
		case <-s.stop:
			return
		}
	more:
		for len(batch) < maxBatch {
			select {
			case j := <-s.jobs:
				batch = append(batch, j)
			default:
				break more
			}
		}
		s.commitBatch(batch)
	}
}

func (s *Store) commitBatch(batch []*job) {
	if err := s.usable(); err != nil {
		for _, j := range batch {
			j.done <- err
		}
		return
	}
	refused := make([]error, len(batch))
	err := s.db.Update(func(tx *bolt.Tx) error {
		for i, j := range batch {
			if j.check != nil {
				if refused[i] = j.check(tx); refused[i] != nil {
					continue
				}
			}
			if j.write != nil {
				if err := j.write(tx); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		s.mu.Lock()
		s.failed = err
		for _, l := range s.lanes {
			l.wake()
		}
		s.mu.Unlock()
		err = s.usable()
	}
	for i, j := range batch {
		switch {
		case err != nil:
			j.done <- err
		case refused[i] != nil:
			j.done <- refused[i]
		default:
			if j.after != nil {
				j.after()
			}
			j.done <- nil
		}
	}
}
