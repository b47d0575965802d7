package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A bug is one bug of a store, which is a B.
type bug[B any] struct {
	name  string
	plant func(*B)
	check string // that must find it
}

var otherBugs = []bug[broken]{
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
			if b.owner() == nil {
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
			if err := b.inner.Append(ctx, batchOf(loaded)); err != nil {
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

// The suite finds each bug of one store. Time is that of a bubble: what a bug waits for takes none,
// and on a busy machine a call that is to wait does so before the next one is made.
func TestSuiteFindsBugs(t *testing.T) {
	findsBugs(t, nothing, slices.Concat(appendBugs, routingBugs, renamingBugs, pausingBugs, otherBugs),
		inBubble)
}

// findsBugs checks that the suite finds each bug by the check that stands for the duty, and finds
// none in a store without bugs. It takes the checks of several nodes or the others.
func findsBugs[B any](
	t *testing.T, nodes need, bugs []bug[B], run func(*testing.T, *check, func(*B)) error,
) {
	byName := make(map[string]*check)
	tried := make(map[string]bool)
	for i := range checks {
		if checks[i].needs&several != nodes {
			continue
		}
		byName[checks[i].name] = &checks[i]
		if err := run(t, &checks[i], func(*B) {}); err != nil {
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
			err := run(t, c, bug.plant)
			if err == nil {
				t.Fatalf("%q does not find it", bug.check)
			}
			if strings.HasPrefix(err.Error(), "panic: ") {
				t.Error("a panic alone finds it")
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

func inBubble(t *testing.T, c *check, plant func(*broken)) (err error) {
	synctest.Test(t, func(t *testing.T) {
		err = c.run(t.Context(), brokenHarness(c.needs&laneBounded != 0, plant))
	})
	return err
}
