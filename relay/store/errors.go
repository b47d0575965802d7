package store

import (
	"errors"
	"fmt"
)

// Errors of a [Store], wrapped with what happened. Callers compare them with errors.Is.
var (
	// ErrFull: the store or its disk holds as much as it may. Nothing was kept. The same call
	// succeeds once entries were settled or the disk has room.
	ErrFull = errors.New("the store is full")
	// ErrUnavailable: the store cannot be reached now. Whether the call took effect is not
	// certain. The caller may repeat it, unless it is a Mark, Revive or Drop: these end the lease,
	// see [Cluster]. An Append that is repeated under its Batch.Nonce keeps no event twice. An
	// ErrUnavailable never wraps the error of a context.
	ErrUnavailable = errors.New("the store is not available")
	// ErrClosed: the store was closed. Nothing was kept.
	ErrClosed = errors.New("the store is closed")
	// ErrFenced: the lease has ended. The call changed nothing. The caller must stop delivering.
	ErrFenced = errors.New("the lane has a newer owner")
	// ErrFailed: the disk refused a write or a sync. What was being written may or may not be
	// there. The store takes no further writes, because a sync that failed once can report
	// success later although the data is not on the disk.
	ErrFailed = errors.New("the store has failed")
	// ErrDamaged: what the store reads is not what it wrote. Nothing was changed.
	ErrDamaged = errors.New("the store is damaged")
	// ErrInUse: both lanes were used, and two lanes cannot become one. Nothing was changed.
	ErrInUse = errors.New("both lanes are in use")
	// ErrNotFound: there is no such entry or dead letter. Nothing was changed.
	ErrNotFound = errors.New("no such entry")
)

// A DamagedError names the entries that a store cannot list. It wraps [ErrDamaged].
type DamagedError struct {
	First, Last uint64 // sequence numbers; all that is pending between them
	Err         error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("entries %d to %d cannot be read: %v", e.First, e.Last, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }
