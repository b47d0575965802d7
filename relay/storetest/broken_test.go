package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A broken store is a memstore.Store with one bug: a field that is set replaces the method of that
// name. The check of that duty must find it.
type broken struct {
	mu     sync.Mutex
	inner  *memstore.Store
	newest store.Lease            // of each Acquire, the last
	owners map[string]store.Lease // the newest of each lane
	seen   map[string]bool        // for bugs that remember
	bodies map[uint64][]byte      // likewise
	times  map[uint64]time.Time   // likewise

	append      func(ctx context.Context, batch *store.Batch) error
	rename      func(ctx context.Context, from, to string) error
	renamed     func(ctx context.Context) (map[string]string, error)
	clock       func() time.Duration
	check       func(ctx context.Context) error
	holdings    func(ctx context.Context) (map[string]store.Holdings, error)
	history     func(ctx context.Context, lane, problem string) ([]store.Settlement, error)
	deadLetters func(ctx context.Context, lane string, after uint64, limit int) ([]store.Settlement,
		error)
	openProblems func(ctx context.Context, lane, from string, limit int) ([]store.OpenProblem,
		string, error)
	acquire func(ctx context.Context, g store.Group) (store.Lease, error)

	read     func(l store.Lane, ctx context.Context, after uint64, limit int) ([]*store.Entry, error)
	load     func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error)
	records  func(l store.Lane, ctx context.Context, problems []string) ([]store.Record, error)
	mark     func(l store.Lane, ctx context.Context, marks []store.Mark) error
	revive   func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error)
	drop     func(l store.Lane, ctx context.Context, seq uint64) error
	pause    func(l store.Lane, ctx context.Context) (store.Pause, error)
	setPause func(l store.Lane, ctx context.Context, p store.Pause) error
	lost     func(l store.Lease) <-chan struct{}
	release  func(l store.Lease) error

	restart func()
	close   func() error
	fail    func(err error, landed bool)
}

func (b *broken) Append(ctx context.Context, batch *store.Batch) error {
	if b.append != nil {
		return b.append(ctx, batch)
	}
	return b.inner.Append(ctx, batch)
}

func (b *broken) Rename(ctx context.Context, from, to string) error {
	if b.rename != nil {
		return b.rename(ctx, from, to)
	}
	return b.inner.Rename(ctx, from, to)
}

func (b *broken) Renamed(ctx context.Context) (map[string]string, error) {
	if b.renamed != nil {
		return b.renamed(ctx)
	}
	return b.inner.Renamed(ctx)
}

func (b *broken) Check(ctx context.Context) error {
	if b.check != nil {
		return b.check(ctx)
	}
	return b.inner.Check(ctx)
}

func (b *broken) Clock() time.Duration {
	if b.clock != nil {
		return b.clock()
	}
	return b.inner.Clock()
}

func (b *broken) Holdings(ctx context.Context) (map[string]store.Holdings, error) {
	if b.holdings != nil {
		return b.holdings(ctx)
	}
	return b.inner.Holdings(ctx)
}

func (b *broken) History(ctx context.Context, lane, problem string) ([]store.Settlement, error) {
	if b.history != nil {
		return b.history(ctx, lane, problem)
	}
	return b.inner.History(ctx, lane, problem)
}

func (b *broken) DeadLetters(
	ctx context.Context,
	lane string,
	after uint64,
	limit int,
) ([]store.Settlement, error) {
	if b.deadLetters != nil {
		return b.deadLetters(ctx, lane, after, limit)
	}
	return b.inner.DeadLetters(ctx, lane, after, limit)
}

func (b *broken) OpenProblems(
	ctx context.Context, lane, from string, limit int,
) ([]store.OpenProblem, string, error) {
	if b.openProblems != nil {
		return b.openProblems(ctx, lane, from, limit)
	}
	return b.inner.OpenProblems(ctx, lane, from, limit)
}

func (b *broken) Acquire(ctx context.Context, g store.Group) (store.Lease, error) {
	if b.acquire != nil {
		return b.acquire(ctx, g)
	}
	l, err := b.inner.Acquire(ctx, g)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.newest = l
	for _, name := range g.Lanes {
		b.owners[name] = l
	}
	return &brokenLease{b, l}, nil
}

// owner returns the newest lease.
func (b *broken) owner() store.Lease {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.newest
}

// current returns the lane of its newest owner.
func (b *broken) current() store.Lane { return b.own(lane) }

type brokenLease struct {
	broken *broken
	store.Lease
}

func (l *brokenLease) Lane(name string) store.Lane {
	return &brokenLane{l.broken, l.Lease.Lane(name)}
}

func (l *brokenLease) Lost() <-chan struct{} {
	if l.broken.lost != nil {
		return l.broken.lost(l.Lease)
	}
	return l.Lease.Lost()
}

func (l *brokenLease) Release() error {
	if l.broken.release != nil {
		return l.broken.release(l.Lease)
	}
	return l.Lease.Release()
}

type brokenLane struct {
	*broken
	store.Lane
}

func (l *brokenLane) Read(ctx context.Context, after uint64, limit int) ([]*store.Entry, error) {
	if l.read != nil {
		return l.read(l.Lane, ctx, after, limit)
	}
	return l.Lane.Read(ctx, after, limit)
}

func (l *brokenLane) Load(ctx context.Context, seq uint64) (*store.Entry, error) {
	if l.load != nil {
		return l.load(l.Lane, ctx, seq)
	}
	return l.Lane.Load(ctx, seq)
}

func (l *brokenLane) Records(ctx context.Context, problems []string) ([]store.Record, error) {
	if l.records != nil {
		return l.records(l.Lane, ctx, problems)
	}
	return l.Lane.Records(ctx, problems)
}

func (l *brokenLane) Mark(ctx context.Context, marks []store.Mark) error {
	if l.mark != nil {
		return l.mark(l.Lane, ctx, marks)
	}
	return l.Lane.Mark(ctx, marks)
}

func (l *brokenLane) Revive(ctx context.Context, seq uint64) (*store.Entry, error) {
	if l.revive != nil {
		return l.revive(l.Lane, ctx, seq)
	}
	return l.Lane.Revive(ctx, seq)
}

func (l *brokenLane) Drop(ctx context.Context, seq uint64) error {
	if l.drop != nil {
		return l.drop(l.Lane, ctx, seq)
	}
	return l.Lane.Drop(ctx, seq)
}

func (l *brokenLane) SetPause(ctx context.Context, p store.Pause) error {
	if l.setPause != nil {
		return l.setPause(l.Lane, ctx, p)
	}
	return l.Lane.SetPause(ctx, p)
}

func (l *brokenLane) Pause(ctx context.Context) (store.Pause, error) {
	if l.pause != nil {
		return l.pause(l.Lane, ctx)
	}
	return l.Lane.Pause(ctx)
}

const limit = 500

// brokenHarness opens a store with a bug. The store holds up to limit entries, or each lane does.
func brokenHarness(perLane bool, plant func(*broken)) Harness {
	var b *broken
	h := Harness{
		Open: func() (store.Store, error) {
			if b == nil {
				b = &broken{
					inner:  memstore.New(),
					owners: make(map[string]store.Lease),
					seen:   make(map[string]bool),
					bodies: make(map[uint64][]byte),
					times:  make(map[uint64]time.Time),
				}
				b.bound(perLane)
				plant(b)
				return b, nil
			}
			b.inner = b.inner.Restart()
			if b.restart != nil {
				b.restart()
			}
			return b, nil
		},
		Close: func(store.Store) error {
			if b.close != nil {
				return b.close()
			}
			return b.inner.Close()
		},
		Fail: func(_ store.Store, err error, landed bool) {
			if b.fail != nil {
				b.fail(err, landed)
				return
			}
			b.inner.Fail(err, landed)
		},
	}
	if perLane {
		h.MaxLaneEntries = limit
	} else {
		h.MaxEntries = limit
	}
	return h
}

func (b *broken) bound(perLane bool) {
	if perLane {
		b.inner.LimitLane(limit)
	} else {
		b.inner.Limit(limit)
	}
}

// onEvents changes each event before it is appended. The events of the caller stay as they are.
func onEvents(b *broken, change func(*store.Event)) {
	b.append = func(ctx context.Context, batch *store.Batch) error {
		return b.changed(ctx, batch, change)
	}
}

// changed appends a batch with changed events, and returns the result in those of the caller.
func (b *broken) changed(
	ctx context.Context, batch *store.Batch, change func(*store.Event),
) error {
	c := &store.Batch{Served: batch.Served}
	for _, e := range batch.Events {
		changed := *e
		changed.Wanted = slices.Clone(e.Wanted)
		change(&changed)
		c.Events = append(c.Events, &changed)
	}
	if err := b.inner.Append(ctx, c); err != nil {
		return err
	}
	for i, e := range batch.Events {
		e.Duplicate, e.Placed = c.Events[i].Duplicate, c.Events[i].Placed
	}
	return nil
}

// only returns the batch with some of its events.
func only(batch *store.Batch, events ...*store.Event) *store.Batch {
	return &store.Batch{Events: events, Served: batch.Served}
}

// onEntries changes what Read returns.
func onEntries(b *broken, change func([]*store.Entry) []*store.Entry) {
	b.read = func(l store.Lane, ctx context.Context, after uint64, limit int) ([]*store.Entry,
		error) {
		found, err := l.Read(ctx, after, limit)
		return change(found), err
	}
}

// onDead changes what DeadLetters returns.
func onDead(b *broken, change func([]store.Settlement) []store.Settlement) {
	b.deadLetters = func(ctx context.Context, lane string, after uint64,
		limit int) ([]store.Settlement, error) {
		found, err := b.inner.DeadLetters(ctx, lane, after, limit)
		return change(found), err
	}
}

// onHistory changes what History returns.
func onHistory(b *broken, change func([]store.Settlement) []store.Settlement) {
	b.history = func(ctx context.Context, lane, problem string) ([]store.Settlement, error) {
		found, err := b.inner.History(ctx, lane, problem)
		return change(found), err
	}
}

// onRecords keeps records of its own, with apply for Record.Apply.
func onRecords(b *broken, apply func(store.Record, store.Mark) store.Record) {
	own := make(map[string]store.Record)
	var mu sync.Mutex
	b.mark = func(l store.Lane, ctx context.Context, marks []store.Mark) error {
		err := l.Mark(ctx, marks)
		mu.Lock()
		defer mu.Unlock()
		for _, m := range marks {
			if err == nil {
				own[m.Problem] = apply(own[m.Problem], m)
			}
		}
		return err
	}
	b.records = func(l store.Lane, ctx context.Context, problems []string) ([]store.Record, error) {
		records, err := l.Records(ctx, problems)
		mu.Lock()
		defer mu.Unlock()
		for i := range records {
			records[i] = own[problems[i]]
		}
		return records, err
	}
}

// apart is a lease of several groups.
type apart struct {
	store.Lease // the last
	lanes       map[string]store.Lease
}

func (a *apart) Lane(name string) store.Lane { return a.lanes[name].Lane(name) }

var errOther = errors.New("an error of no kind")

// onEntriesLate hides every third entry from Read for a while.
func onEntriesLate(b *broken) {
	b.read = func(l store.Lane, ctx context.Context, after uint64, limit int) ([]*store.Entry,
		error) {
		for {
			found, err := l.Read(ctx, after, limit)
			if err != nil {
				return nil, err
			}
			b.mu.Lock()
			found = slices.DeleteFunc(found, func(e *store.Entry) bool {
				if e.Seq%3 != 0 {
					return false
				}
				if b.times[e.Seq].IsZero() {
					b.times[e.Seq] = time.Now()
				}
				return time.Since(b.times[e.Seq]) < 20*time.Millisecond
			})
			b.mu.Unlock()
			if len(found) > 0 {
				return found, nil
			}
			time.Sleep(time.Millisecond)
		}
	}
}
