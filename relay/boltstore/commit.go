package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/guance-relay/guance-relay/relay/store"
)

const (
	// maxBatch bounds how many calls one commit takes, and maxBatchBytes how many bytes of events: what a disk syncs in some ten
	// milliseconds.
	maxBatch      = 512
	maxBatchBytes = 4 << 20
)

// A job is one caller's part of a commit. A commit may be tried again without one of its jobs, and then asks the others anew.
type job struct {
	bytes int64               // what the job adds to the file; zero for what must go on when the disk is full
	check func(*commit) error // may refuse the job, and changes nothing; nil refuses nothing
	write func(*commit) error // an error undoes the whole commit, and refuses the job; nil writes nothing
	after func()              // runs once the commit is durable
	done  chan error
	taken atomic.Bool // by the committer, or by the caller who gives up
}

// submit has the committer run a job and waits until it is durable.
func (s *Store) submit(ctx context.Context, j *job) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	j.done = make(chan error, 1)
	select {
	case s.jobs <- j:
	case <-s.stop:
		return fmt.Errorf("boltstore: %w", store.ErrClosed)
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-j.done:
		return err
	case <-s.done:
	case <-ctx.Done():
		if j.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
	}
	// The job is being committed, or was when the store closed: the caller waits for the truth.
	select {
	case err := <-j.done:
		return err
	case <-s.done:
		select {
		case err := <-j.done:
			return err
		default:
			return fmt.Errorf("boltstore: %w", store.ErrClosed)
		}
	}
}

// commit is the one goroutine that writes. The previous fsync is the only delay.
func (s *Store) commit() {
	defer close(s.done)
	debug.SetPanicOnFault(true) // a page of the map that cannot be read is an error, not the end of the process
	var batch []*job
	for {
		select {
		case j := <-s.jobs:
			batch = append(batch[:0], j)
		case <-s.stop:
			s.saveClock()
			return
		}
		s.gather()
		bytes := batch[0].bytes
	more:
		for len(batch) < maxBatch && bytes < maxBatchBytes {
			select {
			case j := <-s.jobs:
				batch = append(batch, j)
				bytes += j.bytes
			default:
				break more
			}
		}
		s.commitBatch(batch)
		clear(batch)
		s.mapped.touched(1) // the pages of the tree that it has read
		s.mapped.trim(s.db)
	}
}

// saveClock keeps the time since the last commit, when the store closes. Without room it is not counted, which makes everything a little younger.
func (s *Store) saveClock() {
	s.mu.Lock()
	failed := s.failed
	s.mu.Unlock()
	if failed != nil || s.Clock() == s.saved {
		return
	}
	_, err := s.try([]*job{{write: func(c *commit) error { c.changed = true; return nil }}}, make([]error, 1))
	if err != nil && !errors.Is(err, store.ErrFull) {
		s.closing = err
	}
}

// gather lets those whom the last commit released come again before the next one begins. It does not wait for anybody: once a turn of the
// scheduler has brought nothing, nobody is about to come.
func (s *Store) gather() {
	for n := -1; n < len(s.jobs) && len(s.jobs) < maxBatch; {
		n = len(s.jobs)
		runtime.Gosched()
	}
}

// commitBatch commits jobs and answers all of them.
func (s *Store) commitBatch(batch []*job) {
	refused := make([]error, len(batch)) // what is not tried (again)
	var bytes int64
	for i, j := range batch {
		if !j.taken.CompareAndSwap(false, true) {
			refused[i] = context.Canceled // nobody waits for it
		} else {
			bytes += j.bytes
		}
	}
	err := s.usable(context.Background())
	if err == nil && bytes > 0 {
		if moved := s.inPlace(); moved != nil {
			refuseAppends(batch, refused, moved)
		} else if err = s.reserve(bytes); errors.Is(err, store.ErrFull) {
			refuseAppends(batch, refused, err)
			err = nil
		} else if err != nil {
			err = s.fail(err)
		}
	}
	for again := true; err == nil && again; {
		again, err = s.try(batch, refused)
	}
	for i, j := range batch {
		switch {
		case refused[i] != nil:
			j.done <- refused[i]
		case err != nil:
			j.done <- err
		default:
			if j.after != nil {
				j.after()
			}
			j.done <- nil
		}
	}
}

// refuseAppends refuses what adds events to the file, and reports whether there was any.
func refuseAppends(batch []*job, refused []error, err error) (any bool) {
	for i, j := range batch {
		if j.bytes > 0 && refused[i] == nil {
			refused[i], any = err, true
		}
	}
	return any
}

// try commits the jobs that are not refused. It adds to refused, and asks to be called again if what it refused had been written before.
func (s *Store) try(batch []*job, refused []error) (again bool, err error) {
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
	s.encoded = s.encoded[:0]
	c := &commit{tx: tx, store: s, now: s.Clock(), lanes: make(map[string]*lane)}
	checked := make([]error, len(batch))
	for i, j := range batch {
		if refused[i] != nil {
			continue
		}
		if j.check != nil {
			if checked[i] = j.check(c); checked[i] != nil {
				continue
			}
		}
		if j.write == nil {
			continue
		}
		if err := j.write(c); err != nil {
			if !errors.Is(err, store.ErrDamaged) { // bbolt found a bucket where there was none, or the reverse
				err = fmt.Errorf("boltstore: %s: %w: %w; see docs/durability.md", s.path, store.ErrDamaged, err)
			}
			refused[i] = err
			return true, s.undo(tx)
		}
	}
	if c.changed {
		err = c.finish()
	}
	if !c.changed || err != nil {
		rollback(tx)
	} else {
		err = s.commitTx(tx)
		rollback(tx) // for a commit that did not come to pass; otherwise it does nothing
	}
	switch {
	case err == nil:
		for i := range checked {
			if refused[i] == nil {
				refused[i] = checked[i]
			}
		}
		s.committed(c)
		return false, nil
	case noRoom(err):
		full := fmt.Errorf("boltstore: %s: %w: %w", s.path, store.ErrFull, err)
		if err := s.reload(c); err != nil {
			return false, s.fail(fmt.Errorf("after %v: %w", full, err)) // not ErrFull: something may be kept
		}
		if refuseAppends(batch, refused, full) {
			return true, nil // marks make room: they are tried alone
		}
		return false, full
	default:
		return false, s.fail(err)
	}
}

func (s *Store) commitTx(tx *bolt.Tx) error {
	if fn := s.sync.Load(); fn != nil {
		return (*fn)(tx.Commit)
	}
	return tx.Commit()
}

// rollback ends a transaction whatever its state, so that the file can be closed.
func rollback(tx *bolt.Tx) {
	if tx != nil {
		defer func() { _ = recover() }() // bbolt that has panicked once may do so again; the store has failed then
		_ = tx.Rollback()                // the only error is that it has ended
	}
}

// undo gives a transaction up and brings the books back to what the file says.
func (s *Store) undo(tx *bolt.Tx) error {
	rollback(tx)
	if err := s.load(); err != nil {
		return s.fail(err)
	}
	return nil
}

// reload brings the books back after a commit that found no room, once it is sure that the file has nothing of it.
func (s *Store) reload(c *commit) error {
	var last int
	if err := s.view(func(tx *bolt.Tx) error { last = tx.ID(); return nil }); err != nil {
		return err
	}
	if last >= c.id {
		return errors.New("the commit that found no room is in the file")
	}
	return s.load()
}

// noRoom reports whether a write, and not a sync, found no room. bbolt writes pages that nothing points to and then, after a sync, the
// page that points to them, in place: without room nothing has changed. A sync that finds no room is a failure like any other of a sync.
func noRoom(err error) bool {
	if _, write := errors.AsType[*fs.PathError](err); write {
		return outOfRoom(err)
	}
	// Of an error from growing the file, which comes before the first write, bbolt keeps the text alone.
	text, grow := strings.CutPrefix(err.Error(), "file resize error: ")
	return grow && (strings.HasSuffix(text, syscall.ENOSPC.Error()) || strings.HasSuffix(text, syscall.EDQUOT.Error()) || strings.HasSuffix(text, syscall.EFBIG.Error()))
}

func outOfRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// fail ends the store's service and returns what it answers from now on.
func (s *Store) fail(err error) error {
	s.mu.Lock()
	if s.failed == nil {
		s.failed = err
		s.endLeases()
	}
	s.mu.Unlock()
	return fmt.Errorf("boltstore: %s: %w: %w; restart the process once the disk is well", s.path, store.ErrFailed, err)
}

// committed makes known what a commit changed.
func (s *Store) committed(c *commit) {
	if c.changed {
		s.saved = c.now
	}
	for name, l := range c.lanes {
		l.lost.report(s.log, name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, l := range c.lanes {
		s.held[name] = l.holdings()
		if l.arrived {
			s.owner(name).wake()
		}
	}
}

// publish makes known what all lanes hold.
func (s *Store) publish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = make(map[string]store.Holdings, len(s.books.lanes))
	for name, b := range s.books.lanes {
		s.held[name] = b.holdings()
	}
}

// view runs fn in a read transaction. What the map of the file does not yield is damage.
func (s *Store) view(fn func(*bolt.Tx) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("boltstore: %s: %v: %w; see docs/durability.md", s.path, p, store.ErrDamaged)
		}
	}()
	err = s.db.View(fn)
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return fmt.Errorf("boltstore: %w", store.ErrClosed)
	}
	return err
}

// A commit is one write transaction and what it changes.
type commit struct {
	tx      *bolt.Tx
	id      int
	store   *Store
	now     time.Duration // by the store's clock
	changed bool          // there is something to commit
	lanes   map[string]*lane
}

// lane returns a lane of the transaction; nil if there is none and it is not to be made.
func (c *commit) lane(name string, create bool) (*lane, error) {
	if l := c.lanes[name]; l != nil {
		return l, nil
	}
	b := laneBucket(c.tx, name)
	if b == nil {
		if !create {
			return nil, nil
		}
		var err error
		if b, err = makeLane(c.tx, name); err != nil {
			return nil, err
		}
	}
	l := newLane(c, name, b)
	c.lanes[name] = l
	return l, nil
}

// encode returns the value of a segment, which is good until the next transaction begins: bbolt refers to it until it has committed. The
// room is used again, as it would be half of what a commit allocates.
func (s *Store) encode(items []item) []byte {
	if cap(s.encoded) > 2*maxBatchBytes { // of one very large event
		s.encoded = nil
	}
	start := len(s.encoded)
	s.encoded = appendSegment(s.encoded, items)
	return s.encoded[start:len(s.encoded):len(s.encoded)]
}

// finish writes what the jobs have left to be written together, and forgets a little of what is old.
func (c *commit) finish() error {
	c.id = c.tx.ID()
	for _, l := range c.lanes {
		if err := l.flush(); err != nil {
			return err
		}
	}
	// It stands in the page of the root bucket, which every commit writes: it costs no page and no sync.
	if err := c.tx.Bucket(metaBucket).Put(clockKey, encodeClock(c.now)); err != nil {
		return err
	}
	return c.tidy()
}
