package simulate

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/relaytest"
)

// A condition is how a disk is.
type condition int

const (
	sound   condition = iota
	full              // it takes no new entries
	failing           // the next write fails, and may have happened
)

func (c condition) String() string { return [...]string{"sound", "full", "failing"}[c] }

// A disk outlives the processes that write to it. It knows the truth about what was kept.
type disk struct {
	store  relay.Store
	takes  time.Duration
	random func() float64

	mu       sync.Mutex
	of       condition
	until    time.Time
	accepted map[string][]relaytest.Accepted // by lane, in sequence
	ended    map[end]time.Time               // when the mark was made, as marks have the time of the clock on the wall
}

// An end is a mark or an ignored entry that was given to the disk.
type end struct {
	lane string
	seq  uint64
	at   int64
}

func newDisk(s relay.Store, takes time.Duration, random func() float64) *disk {
	return &disk{store: s, takes: takes, random: random, accepted: make(map[string][]relaytest.Accepted), ended: make(map[end]time.Time)}
}

func (d *disk) fall(c condition, lasts time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.of, d.until = c, time.Now().Add(lasts)
}

// now returns the condition; a failing disk fails once.
func (d *disk) now() condition {
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

// kept returns what a lane was given, in sequence.
func (d *disk) kept(lane string) []relaytest.Accepted {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.accepted[lane])
}

// note keeps when something ended that says it ended at a time.
func (d *disk) note(lane string, seq uint64, at, when time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := (end{lane, seq, at.UnixNano()}); d.ended[e].IsZero() {
		d.ended[e] = when
	}
}

// settled returns how the entries of a lane ended, with times of the clock that nobody sets.
func (d *disk) settled(lane string, accepted []relaytest.Accepted) ([]relay.Settlement, error) {
	all, err := relaytest.Settled(context.Background(), d.store, lane, accepted)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, s := range all {
		when, ok := d.ended[end{lane, s.Seq, s.At.UnixNano()}]
		if !ok {
			return nil, fmt.Errorf("entry %d of lane %s ended at %v, and nobody said so", s.Seq, lane, s.At)
		}
		all[i].At = when
	}
	return all, err
}

// A mount is the disk as one process sees it. Every call takes a moment, within which the process may die: what was asked for has then
// happened or not, and nobody is told.
type mount struct {
	*disk
	dead   atomic.Bool // the process was killed
	failed atomic.Bool // a write failed: no more of them
}

// pass has half a call's time go by.
func (m *mount) pass() { time.Sleep(time.Duration(m.random() * float64(m.takes/2))) }

// write does what fn does, or fails as disks fail.
func (m *mount) write(fn func() error) error { return m.attempt(fn, false) }

// attempt is write, where a full disk has room for what room was set aside for.
func (m *mount) attempt(fn func() error, spared bool) error {
	m.pass()
	switch {
	case m.dead.Load():
		return relay.ErrClosed
	case m.failed.Load():
		return relay.ErrFailed
	}
	switch c := m.now(); {
	case c == full && !spared:
		return fmt.Errorf("no space left on device: %w", relay.ErrFull)
	case c == failing:
		m.failed.Store(true)
		if m.random() < .5 {
			_ = fn() // it happened, and nobody knows
		}
		return fmt.Errorf("input/output error: %w", relay.ErrFailed)
	}
	if err := fn(); err != nil {
		return err
	}
	m.pass()
	if m.dead.Load() {
		return relay.ErrClosed
	}
	return nil
}

func (m *mount) Append(_ context.Context, entries []*relay.Entry) error {
	now := time.Now()
	return m.write(func() error {
		if err := m.store.Append(context.Background(), entries); err != nil {
			return err
		}
		for _, e := range entries {
			if e.Ignored != "" {
				m.note(e.Lane, e.Seq, e.Accepted, now)
			}
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, e := range entries {
			if e.Seq != 0 {
				m.accepted[e.Lane] = append(m.accepted[e.Lane], relaytest.Accepted{
					Seq: e.Seq, ID: e.ID, Problem: e.Problem, State: e.State, Level: e.Level, Time: e.Time, At: time.Now(),
				})
			}
		}
		return nil
	})
}

func (m *mount) Acquire(ctx context.Context, lane string) (relay.Lease, error) {
	l, err := m.store.Acquire(ctx, lane)
	return &lease{l, m, lane}, err
}

// Check asks without writing.
func (m *mount) Check(context.Context) error {
	if m.failed.Load() {
		return relay.ErrFailed
	}
	return nil
}

func (m *mount) Clock() time.Duration { return m.disk.store.Clock() }

func (m *mount) Holdings(ctx context.Context) (map[string]relay.Holdings, error) {
	return m.store.Holdings(ctx)
}

func (m *mount) History(ctx context.Context, lane, problem string) ([]relay.Settlement, error) {
	return m.store.History(ctx, lane, problem)
}

func (m *mount) DeadLetters(ctx context.Context, lane string, after uint64, limit int) ([]relay.Settlement, error) {
	return m.store.DeadLetters(ctx, lane, after, limit)
}

type lease struct {
	relay.Lease
	mount *mount
	lane  string
}

func (l *lease) Read(ctx context.Context, after uint64, limit int) ([]*relay.Entry, error) {
	l.mount.pass()
	return l.Lease.Read(ctx, after, limit)
}

func (l *lease) Load(ctx context.Context, seq uint64) (*relay.Entry, error) {
	l.mount.pass()
	return l.Lease.Load(ctx, seq)
}

func (l *lease) Mark(ctx context.Context, marks []relay.Mark) error {
	for _, mark := range marks {
		if mark.Outcome != 0 {
			l.mount.note(l.lane, mark.Seq, mark.At, time.Now())
		}
	}
	// A store keeps some room back, or its lanes could never settle anything on a full disk.
	return l.mount.attempt(func() error { return l.Lease.Mark(ctx, marks) }, true)
}

func (l *lease) Revive(ctx context.Context, seq uint64) (e *relay.Entry, err error) {
	err = l.mount.write(func() error { e, err = l.Lease.Revive(ctx, seq); return err })
	return e, err
}

func (l *lease) Drop(ctx context.Context, seq uint64) error {
	return l.mount.write(func() error { return l.Lease.Drop(ctx, seq) })
}
