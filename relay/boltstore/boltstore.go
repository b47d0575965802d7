// Package boltstore is the durable store of one process: one bbolt file in a directory.
//
//	db, err := boltstore.Open("relay-data", nil)
//	defer db.Close()
//	r, err := relay.New(db, nil)
//
// # Durability
//
// Append, Rename, Mark, Revive, Drop and SetPause return nil only after an fsync. One goroutine,
// the committer, writes the file. It takes all calls that came during the last fsync into one
// transaction. So concurrent callers share an fsync, and no call waits for a timer.
//
// After a failed write or fsync, the store returns [store.ErrFailed] from every call. The kernel
// may have dropped the data, and the next fsync may report success all the same. A full disk is
// different: appends return [store.ErrFull] and keep nothing, and marks go on in space that is
// reserved for them.
//
// # File
//
// The file is relay.db, of mode 0600, in a directory of mode 0700. The store locks it: a second
// process gets [ErrLocked]. If the file is removed or replaced during use, appends return
// [ErrMoved] and marks go on. If the file is cut short or damaged, Open returns
// [store.ErrDamaged], or the call does that reads the damaged part. docs/operations.md says what
// to do then, where to put the file and how to copy it.
//
// # Bounds
//
// Memory holds counters, some 55 bytes for each remembered event ID, and some 32 for each problem
// that is pending, dead or open, in each lane. Events stay on disk. A segment of the file holds at
// most as many bytes of settled entries as of pending ones, and the file uses free space again.
// Each commit deletes a few outcomes, dead letters and records that are too old or too many. Ages
// count the store's own time, see [Store.Clock], and not the wall clock's. [Options] has the
// bounds.
package boltstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/internal/storemetrics"
	"github.com/guance-relay/guance-relay/relay/store"
)

// ErrLocked: the store is open already, usually in another process.
var ErrLocked = errors.New("the store is in use")

// A Store is a [store.Store] on one file. It is safe for concurrent use.
type Store struct {
	db   *bolt.DB
	file *os.File    // bbolt's own; the store reserves space in it
	info os.FileInfo // of file, to recognise another file at its path
	path string
	opts Options
	log  *slog.Logger

	openedAt    time.Time     // with the monotonic clock
	clockAtOpen time.Duration // the store's time at openedAt

	// commitHook makes each commit if it is set. Tests put failures here.
	commitHook atomic.Pointer[func(commit func() error) error]

	requests chan *request
	stop     chan struct{} // closed by Close
	done     chan struct{} // closed when the committer has ended

	mapped       residency
	metrics      *storemetrics.Metrics
	pendingBytes atomic.Int64 // of the index, as of the last commit

	// Owned by the committer.
	index      *index
	encoded    []byte        // segments of the transaction
	reserved   int64         // the file has blocks on the disk up to this offset
	moved      bool          // the file is not at its path
	expired    int           // in index.all: the last lane expired without a change of its own
	savedClock time.Duration // the store's time at the last commit
	closing    error         // why the store's time was not saved by Close

	mu sync.Mutex
	// Guarded by mu. Lanes have their present names here.
	failed   error // the commit that failed
	closed   bool
	owners   map[string]*owner
	holdings map[string]store.Holdings
	renamed  map[string]string // each earlier name, with the present one
}

var _ store.Store = (*Store)(nil)

// Open opens the store in dir. It creates the directory and the file if they do not exist. It
// returns [ErrLocked] if the store is open already, and [store.ErrDamaged] if the file is not what
// a store wrote.
func Open(dir string, opts *Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{
		opts: o, requests: make(chan *request, maxBatch),
		stop: make(chan struct{}), done: make(chan struct{}),
		owners: make(map[string]*owner), holdings: make(map[string]store.Holdings),
	}
	s.log = s.opts.Logger
	if err := s.openFile(dir); err != nil {
		return nil, err
	}
	s.metrics, err = storemetrics.New(o.MeterProvider, s.usage)
	if err == nil {
		err = s.loadClock()
	}
	if err == nil {
		err = s.loadIndex()
	}
	if err == nil {
		s.showNames(nil)
		err = s.expireAtOpen()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("boltstore: reading %s: %w", s.path, err), s.metrics.Close(),
			s.db.Close())
	}
	s.pendingBytes.Store(s.index.bytes)
	s.mapped.release(s.db)
	go s.commitLoop()
	return s, nil
}

// Close waits for the commit in flight and closes the file. Calls that wait return
// [store.ErrClosed]. To close a store twice is no error.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.done
		return nil
	}
	s.closed = true
	s.endLeases()
	s.mu.Unlock()
	close(s.stop)
	<-s.done
	s.closing = errors.Join(s.closing, s.metrics.Close())
	if err := s.db.Close(); err != nil {
		return errors.Join(s.closing, fmt.Errorf("boltstore: closing %s: %w", s.path, err))
	}
	return s.closing
}

// usable returns an error if the store is closed or has failed, or if ctx has ended.
func (s *Store) usable(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return fmt.Errorf("boltstore: %w", store.ErrClosed)
	case s.failed != nil:
		return s.failure(s.failed)
	}
	return ctx.Err()
}

// Holdings implements [store.Store].
func (s *Store) Holdings(ctx context.Context) (map[string]store.Holdings, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	holdings := maps.Clone(s.holdings)
	maps.DeleteFunc(holdings, func(_ string, h store.Holdings) bool {
		return h == store.Holdings{}
	})
	return holdings, nil
}
