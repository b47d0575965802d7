package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A broken store is a memstore.Store with one bug: a field that is set replaces the method of that
// name. The check of that duty must find it.
type broken struct {
	mu     sync.Mutex
	inner  *memstore.Store
	newest store.Lease          // of each Acquire, the last
	failed bool                 // a failure was injected
	seen   map[string]bool      // for bugs that remember
	bodies map[uint64][]byte    // likewise
	times  map[uint64]time.Time // likewise

	append      func(ctx context.Context, entries []*store.Entry) error
	clock       func() time.Duration
	check       func(ctx context.Context) error
	holdings    func(ctx context.Context) (map[string]store.Holdings, error)
	history     func(ctx context.Context, lane, problem string) ([]store.Settlement, error)
	deadLetters func(ctx context.Context, lane string, after uint64, limit int) ([]store.Settlement,
		error)
	acquire func(ctx context.Context, g store.Group) (store.Lease, error)

	read    func(l store.Lane, ctx context.Context, after uint64, limit int) ([]*store.Entry, error)
	load    func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error)
	records func(l store.Lane, ctx context.Context, problems []string) ([]store.Record, error)
	mark    func(l store.Lane, ctx context.Context, marks []store.Mark) error
	revive  func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error)
	drop    func(l store.Lane, ctx context.Context, seq uint64) error
	lost    func(l store.Lease) <-chan struct{}
	release func(l store.Lease) error

	restart func()
	close   func() error
	fail    func(err error, landed bool)
}

func (b *broken) Append(ctx context.Context, entries []*store.Entry) error {
	if b.append != nil {
		return b.append(ctx, entries)
	}
	return b.inner.Append(ctx, entries)
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
	return &brokenLease{b, l}, nil
}

// owner returns the newest lease.
func (b *broken) owner() store.Lease {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.newest
}

// current returns the lane of the newest lease.
func (b *broken) current() store.Lane { return b.owner().Lane(lane) }

type brokenLease struct {
	broken *broken
	store.Lease
}

func (l *brokenLease) Lane(
	name string,
) store.Lane {
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

const limit = 500

func brokenHarness(bug func(*broken)) Harness {
	var b *broken
	return Harness{
		MaxEntries: limit,
		Open: func() (store.Store, error) {
			if b == nil {
				b = &broken{
					inner:  memstore.New(),
					seen:   make(map[string]bool),
					bodies: make(map[uint64][]byte),
					times:  make(map[uint64]time.Time),
				}
				b.inner.Limit(limit)
				bug(b)
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
			b.failed = true
			if b.fail != nil {
				b.fail(err, landed)
				return
			}
			b.inner.Fail(err, landed)
		},
	}
}

// rename gives entries other IDs for the time of a call.
func rename(entries []*store.Entry, id func(*store.Entry) string, call func() error) error {
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.ID
		e.ID = id(e)
	}
	err := call()
	for i, e := range entries {
		e.ID = ids[i]
	}
	return err
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

var bugs = []struct {
	name  string
	bug   func(*broken)
	check string // that must find it
}{
	{"times lose their nanoseconds", func(b *broken) {
		b.append = func(ctx context.Context, entries []*store.Entry) error {
			for _, e := range entries {
				c := *e
				c.Time = c.Time.Truncate(time.Second)
				if err := b.inner.Append(ctx, []*store.Entry{&c}); err != nil {
					return err
				}
				e.Seq, e.Kept = c.Seq, c.Kept
			}
			return nil
		}
	}, "Append keeps all of an entry"},
	{"a long problem key is cut", func(b *broken) {
		onEntries(b, func(found []*store.Entry) []*store.Entry {
			for _, e := range found {
				e.Problem = e.Problem[:min(len(e.Problem), 128)]
			}
			return found
		})
	}, "Append keeps all of an entry"},
	{"a trace is forgotten", func(b *broken) {
		onEntries(b, func(found []*store.Entry) []*store.Entry {
			for _, e := range found {
				e.Trace = ""
			}
			return found
		})
	}, "Append keeps all of an entry"},
	{"a large body is cut", func(b *broken) {
		b.load = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			e, err := l.Load(ctx, seq)
			if err == nil {
				e.Body = e.Body[:min(len(e.Body), 64<<10)]
			}
			return e, err
		}
	}, "Append keeps all of an entry"},
	{"one order for all lanes, from the caller's numbers", func(b *broken) {
		b.append = func(ctx context.Context, entries []*store.Entry) error {
			before := make([]uint64, len(entries))
			for i, e := range entries {
				before[i] = e.Seq
			}
			err := b.inner.Append(ctx, entries)
			for i, e := range entries {
				if before[i] != 0 && e.Seq != 0 {
					e.Seq = before[i]
				}
			}
			return err
		}
	}, "Append numbers each lane in order"},
	{"an entry is kept at the time that its caller says", func(b *broken) {
		b.append = func(ctx context.Context, entries []*store.Entry) error {
			before := make([]time.Duration, len(entries))
			for i, e := range entries {
				before[i] = e.Kept
			}
			err := b.inner.Append(ctx, entries)
			for i, e := range entries {
				if before[i] != 0 {
					e.Kept = before[i]
				}
			}
			return err
		}
	}, "Append sets the store's time"},
	{"Read forgets when an entry was kept", func(b *broken) {
		onEntries(b, func(found []*store.Entry) []*store.Entry {
			for _, e := range found {
				e.Kept = 0
			}
			return found
		})
	}, "Append sets the store's time"},
	{"a dead letter was kept when it died", func(b *broken) {
		b.deadLetters = func(ctx context.Context, lane string, after uint64,
			limit int) ([]store.Settlement, error) {
			found, err := b.inner.DeadLetters(ctx, lane, after, limit)
			for i := range found {
				found[i].Kept = b.inner.Clock()
			}
			return found, err
		}
	}, "Append sets the store's time"},
	{"the clock moves with each commit alone", func(b *broken) {
		b.clock = func() time.Duration { return time.Hour }
	}, "Clock grows steadily"},
	{"the clock counts milliseconds as seconds", func(b *broken) {
		b.clock = func() time.Duration { return 1000 * b.inner.Clock() }
	}, "Clock grows steadily"},
	{"the clock begins anew", func(b *broken) {
		var began time.Duration
		b.clock = func() time.Duration { return b.inner.Clock() - began }
		b.restart = func() { began = b.inner.Clock() }
	}, "opening again goes on with the time"},
	{"the clock counts the time that the store was closed", func(b *broken) {
		start := time.Now()
		b.clock = func() time.Duration { return time.Since(start) + 1 }
	}, "opening again goes on with the time"},
	{"the clock is the wall clock", func(b *broken) {
		b.clock = func() time.Duration { return time.Duration(time.Now().UnixNano()) }
	}, "opening again goes on with the time"},
	{"a dead letter is revived at its old time", func(b *broken) {
		kept := make(map[uint64]time.Duration)
		b.revive = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			dead, _ := b.inner.DeadLetters(ctx, lane, seq-1, 1)
			if len(dead) == 1 {
				kept[seq] = dead[0].Kept
			}
			e, err := l.Revive(ctx, seq)
			if err == nil {
				e.Kept = kept[seq]
			}
			return e, err
		}
	}, "Revive puts a dead letter back into its place"},
	{"a lost answer is forgotten", func(b *broken) {
		onRecords(b, func(r store.Record, m store.Mark) store.Record {
			m.Doubt = false
			return r.Apply(m)
		})
	}, "Mark applies to the record as Record.Apply says"},
	{"a lost answer is remembered for ever", func(b *broken) {
		onRecords(b, func(r store.Record, m store.Mark) store.Record {
			doubt := r.Doubt
			r = r.Apply(m)
			r.Doubt = r.Doubt || doubt
			return r
		})
	}, "Mark applies to the record as Record.Apply says"},
	{"an ID twice in one call is kept twice", func(b *broken) {
		b.append = func(ctx context.Context, entries []*store.Entry) error {
			here := make(map[string]int)
			return rename(entries, func(e *store.Entry) string {
				if here[e.ID]++; e.ID != "" && here[e.ID] > 1 {
					return fmt.Sprint(e.ID, " again ", here[e.ID])
				}
				return e.ID
			}, func() error { return b.inner.Append(ctx, entries) })
		}
	}, "Append recognises duplicates"},
	{"duplicates are those of all lanes", func(b *broken) {
		b.append = func(ctx context.Context, entries []*store.Entry) error {
			var fresh []*store.Entry
			b.mu.Lock()
			for _, e := range entries {
				e.Seq = 0
				if e.ID == "" || !b.seen[e.ID] {
					fresh = append(fresh, e)
				}
			}
			b.mu.Unlock()
			err := b.inner.Append(ctx, fresh)
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, e := range fresh {
				b.seen[e.ID] = b.seen[e.ID] || err == nil
			}
			return err
		}
	}, "Append recognises duplicates"},
	{"an empty ID is an ID", func(b *broken) {
		b.append = func(ctx context.Context, entries []*store.Entry) error {
			return rename(entries, func(e *store.Entry) string { return e.ID + "." },
				func() error { return b.inner.Append(ctx, entries) })
		}
	}, "Append recognises duplicates"},
	{"a duplicate keeps the number it came with", func(b *broken) {
		b.append = func(ctx context.Context, entries []*store.Entry) error {
			before := make([]uint64, len(entries))
			for i, e := range entries {
				before[i] = e.Seq
			}
			err := b.inner.Append(ctx, entries)
			for i, e := range entries {
				if e.Seq == 0 {
					e.Seq = before[i]
				}
			}
			return err
		}
	}, "Append recognises duplicates"},
	{"the IDs of dead letters are forgotten", func(b *broken) {
		dead := false
		b.mark = func(l store.Lane, ctx context.Context, marks []store.Mark) error {
			for _, m := range marks {
				dead = dead || m.Outcome == store.Dead
			}
			return l.Mark(ctx, marks)
		}
		b.append = func(ctx context.Context, entries []*store.Entry) error {
			return rename(entries, func(e *store.Entry) string {
				if dead && e.ID != "" {
					return e.ID + " after a dead letter"
				}
				return e.ID
			}, func() error { return b.inner.Append(ctx, entries) })
		}
	}, "Append recognises duplicates"},
	{"what is ignored waits", func(b *broken) {
		b.append = func(ctx context.Context, entries []*store.Entry) error {
			why := make([]string, len(entries))
			for i, e := range entries {
				why[i], e.Ignored = e.Ignored, ""
			}
			err := b.inner.Append(ctx, entries)
			for i, e := range entries {
				e.Ignored = why[i]
			}
			return err
		}
	}, "Append settles what is ignored"},
	{"the caller's body is kept", func(b *broken) {
		b.append = func(ctx context.Context, entries []*store.Entry) error {
			err := b.inner.Append(ctx, entries)
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, e := range entries {
				b.bodies[e.Seq] = e.Body
			}
			return err
		}
		b.load = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			e, err := l.Load(ctx, seq)
			b.mu.Lock()
			defer b.mu.Unlock()
			if body := b.bodies[seq]; err == nil && len(body) == len(e.Body) {
				e.Body = body
			}
			return e, err
		}
	}, "Append keeps no reference"},
	{"an entry becomes visible after a later one", func(b *broken) {
		onEntriesLate(b)
	}, "Append of concurrent callers becomes visible in order"},
	{"a refused call keeps what fits", func(b *broken) {
		b.append = func(ctx context.Context, entries []*store.Entry) error {
			for _, e := range entries {
				if err := b.inner.Append(ctx, []*store.Entry{e}); err != nil {
					return err
				}
			}
			return b.inner.Append(ctx, nil)
		}
	}, "Append to a full store keeps nothing"},
	{"a refused call leaves its IDs behind", func(b *broken) {
		b.append = func(ctx context.Context, entries []*store.Entry) error {
			var fresh []*store.Entry
			b.mu.Lock()
			for _, e := range entries {
				if b.seen[e.ID] {
					e.Seq = 0
					continue
				}
				fresh = append(fresh, e)
			}
			b.mu.Unlock()
			err := b.inner.Append(ctx, fresh)
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, e := range fresh {
				b.seen[e.ID] = b.seen[e.ID] || errors.Is(err, store.ErrFull)
			}
			return err
		}
	}, "Append to a full store keeps nothing"},
	{"duplicates need room", func(b *broken) {
		b.append = func(ctx context.Context, entries []*store.Entry) error {
			held, _ := b.inner.Holdings(ctx)
			n := len(entries)
			for _, h := range held {
				n += h.Pending
			}
			if n > limit {
				return fmt.Errorf("counted before looking: %w", store.ErrFull)
			}
			return b.inner.Append(ctx, entries)
		}
	}, "Append to a full store keeps nothing"},
	{"Mark is not fenced", func(b *broken) {
		b.mark = func(_ store.Lane, ctx context.Context, marks []store.Mark) error {
			return b.current().Mark(ctx, marks)
		}
	}, "Acquire fences the earlier owner"},
	{"Read is not fenced", func(b *broken) {
		b.read = func(_ store.Lane, ctx context.Context, after uint64, limit int) ([]*store.Entry,
			error) {
			return b.current().Read(ctx, after, limit)
		}
	}, "Acquire fences the earlier owner"},
	{"Load is not fenced", func(b *broken) {
		b.load = func(_ store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			return b.current().Load(ctx, seq)
		}
	}, "Acquire fences the earlier owner"},
	{"Records is not fenced", func(b *broken) {
		b.records = func(_ store.Lane, ctx context.Context, problems []string) ([]store.Record,
			error) {
			return b.current().Records(ctx, problems)
		}
	}, "Acquire fences the earlier owner"},
	{"Revive is not fenced", func(b *broken) {
		b.revive = func(_ store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			return b.current().Revive(ctx, seq)
		}
	}, "Acquire fences the earlier owner"},
	{"Drop is not fenced", func(b *broken) {
		b.drop = func(_ store.Lane, ctx context.Context,
			seq uint64) error {
			return b.current().Drop(ctx, seq)
		}
	}, "Acquire fences the earlier owner"},
	{"a fenced Mark marks and then says so", func(b *broken) {
		b.mark = func(l store.Lane, ctx context.Context, marks []store.Mark) error {
			err := l.Mark(ctx, marks)
			if errors.Is(err, store.ErrFenced) {
				_ = b.current().Mark(ctx, marks)
			}
			return err
		}
	}, "Acquire fences the earlier owner"},
	{"a Read that waits is not fenced", func(b *broken) {
		b.read = func(l store.Lane, ctx context.Context, after uint64, limit int) ([]*store.Entry,
			error) {
			found, err := l.Read(ctx, after, limit)
			if errors.Is(err, store.ErrFenced) && after == 0 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return found, err
		}
	}, "Acquire fences an earlier owner who waits"},
	{"Check says yes", func(b *broken) {
		b.check = func(context.Context) error { return nil }
	}, "Check answers for Append"},
	{"Holdings leaves the dead out", func(b *broken) {
		b.holdings = func(ctx context.Context) (map[string]store.Holdings, error) {
			held, err := b.inner.Holdings(ctx)
			for name, h := range held {
				h.Dead = 0
				held[name] = h
			}
			return held, err
		}
	}, "Holdings counts every lane"},
	{"Holdings knows the lanes that have an owner", func(b *broken) {
		b.holdings = func(ctx context.Context) (map[string]store.Holdings, error) {
			held, err := b.inner.Holdings(ctx)
			if b.current() == nil {
				clear(held)
			}
			return held, err
		}
	}, "Holdings counts every lane"},
	{"History is in the order of settlement", func(b *broken) {
		b.history = func(ctx context.Context, lane, problem string) ([]store.Settlement, error) {
			_, err := b.inner.History(ctx, lane, problem)
			var found []store.Settlement
			for _, st := range b.inner.Settled(lane) {
				if st.Problem == problem && err == nil {
					found = append(found, st)
				}
			}
			return found, err
		}
	}, "History tells how entries ended"},
	{"History is of the lane", func(b *broken) {
		b.history = func(ctx context.Context, lane, problem string) ([]store.Settlement, error) {
			if _, err := b.inner.History(ctx, lane, problem); err != nil {
				return nil, err
			}
			return b.inner.Settled(lane), nil
		}
	}, "History tells how entries ended"},
	{"settlements have no time", func(b *broken) {
		onHistory(b, func(found []store.Settlement) []store.Settlement {
			for i := range found {
				found[i].At = time.Time{}
			}
			return found
		})
	}, "Mark records each outcome"},
	{"settlements have no reason", func(b *broken) {
		onHistory(b, func(found []store.Settlement) []store.Settlement {
			for i := range found {
				found[i].Reason = ""
			}
			return found
		})
	}, "History tells how entries ended"},
	{"a page of dead letters begins where the last ended", func(b *broken) {
		b.deadLetters = func(ctx context.Context, lane string, after uint64,
			limit int) ([]store.Settlement, error) {
			if after > 0 {
				after--
			}
			return b.inner.DeadLetters(ctx, lane, after, limit)
		}
	}, "DeadLetters come in pages"},
	{"a page of dead letters has no end", func(b *broken) {
		b.deadLetters = func(ctx context.Context, lane string, after uint64,
			_ int) ([]store.Settlement, error) {
			return b.inner.DeadLetters(ctx, lane, after, 1000)
		}
	}, "DeadLetters come in pages"},
	{"dead letters have no body", func(b *broken) {
		onDead(b, func(found []store.Settlement) []store.Settlement {
			for i := range found {
				found[i].Body = nil
			}
			return found
		})
	}, "DeadLetters come in pages"},
	{"dead letters come newest first", func(b *broken) {
		onDead(b, func(found []store.Settlement) []store.Settlement {
			slices.Reverse(found)
			return found
		})
	}, "DeadLetters come in pages"},
	{"Read has bodies", func(b *broken) {
		onEntries(b, func(found []*store.Entry) []*store.Entry {
			for _, e := range found {
				e.Body = []byte("body")
			}
			return found
		})
	}, "Append keeps all of an entry"},
	{"Read is out of sequence", func(b *broken) {
		onEntries(b,
			func(found []*store.Entry) []*store.Entry { slices.Reverse(found); return found })
	}, "Read returns what is unsettled, in sequence"},
	{"Read begins with the entry it was told to begin after", func(b *broken) {
		b.read = func(l store.Lane, ctx context.Context, after uint64, limit int) ([]*store.Entry,
			error) {
			if after > 0 {
				after--
			}
			return l.Read(ctx, after, limit)
		}
	}, "Read returns what is unsettled, in sequence"},
	{"Read has no limit", func(b *broken) {
		b.read = func(l store.Lane, ctx context.Context, after uint64, _ int) ([]*store.Entry,
			error) {
			return l.Read(ctx, after, 1000)
		}
	}, "Read returns what is unsettled, in sequence"},
	{"Read forgets what has begun", func(b *broken) {
		onEntries(b, func(found []*store.Entry) []*store.Entry {
			for _, e := range found {
				e.Begun = false
			}
			return found
		})
	}, "Read returns what is unsettled, in sequence"},
	{"Read forgets failed attempts", func(b *broken) {
		onEntries(b, func(found []*store.Entry) []*store.Entry {
			for _, e := range found {
				e.Failed = 0
			}
			return found
		})
	}, "Read returns what is unsettled, in sequence"},
	{"Read does not wait", func(b *broken) {
		b.read = func(l store.Lane, ctx context.Context, after uint64, limit int) ([]*store.Entry,
			error) {
			now, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			found, err := l.Read(now, after, limit)
			if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
				return nil, nil
			}
			return found, err
		}
	}, "Read waits and is woken"},
	{"a wake-up is lost", func(b *broken) {
		b.read = func(l store.Lane, ctx context.Context, after uint64, limit int) ([]*store.Entry,
			error) {
			now, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			found, err := l.Read(now, after, limit)
			if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return found, err
		}
	}, "Read waits and is woken"},
	{"a Read that waits does not end with its context", func(b *broken) {
		b.read = func(l store.Lane, ctx context.Context, after uint64, limit int) ([]*store.Entry,
			error) {
			later, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*patience)
			defer cancel()
			return l.Read(later, after, limit)
		}
	}, "Read waits and is woken"},
	{"Load hands out what it keeps", func(b *broken) {
		b.load = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			e, err := l.Load(ctx, seq)
			b.mu.Lock()
			defer b.mu.Unlock()
			if err == nil && b.bodies[seq] == nil {
				b.bodies[seq] = e.Body
			}
			if err == nil {
				e.Body = b.bodies[seq]
			}
			return e, err
		}
	}, "Read and Load hand out no reference"},
	{"Load of nothing is nothing", func(b *broken) {
		b.load = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			e, err := l.Load(ctx, seq)
			if errors.Is(err, store.ErrNotFound) {
				return nil, errOther
			}
			return e, err
		}
	}, "Load returns one unsettled entry"},
	{"records come in an order of their own", func(b *broken) {
		b.records = func(l store.Lane, ctx context.Context, problems []string) ([]store.Record,
			error) {
			return l.Records(ctx, slices.Sorted(slices.Values(problems)))
		}
	}, "Records come in the order asked for"},
	{"records have no time of change", func(b *broken) {
		onRecords(b, func(r store.Record, m store.Mark) store.Record {
			r = r.Apply(m)
			r.At = time.Time{}
			return r
		})
	}, "Mark applies to the record as Record.Apply says"},
	{"records follow what is begun alone", func(b *broken) {
		onRecords(b, func(r store.Record, m store.Mark) store.Record {
			if m.Outcome != 0 {
				return r
			}
			return r.Apply(m)
		})
	}, "Mark applies to the record as Record.Apply says"},
	{"any recovery closes a problem", func(b *broken) {
		onRecords(b, func(r store.Record, m store.Mark) store.Record {
			r = r.Apply(m)
			r.Open = r.Open && m.State != 2
			return r
		})
	}, "Mark applies to the record as Record.Apply says"},
	{"a mark of what is settled applies to the record", func(b *broken) {
		onRecords(b, store.Record.Apply)
	}, "Mark of what is settled changes nothing"},
	{"a mark of what is settled is an error", func(b *broken) {
		b.mark = func(l store.Lane, ctx context.Context, marks []store.Mark) error {
			for _, m := range marks {
				if _, err := l.Load(ctx, m.Seq); errors.Is(err, store.ErrNotFound) {
					return err
				}
			}
			return l.Mark(ctx, marks)
		}
	}, "Mark of what is settled changes nothing"},
	{"Mark makes the first mark", func(b *broken) {
		b.mark = func(l store.Lane, ctx context.Context, marks []store.Mark) error {
			return l.Mark(ctx, marks[:min(len(marks), 1)])
		}
	}, "Mark makes all marks at once"},
	{"superseded is delivered", func(b *broken) {
		b.mark = func(l store.Lane, ctx context.Context, marks []store.Mark) error {
			marks = slices.Clone(marks)
			for i := range marks {
				if marks[i].Outcome == store.Superseded {
					marks[i].Outcome = store.Delivered
				}
			}
			return l.Mark(ctx, marks)
		}
	}, "Mark records each outcome"},
	{"a revived entry is new", func(b *broken) {
		b.revive = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			e, err := l.Revive(ctx, seq)
			if err == nil {
				e.Begun = false
			}
			return e, err
		}
	}, "Revive puts a dead letter back into its place"},
	{"a revived entry stands at the end", func(b *broken) {
		b.revive = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			e, err := l.Revive(ctx, seq)
			if err != nil {
				return nil, err
			}
			loaded, err := l.Load(ctx, seq)
			if err != nil {
				return nil, err
			}
			loaded.ID = ""
			if err := b.inner.Append(ctx, []*store.Entry{loaded}); err != nil {
				return nil, err
			}
			return e, l.Mark(ctx, []store.Mark{mark(e, store.Superseded, "moved")})
		}
	}, "Revive puts a dead letter back into its place"},
	{"what is dead can be revived only once", func(b *broken) {
		b.revive = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			b.mu.Lock()
			again := b.bodies[seq] != nil
			b.mu.Unlock()
			if again {
				return nil, store.ErrNotFound
			}
			e, err := l.Revive(ctx, seq)
			b.mu.Lock()
			defer b.mu.Unlock()
			if err == nil {
				b.bodies[seq] = []byte{1}
			}
			return e, err
		}
	}, "Revive puts a dead letter back into its place"},
	{"Drop of nothing is no error", func(b *broken) {
		b.drop = func(l store.Lane, ctx context.Context, seq uint64) error {
			if err := l.Drop(ctx, seq); !errors.Is(err, store.ErrNotFound) {
				return err
			}
			return nil
		}
	}, "Drop deletes a dead letter for good"},
	{"Drop takes the history with it", func(b *broken) {
		dropped := make(map[uint64]bool)
		b.drop = func(l store.Lane, ctx context.Context, seq uint64) error {
			err := l.Drop(ctx, seq)
			b.mu.Lock()
			defer b.mu.Unlock()
			dropped[seq] = dropped[seq] || err == nil
			return err
		}
		onHistory(b, func(found []store.Settlement) []store.Settlement {
			return slices.DeleteFunc(found,
				func(st store.Settlement) bool { return dropped[st.Seq] })
		})
	}, "Drop deletes a dead letter for good"},
	{"Lost does not tell of another owner", func(b *broken) {
		b.lost = func(store.Lease) <-chan struct{} { return make(chan struct{}) }
	}, "Acquire owns a group as a whole"},
	{"each lane of a group has its own fate", func(b *broken) {
		b.acquire = func(ctx context.Context, g store.Group) (store.Lease, error) {
			apart := &apart{lanes: make(map[string]store.Lease)}
			for _, name := range g.Lanes {
				l, err := b.inner.Acquire(ctx, store.Group{Name: name, Lanes: []string{name}})
				if err != nil {
					return nil, err
				}
				apart.Lease, apart.lanes[name] = l, l
			}
			return apart, nil
		}
	}, "Acquire owns a group as a whole"},
	{"Release ends whatever ownership there is", func(b *broken) {
		b.release = func(store.Lease) error { return b.owner().Release() }
	}, "Release ends no other ownership"},
	{"Release twice is an error", func(b *broken) {
		released := make(map[store.Lease]bool)
		b.release = func(l store.Lease) error {
			if released[l] {
				return errOther
			}
			released[l] = true
			return l.Release()
		}
	}, "Release ends no other ownership"},
	{"Append goes on when its context has ended", func(b *broken) {
		b.append = func(ctx context.Context, entries []*store.Entry) error {
			return b.inner.Append(context.WithoutCancel(ctx), entries)
		}
	}, "a context that has ended changes nothing"},
	{"Mark goes on when its context has ended, and says that it did not", func(b *broken) {
		b.mark = func(l store.Lane, ctx context.Context, marks []store.Mark) error {
			return errors.Join(l.Mark(context.WithoutCancel(ctx), marks), ctx.Err())
		}
	}, "a context that has ended changes nothing"},
	{"Acquire fences when its context has ended", func(b *broken) {
		b.acquire = func(ctx context.Context, g store.Group) (store.Lease, error) {
			l, err := b.inner.Acquire(context.WithoutCancel(ctx), g)
			return l, errors.Join(err, ctx.Err())
		}
	}, "a context that has ended changes nothing"},
	{"entries are marked outside the lock", func(b *broken) {
		b.mark = func(l store.Lane, ctx context.Context, marks []store.Mark) error {
			for _, m := range marks {
				if m.Seq%7 == 0 && m.Outcome != 0 {
					return nil // lost
				}
			}
			return l.Mark(ctx, marks)
		}
	}, "concurrent callers settle each entry once"},
	{"duplicates are forgotten by a restart", func(b *broken) {
		round := ""
		b.restart = func() { round += "." }
		b.append = func(ctx context.Context, entries []*store.Entry) error {
			return rename(entries, func(e *store.Entry) string {
				if e.ID == "" {
					return ""
				}
				return e.ID + round
			}, func() error { return b.inner.Append(ctx, entries) })
		}
	}, "opening again finds the duplicates"},
	{"records are forgotten by a restart", func(b *broken) {
		b.restart = func() {
			b.records = func(l store.Lane, ctx context.Context, problems []string) ([]store.Record,
				error) {
				_, err := l.Records(ctx, problems)
				return make([]store.Record, len(problems)), err
			}
		}
	}, "opening again finds everything"},
	{"dead letters are forgotten by a restart", func(b *broken) {
		b.restart = func() { onDead(b, func([]store.Settlement) []store.Settlement { return nil }) }
	}, "opening again finds everything"},
	{"history is forgotten by a restart", func(b *broken) {
		b.restart = func() {
			onHistory(b,
				func([]store.Settlement) []store.Settlement { return nil })
		}
	}, "opening again finds everything"},
	{"what has begun is forgotten by a restart", func(b *broken) {
		b.restart = func() {
			onEntries(b, func(found []*store.Entry) []*store.Entry {
				for _, e := range found {
					e.Begun, e.Failed = false, 0
				}
				return found
			})
		}
	}, "opening again finds everything"},
	{"a closed store answers something", func(b *broken) {
		closed := false
		b.close = func() error { closed = true; return b.inner.Close() }
		b.restart = func() { closed = false }
		b.append = func(ctx context.Context, entries []*store.Entry) error {
			if closed {
				return errOther
			}
			return b.inner.Append(ctx, entries)
		}
	}, "a closed store answers ErrClosed"},
	{"a Read that waits outlives the store", func(b *broken) {
		b.read = func(l store.Lane, ctx context.Context, after uint64, limit int) ([]*store.Entry,
			error) {
			found, err := l.Read(ctx, after, limit)
			if errors.Is(err, store.ErrClosed) {
				<-ctx.Done()
			}
			return found, err
		}
	}, "a closed store answers ErrClosed"},
	{"a store that failed goes on", func(b *broken) {
		b.fail = func(err error, landed bool) {
			b.append = func(context.Context, []*store.Entry) error {
				b.append = nil
				return fmt.Errorf("%w: %w", store.ErrFailed, err)
			}
		}
	}, "a failed store answers ErrFailed"},
	{"a failed append is kept in part", func(b *broken) {
		b.fail = func(err error, landed bool) {
			b.append = func(ctx context.Context, entries []*store.Entry) error {
				b.append = nil
				_ = b.inner.Append(ctx, entries[:1])
				b.inner.Fail(err, false)
				return b.inner.Append(ctx, entries[1:])
			}
		}
	}, "a failed append is kept as a whole or not at all"},
	{"a failed append leaves its IDs behind", func(b *broken) {
		b.fail = func(err error, landed bool) {
			b.append = func(ctx context.Context, entries []*store.Entry) error {
				lost := make(map[string]bool)
				for _, e := range entries {
					lost[e.ID] = true
				}
				b.append = func(ctx context.Context, entries []*store.Entry) error {
					entries = slices.DeleteFunc(slices.Clone(entries),
						func(e *store.Entry) bool { return lost[e.ID] })
					return b.inner.Append(ctx, entries)
				}
				b.inner.Fail(err, false)
				return b.inner.Append(ctx, entries)
			}
		}
	}, "a failed append is kept as a whole or not at all"},
	{"a failed mark is made in part", func(b *broken) {
		b.fail = func(err error, landed bool) {
			b.mark = func(l store.Lane, ctx context.Context, marks []store.Mark) error {
				b.mark = nil
				_ = l.Mark(ctx, marks[:1])
				b.inner.Fail(err, false)
				return l.Mark(ctx, marks[1:])
			}
		}
	}, "a failed mark is made as a whole or not at all"},
}

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

// The suite finds each bug by the check that stands for the duty, and finds none in a store without
// bugs. Time is that of a bubble: what a bug waits for takes none, and on a busy machine a call
// that is to wait does so before the next one is made.
func TestSuiteFindsBugs(t *testing.T) {
	byName := make(map[string]*check)
	tried := make(map[string]bool)
	for i := range checks {
		byName[checks[i].name] = &checks[i]
		if err := inBubble(t, &checks[i], func(*broken) {}); err != nil {
			t.Errorf("%s: a store without bugs is found wrong: %v", checks[i].name, err)
		}
	}
	for _, bug := range bugs {
		c := byName[bug.check]
		if c == nil {
			t.Errorf("%s: there is no check %q", bug.name, bug.check)
			continue
		}
		tried[bug.check] = true
		t.Run(bug.name, func(t *testing.T) {
			t.Parallel()
			err := inBubble(t, c, bug.bug)
			if err == nil {
				t.Errorf("%q does not find it", bug.check)
				return
			}
			t.Log(err)
		})
	}
	for name := range byName {
		if !tried[name] {
			t.Errorf("no bug shows that %q can fail", name)
		}
	}
}

func inBubble(t *testing.T, c *check, bug func(*broken)) (err error) {
	synctest.Test(t, func(t *testing.T) { err = c.run(t.Context(), brokenHarness(bug)) })
	return err
}
