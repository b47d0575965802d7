// Package boltstore is the durable store of one process: a single bbolt file.
//
// # Durability
//
// Append, Mark, Revive and Drop return nil only after an fsync. One goroutine commits: it takes whatever has queued up while the last
// commit was syncing into one transaction, so that concurrent callers share an fsync and nobody waits for a timer.
//
// A write or sync that fails is final: the store answers relay.ErrFailed from then on, because a sync that failed can report success
// the next time without the data being on the disk. A disk without room is no failure: appends answer relay.ErrFull, nothing is kept
// of them, and marks go on in room that was set aside for them.
//
// # File
//
// The file relay.db, 0600, in a directory made 0700, is locked: a second process is turned away with [ErrLocked]. If the file is removed or
// replaced while it is in use, appends answer [ErrMoved], and marks go on. A file that is cut
// short or not what the store wrote is refused with relay.ErrDamaged, at Open or when the damaged part is read. docs/durability.md
// says what to do then, how to copy the file, and why not to put it on NFS.
//
// # Bounds
//
// Memory holds counters, some 55 bytes for each of the newest event IDs and some 20 for each problem that is pending or dead. Events stay on disk; their
// room is used again once they are settled, and a segment of the file holds at most as much that is settled as it holds that is not.
// Outcomes, dead letters and records of problems are forgotten by number and age, a few in each commit. Ages count the store's own time
// and not the wall clock's, see [Store.Clock]. See [Options].
package boltstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// ErrLocked: the store is open already, mostly in another process.
var ErrLocked = errors.New("the store is in use")

// Options are the settings of a [Store]. A nil *Options and a zero or negative field mean the defaults.
type Options struct {
	// MaxEntries bounds the unsettled entries of all lanes together; zero means 1,000,000. Append answers relay.ErrFull above it.
	MaxEntries int
	// MaxBytes bounds what the unsettled entries of all lanes take, in bytes of events and their headers; zero means 4 GiB.
	// Append answers relay.ErrFull above it. Dead letters may take a quarter of it besides; then the oldest of the lane go.
	MaxBytes int64
	// Remembered is how many event IDs each lane keeps to recognise duplicates: 16 bytes each in the file and some 55 in memory. Zero
	// means 100,000.
	Remembered int
	// History is how many outcomes of each lane are kept for History, the last ones; zero means 10,000.
	History int
	// MaxDead is how many dead letters each lane keeps, the oldest go first; zero means 100,000. Their outcomes stay in the history.
	MaxDead int
	// DeadAge is how long dead letters are kept after they died, by the store's time; zero means 30 days.
	DeadAge time.Duration
	// MaxRecords is how many problems of each lane are remembered that have nothing pending and no dead letter, some 200 bytes of the
	// file each; zero means 200,000. Above it those go first that are not open at the target, and of them the ones that have not changed
	// for the longest time. That one of an open problem had to go is logged at level ERROR: its recovery will not be sent.
	MaxRecords int
	// Logger takes what an operator must see and no call returns; nil means slog.Default().
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	orDefault(&d.MaxEntries, 1_000_000)
	orDefault(&d.MaxBytes, 4<<30)
	orDefault(&d.Remembered, 100_000)
	orDefault(&d.History, 10_000)
	orDefault(&d.MaxDead, 100_000)
	orDefault(&d.DeadAge, 30*24*time.Hour)
	orDefault(&d.MaxRecords, 200_000)
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return d
}

func orDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// A Store is a relay.Store on one file. It is safe for concurrent use.
type Store struct {
	db   *bolt.DB
	file *os.File    // bbolt's own, to reserve room in it
	info os.FileInfo // of file, to tell it from another one in its place
	path string
	opts Options

	log *slog.Logger

	opened time.Time     // with the monotonic clock
	before time.Duration // the store's time then

	sync atomic.Pointer[func(commit func() error) error] // makes each commit if it is set: tests put failures here

	jobs chan *job
	stop chan struct{} // closed by Close
	done chan struct{} // closed when the committer has ended

	mapped residency

	// Owned by the committer.
	books     *books
	encoded   []byte        // segments of the transaction
	allocated int64         // how far the file has room on the disk
	moved     bool          // the file is not in its place
	turn      string        // the lane whose turn it was to be tidied
	saved     time.Duration // the store's time as of the last commit
	closing   error         // why the store's time could not be saved at the end

	mu     sync.Mutex
	failed error             // guarded by mu: the commit that failed
	closed bool              // guarded by mu
	owners map[string]*owner // guarded by mu
	held   map[string]store.Holdings
}

// An owner is who may deliver for a lane.
type owner struct {
	lease *lease        // the newest; nil: none yet
	grown chan struct{} // closed and replaced when something is appended or the owner changes
}

var _ store.Store = (*Store)(nil)

// Open opens the store in dir, making both if need be. It fails with [ErrLocked] if the store is open already, and with
// relay.ErrDamaged if the file is not what a store wrote.
func Open(dir string, opts *Options) (*Store, error) {
	s := &Store{
		opts: opts.withDefaults(),
		jobs: make(chan *job, maxBatch), stop: make(chan struct{}), done: make(chan struct{}), owners: make(map[string]*owner),
	}
	s.log = s.opts.Logger
	if err := s.openFile(dir); err != nil {
		return nil, err
	}
	err := s.loadClock()
	if err == nil {
		err = s.load()
	}
	if err == nil {
		s.publish()
		err = s.tidyAtOpen()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("boltstore: reading %s: %w", s.path, err), s.db.Close())
	}
	s.mapped.forget(s.db)
	go s.commit()
	return s, nil
}

// Close waits for the commit in flight and releases the file. Calls that wait answer relay.ErrClosed. Closing twice is no error.
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
	if err := s.db.Close(); err != nil {
		return errors.Join(s.closing, fmt.Errorf("boltstore: closing %s: %w", s.path, err))
	}
	return s.closing
}

// Clock implements [store.Store]. It is what the file says and the time since it was opened, by the monotonic clock.
func (s *Store) Clock() time.Duration { return s.before + time.Since(s.opened) }

// loadClock reads what the file says.
func (s *Store) loadClock() error {
	return s.view(func(tx *bolt.Tx) (err error) {
		s.before, err = decodeClock(tx.Bucket(metaBucket).Get(clockKey))
		s.opened, s.saved = time.Now(), s.before
		return err
	})
}

// Check implements [store.Store].
func (s *Store) Check(ctx context.Context) error {
	return s.submit(ctx, &job{check: func(c *commit) error {
		if err := s.inPlace(); err != nil {
			return err
		}
		if err := s.full(1, 0); err != nil {
			return err
		}
		return s.reserve(usualEvent)
	}})
}

// full refuses what would pass the bounds. The committer calls it.
func (s *Store) full(entries int, bytes int64) error {
	if n := s.books.pending; n+entries > s.opts.MaxEntries {
		return fmt.Errorf("boltstore: %d entries are pending and %d are allowed: %w", n, s.opts.MaxEntries, store.ErrFull)
	}
	if n := s.books.bytes; n+bytes > s.opts.MaxBytes {
		return fmt.Errorf("boltstore: %d bytes are pending and %d are allowed: %w", n, s.opts.MaxBytes, store.ErrFull)
	}
	return nil
}

// Holdings implements [store.Store].
func (s *Store) Holdings(ctx context.Context) (map[string]store.Holdings, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	holdings := make(map[string]store.Holdings, len(s.held))
	for name, h := range s.held {
		if h != (store.Holdings{}) {
			holdings[name] = h
		}
	}
	return holdings, nil
}

// usable answers why nothing can be asked of the store any more.
func (s *Store) usable(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return fmt.Errorf("boltstore: %w", store.ErrClosed)
	case s.failed != nil:
		return fmt.Errorf("boltstore: %s: %w: %w; restart the process once the disk is well", s.path, store.ErrFailed, s.failed)
	}
	return ctx.Err()
}

// owner returns who may deliver for a lane, made on first use. The store's mu is held.
func (s *Store) owner(lane string) *owner {
	o := s.owners[lane]
	if o == nil {
		o = &owner{grown: make(chan struct{})}
		s.owners[lane] = o
	}
	return o
}

// wake tells a lane's readers to look again. The store's mu is held.
func (o *owner) wake() {
	close(o.grown)
	o.grown = make(chan struct{})
}

// endLeases ends all ownerships, and so wakes all readers. The store's mu is held.
func (s *Store) endLeases() {
	for _, o := range s.owners {
		o.lease.end()
	}
}
