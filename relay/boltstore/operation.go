package boltstore

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/guance-relay/guance-relay/relay/store"
)

// An operation is what one call does in a commit. The committer calls its methods, and no other
// code does meanwhile. check and write run again if the transaction is repeated.
type operation interface {
	// bytes returns how much the operation adds to the file. Zero means that the operation goes
	// on while the disk is full.
	bytes() int64
	// check returns why the operation is refused. It changes nothing.
	check(*commit) error
	// write makes the changes. If it fails, the transaction is repeated without the operation.
	write(*commit) error
	// durable runs once the commit is on the disk.
	durable()
}

// noOperation does nothing. An operation embeds it and has the methods that it needs.
type noOperation struct{}

func (noOperation) bytes() int64        { return 0 }
func (noOperation) check(*commit) error { return nil }
func (noOperation) write(*commit) error { return nil }
func (noOperation) durable()            {}

// A request is an operation in the queue of the committer.
type request struct {
	operation
	result  chan error
	taken   atomic.Bool // by the committer, or by the caller who gives up
	refused error       // the operation is not part of the commit
	checked error       // what check returned in the last transaction
}

func newRequest(op operation) *request {
	return &request{operation: op, result: make(chan error, 1)}
}

// submit gives an operation to the committer and waits until it is durable.
func (s *Store) submit(ctx context.Context, op operation) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	r := newRequest(op)
	select {
	case s.requests <- r:
	case <-s.stop:
		return fmt.Errorf("boltstore: %w", store.ErrClosed)
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.result:
		return err
	case <-s.done:
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
	}
	// The operation is in a commit, or the store was closed: only the result says what is kept.
	select {
	case err := <-r.result:
		return err
	case <-s.done:
		select {
		case err := <-r.result:
			return err
		default:
			return fmt.Errorf("boltstore: %w", store.ErrClosed)
		}
	}
}
