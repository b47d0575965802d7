// Package boltstore is the durable store of one process: a single bbolt file.
//
// # Durability
//
// Append and Mark return nil only after an fsync. One goroutine commits: it takes whatever has queued up while the last
// commit was syncing into one transaction, so that concurrent callers share an fsync and nobody waits for a timer. The first
// failed commit is final: the store answers ErrFailed from then on, because a sync that failed can report success the next
// time without the data being on the disk.
//
// # File
//
// The file relay.db, 0600, in a directory made 0700, is locked: a second process is turned away with [ErrLocked]. Memory holds no
// bodies; the headers of the backlog are read by the lane that owns it. Settled entries are deleted and their pages used again.
// Dead letters stay.
package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/guance-relay/guance-relay/relay"
)

// ErrLocked: another process has the store open.
var ErrLocked = errors.New("the store is in use by another process")

// Options are the settings of a [Store]. A nil *Options and a zero field mean the defaults.
type Options struct {
	// MaxEntries bounds the unsettled entries of all lanes together; zero means 1,000,000. Append answers relay.ErrFull above it.
	MaxEntries int
	// Remembered is how many event IDs each lane keeps to recognise duplicates; zero means 100,000.
	Remembered int
}

// A Store is a relay.Store on one file. It is safe for concurrent use.
type Store struct {
	db   *bolt.DB
	path string
	opts Options

	jobs chan *job
	stop chan struct{} // closed by Close
	done chan struct{} // closed when the committer has ended

	mu     sync.Mutex
	failed error            // guarded by mu: the commit that failed
	closed bool             // guarded by mu
	lanes  map[string]*lane // guarded by mu
}

// lane is what memory holds of a lane.
type lane struct {
	// Owned by the committer.
	seen    map[string]bool
	oldest  []string
	pending int

	// Guarded by the store's mu.
	epoch uint64
	grown chan struct{} // closed and replaced when something is appended or the owner changes
}

var _ relay.Store = (*Store)(nil)

// Open opens the store in dir, making both if need be. It fails with [ErrLocked] if another process has it.
func Open(dir string, opts *Options) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("boltstore: making the directory: %w", err)
	}
	path := filepath.Join(dir, "relay.db")
	// A second for the lock: a process that is being replaced may still be closing.
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("boltstore: %s: %w: stop it, or give this one a directory of its own", path, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("boltstore: opening %s: %w; if the file is damaged, move it away to start empty and keep it for repair", path, err)
	}
	s := &Store{
		db: db, path: path, opts: *opts,
		jobs: make(chan *job, 1024), stop: make(chan struct{}), done: make(chan struct{}), lanes: make(map[string]*lane),
	}
	if s.opts.MaxEntries <= 0 {
		s.opts.MaxEntries = 1_000_000
	}
	if s.opts.Remembered <= 0 {
		s.opts.Remembered = 100_000
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("boltstore: reading %s: %w", path, err), db.Close())
	}
	go s.commit()
	return s, nil
}

// Close waits for the commit in flight and releases the file. Calls that wait answer relay.ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for _, l := range s.lanes {
		l.wake()
	}
	s.mu.Unlock()
	close(s.stop)
	<-s.done
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("boltstore: closing %s: %w", s.path, err)
	}
	return nil
}

// Check implements [relay.Store].
func (s *Store) Check(ctx context.Context) error {
	if err := s.usable(); err != nil {
		return err
	}
	return s.submit(ctx, func(*bolt.Tx) error {
		if s.total() >= s.opts.MaxEntries {
			return fmt.Errorf("boltstore: %d entries: %w", s.total(), relay.ErrFull)
		}
		return nil
	}, nil)
}

func (s *Store) usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failed != nil:
		return fmt.Errorf("boltstore: %w: %w; restart the process once the disk is well", relay.ErrFailed, s.failed)
	case s.closed:
		return fmt.Errorf("boltstore: %w", relay.ErrClosed)
	}
	return nil
}

// total is called by the committer.
func (s *Store) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, l := range s.lanes {
		n += l.pending
	}
	return n
}

// lane returns a lane's part in memory, made on first use.
func (s *Store) lane(name string) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[name]
	if l == nil {
		l = &lane{seen: make(map[string]bool), grown: make(chan struct{})}
		s.lanes[name] = l
	}
	return l
}

// wake tells readers to look again. The store's mu is held.
func (l *lane) wake() {
	close(l.grown)
	l.grown = make(chan struct{})
}
