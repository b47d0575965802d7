package simulate

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A condition is the state of a disk.
type condition int

const (
	sound   condition = iota
	full              // it takes no new entries
	failing           // the next write fails, and may be on the disk nevertheless
)

func (c condition) String() string { return [...]string{"sound", "full", "failing"}[c] }

// A disk outlives the processes that write to it. Its store records what was really stored.
type disk struct {
	store  *relaytest.StoreRecorder
	takes  time.Duration // of one call, at most
	random func() float64

	mu    sync.Mutex
	of    condition
	until time.Time
}

func newDisk(s *relaytest.StoreRecorder, takes time.Duration, random func() float64) *disk {
	return &disk{store: s, takes: takes, random: random}
}

// set sets the condition for some time.
func (d *disk) set(c condition, lasts time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.of, d.until = c, time.Now().Add(lasts)
}

// condition returns the condition of the disk; failing is returned once.
func (d *disk) condition() condition {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Now().After(d.until) {
		return sound
	}
	c := d.of
	if c == failing {
		d.of = sound
	}
	return c
}

// A mount is the disk of one process. Each call takes time, in which the process may die: the write
// has then happened or not, and the call returns an error. It wraps any store, as some seeds are
// played on boltstore, and as the store outlives the process.
type mount struct {
	*disk
	dead   *atomic.Bool // the process was killed
	failed atomic.Bool  // a write failed, and all later calls fail
}

// pass waits for half the time of a call.
func (m *mount) pass() { time.Sleep(time.Duration(m.random() * float64(m.takes/2))) }

// write calls fn, or fails.
func (m *mount) write(fn func() error) error { return m.attempt(fn, false) }

// attempt is write. If reserved is true, a full disk has space for it.
func (m *mount) attempt(fn func() error, reserved bool) error {
	m.pass()
	switch {
	case m.dead.Load():
		return store.ErrClosed
	case m.failed.Load():
		return store.ErrFailed
	}
	switch c := m.condition(); {
	case c == full && !reserved:
		return fmt.Errorf("no space left on device: %w", store.ErrFull)
	case c == failing:
		m.failed.Store(true)
		if m.random() < .5 {
			_ = fn() // the write is on the disk
		}
		return fmt.Errorf("input/output error: %w", store.ErrFailed)
	}
	if err := fn(); err != nil {
		return err
	}
	m.pass()
	if m.dead.Load() {
		return store.ErrClosed
	}
	return nil
}

func (m *mount) Append(_ context.Context, b *store.Batch) error {
	return m.write(func() error { return m.store.Append(context.Background(), b) })
}

func (m *mount) Acquire(ctx context.Context, g store.Group) (store.Lease, error) {
	l, err := m.store.Acquire(ctx, g)
	if err != nil {
		return nil, err
	}
	return &lease{l, m}, nil
}

func (m *mount) Check(context.Context) error {
	if m.failed.Load() {
		return store.ErrFailed
	}
	return nil
}

func (m *mount) Clock() time.Duration { return m.disk.store.Clock() }

func (m *mount) Holdings(ctx context.Context) (map[string]store.Holdings, error) {
	return m.store.Holdings(ctx)
}

func (m *mount) Rename(ctx context.Context, from, to string) error {
	return m.write(func() error { return m.store.Rename(ctx, from, to) })
}

func (m *mount) Renamed(ctx context.Context) (map[string]string, error) {
	return m.store.Renamed(ctx)
}

func (m *mount) History(ctx context.Context, lane, problem string) ([]store.Settlement, error) {
	return m.store.History(ctx, lane, problem)
}

func (m *mount) DeadLetters(
	ctx context.Context, lane string, after uint64, limit int,
) ([]store.Settlement, error) {
	return m.store.DeadLetters(ctx, lane, after, limit)
}

func (m *mount) OpenProblems(
	ctx context.Context, lane, from string, limit int,
) ([]store.OpenProblem, string, error) {
	return m.store.OpenProblems(ctx, lane, from, limit)
}

type lease struct {
	store.Lease
	mount *mount
}

func (l *lease) Lane(name string) store.Lane { return &lane{l.Lease.Lane(name), l.mount} }

type lane struct {
	store.Lane
	mount *mount
}

func (l *lane) Read(ctx context.Context, after uint64, limit int) ([]*store.Entry, error) {
	l.mount.pass()
	return l.Lane.Read(ctx, after, limit)
}

func (l *lane) Load(ctx context.Context, seq uint64) (*store.Entry, error) {
	l.mount.pass()
	return l.Lane.Load(ctx, seq)
}

func (l *lane) Mark(ctx context.Context, marks []store.Mark) error {
	// A store reserves space for marks: otherwise a lane could settle nothing on a full disk.
	return l.mount.attempt(func() error { return l.Lane.Mark(ctx, marks) }, true)
}

func (l *lane) Revive(ctx context.Context, seq uint64) (e *store.Entry, err error) {
	err = l.mount.write(func() error { e, err = l.Lane.Revive(ctx, seq); return err })
	return e, err
}

func (l *lane) SetPause(ctx context.Context, p store.Pause) error {
	return l.mount.attempt(func() error { return l.Lane.SetPause(ctx, p) }, true)
}

func (l *lane) Drop(ctx context.Context, seq uint64) error {
	return l.mount.write(func() error { return l.Lane.Drop(ctx, seq) })
}
