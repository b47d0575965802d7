package storetest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A had is what a lane has of a problem.
type had struct {
	lane    string
	wanted  bool // the lane wants the event
	served  bool
	waiting []*store.Entry
	others  int // entries of other problems that wait
	dead    []store.Settlement
	ended   []store.Settlement
	record  store.Record
}

func (h had) holds() bool { return len(h.waiting) > 0 || len(h.dead) > 0 || h.record.Open }

func (h had) shows() bool { return h.served && h.record.Open && !h.recovers() }

func (h had) recovers() bool {
	return slices.ContainsFunc(h.waiting, func(e *store.Entry) bool { return e.State == recovered })
}

func (h had) endedAs(o store.Outcome) bool {
	return slices.ContainsFunc(h.ended, func(st store.Settlement) bool { return st.Outcome == o })
}

// lanes returns the lanes that have something or had an owner, by the names that they have now.
func (b *broken) lanes() []string {
	names := make(map[string]bool)
	held, _ := b.inner.Holdings(context.Background())
	for name := range held {
		names[name] = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range b.owners {
		names[name] = true
	}
	renamed, _ := b.inner.Renamed(context.Background())
	for name := range renamed {
		delete(names, name)
	}
	return slices.Sorted(maps.Keys(names))
}

// waiting returns how many entries are pending.
func (b *broken) waiting() (n int) {
	held, _ := b.inner.Holdings(context.Background())
	for _, h := range held {
		n += h.Pending
	}
	return n
}

// own returns a lane without taking it from an owner.
func (b *broken) own(name string) store.Lane {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.owners[name]; l != nil {
		select {
		case <-l.Lost():
		default:
			return l.Lane(name)
		}
	}
	group := store.Group{Name: name, Lanes: []string{name}}
	l, err := b.inner.Acquire(context.Background(), group)
	if err != nil {
		panic(err)
	}
	b.owners[name] = l
	return l.Lane(name)
}

// has returns what a lane has of a problem.
func (b *broken) has(name, problem string) had {
	ctx := context.Background()
	h := had{lane: name}
	l := b.own(name)
	records, _ := l.Records(ctx, []string{problem})
	h.record = records[0]
	h.ended, _ = b.inner.History(ctx, name, problem)
	h.dead, _ = b.inner.DeadLetters(ctx, name, 0, 1000)
	h.dead = slices.DeleteFunc(h.dead, func(st store.Settlement) bool {
		return st.Problem != problem
	})
	held, _ := b.inner.Holdings(ctx)
	if n := held[name].Pending; n > 0 {
		h.waiting, _ = l.Read(ctx, 0, n)
		h.waiting = slices.DeleteFunc(h.waiting, func(e *store.Entry) bool {
			return e.Problem != problem
		})
		h.others = n - len(h.waiting)
	}
	return h
}

// present returns the name that a lane has now.
func (b *broken) present(name string) string {
	renamed, _ := b.inner.Renamed(context.Background())
	return cmp.Or(renamed[name], name)
}

// all returns what each lane has of the problem of an event.
func (b *broken) all(e *store.Event, served []string) (all []had) {
	for _, name := range b.lanes() {
		h := b.has(name, e.Problem)
		h.served = slices.ContainsFunc(served, func(other string) bool {
			return b.present(other) == name
		})
		h.wanted = slices.ContainsFunc(e.Wanted, func(o store.Offer) bool {
			return b.present(o.Lane) == name
		})
		all = append(all, h)
	}
	return all
}

// place puts an event that was appended into one more lane, as a sticky entry.
func (b *broken) place(e *store.Event, name string) {
	c := *e
	c.Source, c.Wanted, c.Fallback = e.Source+" again", []store.Offer{{Lane: name}}, nil
	if err := b.inner.Append(context.Background(), only(&store.Batch{}, &c)); err != nil {
		panic(err)
	}
	for _, p := range slices.Clone(c.Placed) {
		if p.Lane == name {
			p.Sticky = true
			e.Placed = append(e.Placed, p)
		} else {
			b.unplace(&c, p.Lane)
		}
	}
}

// unplace takes an event out of a lane again.
func (b *broken) unplace(e *store.Event, name string) {
	entry := entryOf(e, name)
	marks := []store.Mark{mark(entry, store.Superseded, "not here")}
	if err := b.own(name).Mark(context.Background(), marks); err != nil {
		panic(err)
	}
	e.Placed = slices.DeleteFunc(e.Placed, func(p store.Placement) bool { return p.Lane == name })
}

// onSticky decides with sticks whether a lane that does not want an event gets it.
func onSticky(b *broken, sticks func(had) bool) {
	b.append = func(ctx context.Context, batch *store.Batch) error {
		for _, e := range batch.Events {
			before := b.all(e, batch.Served)
			if err := b.inner.Append(ctx, only(batch, e)); err != nil {
				return err
			}
			for _, h := range before {
				i := slices.IndexFunc(e.Placed, func(p store.Placement) bool {
					return b.present(p.Lane) == h.lane
				})
				switch {
				case h.wanted || e.Duplicate || i >= 0 && !e.Placed[i].Sticky:
				case i >= 0 && !sticks(h):
					b.unplace(e, e.Placed[i].Lane)
				case i < 0 && sticks(h):
					b.place(e, h.lane)
				}
			}
		}
		return nil
	}
}

// onFallback decides with shows whether a lane keeps an event from the fallback.
func onFallback(b *broken, shows func(had) bool) {
	b.append = func(ctx context.Context, batch *store.Batch) error {
		for _, e := range batch.Events {
			before := b.all(e, batch.Served)
			if e.Fallback != nil {
				before = slices.DeleteFunc(before, func(h had) bool {
					return h.lane == e.Fallback.Lane
				})
			}
			err := b.changed(ctx, only(batch, e), func(e *store.Event) {
				if e.Fallback == nil || len(e.Wanted) > 0 {
					return
				}
				if !slices.ContainsFunc(before, shows) {
					e.Wanted = []store.Offer{*e.Fallback}
				}
				e.Fallback = nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// afterRestart plants a bug at the first restart.
func afterRestart(plant func(*broken)) func(*broken) {
	return func(b *broken) { b.restart = func() { plant(b) } }
}

// ifFull changes each event before it is appended, if the lane is full then.
func ifFull(b *broken, change func(*store.Event)) {
	b.append = func(ctx context.Context, batch *store.Batch) error {
		if !b.full() {
			return b.inner.Append(ctx, batch)
		}
		return b.changed(ctx, batch, change)
	}
}

func (b *broken) full() bool {
	held, _ := b.inner.Holdings(context.Background())
	return held[lane].Pending >= limit
}

const (
	routing     = "Append routes to lanes that want or hold"
	fallingBack = "Append offers the fallback what no lane shows"
	inBatch     = "Append routes one event after the other"
	stickiness  = "Append says which entries are sticky"
	fullLane    = "Append to a full lane makes dead letters"
	routedAgain = "opening again routes as before"
)

// routingBugs are the bugs of Append that concern lanes which do not want an event, the fallback,
// and lanes that are full.
var routingBugs = []bug[broken]{
	{"no lane is sticky", func(b *broken) {
		onSticky(b, func(had) bool { return false })
	}, routing},
	{"a lane is sticky for what waits or died, not for what is open", func(b *broken) {
		onSticky(b, func(h had) bool { return len(h.waiting) > 0 || len(h.dead) > 0 })
	}, routing},
	{"a lane is sticky for what waits or is open, not for dead letters", func(b *broken) {
		onSticky(b, func(h had) bool { return len(h.waiting) > 0 || h.record.Open })
	}, routing},
	{"a lane is sticky for what died or is open, not for what waits", func(b *broken) {
		onSticky(b, func(h had) bool { return len(h.dead) > 0 || h.record.Open })
	}, routing},
	{"a lane is sticky for problem events that wait", func(b *broken) {
		onSticky(b, func(h had) bool {
			h.waiting = slices.DeleteFunc(h.waiting, func(e *store.Entry) bool {
				return e.State != problem
			})
			return h.holds()
		})
	}, routing},
	{"a lane is sticky for problems and recoveries that wait", func(b *broken) {
		onSticky(b, func(h had) bool {
			h.waiting = slices.DeleteFunc(h.waiting, func(e *store.Entry) bool {
				return e.State == neither
			})
			return h.holds()
		})
	}, routing},
	{"a lane is sticky for what was delivered, not for what was begun", func(b *broken) {
		onSticky(b, func(h had) bool {
			h.record.Open = h.record.Shown != 0
			h.waiting = slices.DeleteFunc(h.waiting, func(e *store.Entry) bool { return e.Begun })
			return h.holds()
		})
	}, routing},
	{"a lane is sticky for every problem that has a record", func(b *broken) {
		onSticky(b, func(h had) bool { return h.holds() || h.record != (store.Record{}) })
	}, routing},
	{"a lane is sticky for what was ignored", func(b *broken) {
		onSticky(b, func(h had) bool { return h.holds() || h.endedAs(store.Ignored) })
	}, routing},
	{"a lane is sticky for dead letters that were dropped", func(b *broken) {
		onSticky(b, func(h had) bool { return h.holds() || h.endedAs(store.Dead) })
	}, routing},
	{"a lane is sticky for all problems as soon as one waits", func(b *broken) {
		onSticky(b, func(h had) bool { return h.holds() || h.others > 0 })
	}, routing},
	{"a lane is sticky if it has a sink", func(b *broken) {
		onSticky(b, func(h had) bool { return h.holds() && h.served })
	}, routing},
	{"Revive does not count as waiting", func(b *broken) {
		revived := make(map[uint64]bool)
		b.revive = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			revived[seq] = true
			return l.Revive(ctx, seq)
		}
		onSticky(b, func(h had) bool {
			h.waiting = slices.DeleteFunc(h.waiting, func(e *store.Entry) bool {
				return revived[e.Seq]
			})
			return h.holds()
		})
	}, routing},
	{"a problem that was revived is held for ever", func(b *broken) {
		revived := make(map[string]bool)
		b.revive = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			e, err := l.Revive(ctx, seq)
			if err == nil {
				revived[e.Problem] = true
			}
			return e, err
		}
		onSticky(b, func(h had) bool {
			return h.holds() || slices.ContainsFunc(h.ended, func(st store.Settlement) bool {
				return revived[st.Problem]
			})
		})
	}, routing},
	{"an event that another lane wants is not sticky", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			err := b.inner.Append(ctx, batch)
			for _, e := range batch.Events {
				for _, p := range slices.Clone(e.Placed) {
					if p.Sticky && len(e.Wanted) > 0 {
						b.unplace(e, p.Lane)
					}
				}
			}
			return err
		}
	}, routing},

	{"the fallback gets nothing", func(b *broken) {
		onEvents(b, func(e *store.Event) { e.Fallback = nil })
	}, routing},
	{"the fallback gets what no lane wants, whoever shows it", func(b *broken) {
		onFallback(b, func(had) bool { return false })
	}, routing},
	{"the fallback gets what another lane wants", func(b *broken) {
		onEvents(b, func(e *store.Event) {
			if e.Fallback != nil {
				e.Wanted = append(e.Wanted, *e.Fallback)
			}
		})
	}, routing},
	{"the fallback does not get what any lane holds", func(b *broken) {
		onFallback(b, had.holds)
	}, routing},
	{"the fallback does not get what a lane shows that has a recovery pending", func(b *broken) {
		onFallback(b, func(h had) bool { return h.served && h.record.Open })
	}, routing},
	{"the fallback does not get what a lane shows that has no sink", func(b *broken) {
		onFallback(b, func(h had) bool { return h.record.Open && !h.recovers() })
	}, routing},
	{"the fallback gets what a lane may show, until it is delivered", func(b *broken) {
		onFallback(b, func(h had) bool { return h.shows() && h.record.Shown != 0 })
	}, routing},
	{"the fallback gets what a lane shows whose recovery died", func(b *broken) {
		onFallback(b, func(h had) bool {
			return h.shows() && !slices.ContainsFunc(h.dead, func(st store.Settlement) bool {
				return st.State == recovered
			})
		})
	}, routing},
	{"the fallback does not get what began again while a recovery waits", func(b *broken) {
		onFallback(b, func(h had) bool {
			n := len(h.waiting)
			return h.shows() || h.served && h.record.Open && h.waiting[n-1].State == problem
		})
	}, routing},
	{"a record of the fallback keeps events from it", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			return b.changed(ctx, batch, func(e *store.Event) {
				if e.Fallback != nil && b.has(e.Fallback.Lane, e.Problem).record.Open {
					e.Fallback = nil
				}
			})
		}
	}, fallingBack},
	{"what waits in the fallback keeps events from it", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			return b.changed(ctx, batch, func(e *store.Event) {
				if e.Fallback != nil && b.has(e.Fallback.Lane, e.Problem).holds() {
					e.Fallback = nil
				}
			})
		}
	}, fallingBack},
	{"the fallback sends what its sink ignores", func(b *broken) {
		onEvents(b, func(e *store.Event) {
			if e.Fallback != nil {
				e.Fallback = &store.Offer{Lane: e.Fallback.Lane}
			}
		})
	}, fallingBack},

	{"an event does not see the earlier ones of its batch", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			held := make(map[*store.Event][]string)
			for _, e := range batch.Events {
				for _, h := range b.all(e, nil) {
					if h.holds() {
						held[e] = append(held[e], h.lane)
					}
				}
			}
			err := b.inner.Append(ctx, batch)
			for _, e := range batch.Events {
				for _, p := range slices.Clone(e.Placed) {
					if p.Sticky && !slices.Contains(held[e], p.Lane) {
						b.unplace(e, p.Lane)
					}
				}
			}
			return err
		}
	}, inBatch},
	{"an event sees the later ones of its batch", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			err := b.inner.Append(ctx, batch)
			for i, e := range batch.Events {
				for _, later := range batch.Events[i+1:] {
					for _, p := range later.Placed {
						if later.Problem == e.Problem && seqIn(e, p.Lane) == 0 {
							b.place(e, p.Lane)
						}
					}
				}
			}
			return err
		}
	}, inBatch},
	{"an event is sticky where any earlier one of its batch went", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			err := b.inner.Append(ctx, batch)
			for i, e := range batch.Events {
				for _, earlier := range batch.Events[:i] {
					for _, p := range earlier.Placed {
						if seqIn(e, p.Lane) == 0 {
							b.place(e, p.Lane)
						}
					}
				}
			}
			return err
		}
	}, inBatch},
	{"a recovery does not count for the fallback in its own batch", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			shown := make(map[string]bool)
			for _, e := range batch.Events {
				shown[e.Problem] = slices.ContainsFunc(b.all(e, batch.Served), had.shows)
			}
			return b.changed(ctx, batch, func(e *store.Event) {
				if shown[e.Problem] {
					e.Fallback = nil
				}
			})
		}
	}, inBatch},

	{"Append does not return that an entry is sticky", func(b *broken) {
		onAppended(b, func(batch *store.Batch) {
			for _, e := range batch.Events {
				for i := range e.Placed {
					e.Placed[i].Sticky = false
				}
			}
		})
	}, stickiness},
	{"an entry is sticky although its lane wants it", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			return b.changed(ctx, batch, func(e *store.Event) {
				e.Wanted = slices.DeleteFunc(e.Wanted, func(o store.Offer) bool {
					return b.has(o.Lane, e.Problem).holds()
				})
			})
		}
	}, stickiness},
	{"Read does not say that an entry is sticky", func(b *broken) {
		onEntries(b, func(found []*store.Entry) []*store.Entry {
			for _, e := range found {
				e.Sticky = false
			}
			return found
		})
	}, stickiness},
	{"Load does not say that an entry is sticky", func(b *broken) {
		b.load = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			e, err := l.Load(ctx, seq)
			if err == nil {
				e.Sticky = false
			}
			return e, err
		}
	}, stickiness},
	{"History does not say that an entry is sticky", func(b *broken) {
		onHistory(b, notSticky)
	}, stickiness},
	{"DeadLetters does not say that an entry is sticky", func(b *broken) {
		onDead(b, notSticky)
	}, stickiness},
	{"Revive does not say that an entry is sticky", func(b *broken) {
		b.revive = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			e, err := l.Revive(ctx, seq)
			if err == nil {
				e.Sticky = false
			}
			return e, err
		}
	}, stickiness},
	{"a revived entry is sticky no more", func(b *broken) {
		revived := make(map[uint64]bool)
		b.revive = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			revived[seq] = true
			return l.Revive(ctx, seq)
		}
		onEntries(b, func(found []*store.Entry) []*store.Entry {
			for _, e := range found {
				e.Sticky = e.Sticky && !revived[e.Seq]
			}
			return found
		})
	}, stickiness},
	{"a restart forgets which entries are sticky", afterRestart(func(b *broken) {
		onEntries(b, func(found []*store.Entry) []*store.Entry {
			for _, e := range found {
				e.Sticky = false
			}
			return found
		})
	}), stickiness},

	{"a full lane refuses the call", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			if b.full() {
				return fmt.Errorf("one lane is full: %w", store.ErrFull)
			}
			return b.inner.Append(ctx, batch)
		}
	}, fullLane},
	{"a full lane gets nothing, and no dead letter", func(b *broken) {
		ifFull(b, func(e *store.Event) {
			e.Wanted = slices.DeleteFunc(e.Wanted, func(o store.Offer) bool {
				return o.Lane == lane
			})
		})
	}, fullLane},
	{"what a full lane does not take is dropped", func(b *broken) {
		onAppended(b, func(batch *store.Batch) {
			for _, e := range batch.Events {
				for _, p := range e.Placed {
					if p.Outcome == store.Dead {
						_ = b.own(p.Lane).Drop(context.Background(), p.Seq)
					}
				}
			}
		})
	}, fullLane},
	{"a full lane keeps an event from the others", func(b *broken) {
		ifFull(b, func(e *store.Event) { e.Wanted = e.Wanted[:1] })
	}, fullLane},
	{"a dead letter of a full lane has no record", func(b *broken) {
		dead := make(map[string]bool)
		onAppended(b, func(batch *store.Batch) {
			for _, e := range batch.Events {
				for _, p := range e.Placed {
					dead[e.Problem] = dead[e.Problem] || p.Outcome == store.Dead
				}
			}
		})
		b.records = func(l store.Lane, ctx context.Context, problems []string) (
			[]store.Record, error,
		) {
			records, err := l.Records(ctx, problems)
			for i := range records {
				if dead[problems[i]] {
					records[i] = store.Record{}
				}
			}
			return records, err
		}
	}, fullLane},
	{"a dead letter of a full lane does not say why", func(b *broken) {
		onHistory(b, func(found []store.Settlement) []store.Settlement {
			for i := range found {
				found[i].Reason = "no room"
			}
			return found
		})
	}, fullLane},
	{"a dead letter of a full lane has no body", func(b *broken) {
		onDead(b, func(found []store.Settlement) []store.Settlement {
			for i := range found {
				found[i].Body = nil
			}
			return found
		})
	}, fullLane},
	{"Append does not return that an entry is dead", func(b *broken) {
		onAppended(b, func(batch *store.Batch) {
			for _, e := range batch.Events {
				for i := range e.Placed {
					e.Placed[i].Outcome = 0
				}
			}
		})
	}, fullLane},
	{"the ID of what a full lane did not take is forgotten", func(b *broken) {
		ifFull(b, func(e *store.Event) { e.ID = "" })
	}, fullLane},
	{"what a full lane ignores becomes a dead letter", func(b *broken) {
		ifFull(b, func(e *store.Event) {
			for i := range e.Wanted {
				e.Wanted[i].Ignored = ""
			}
		})
	}, fullLane},
	{"a full lane takes what is sticky", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			if len(batch.Events) == 1 && firstWanted(batch.Events[0]) != lane {
				b.inner.LimitLane(0)
				defer b.inner.LimitLane(limit)
			}
			return b.inner.Append(ctx, batch)
		}
	}, fullLane},
	{"a lane that had room takes all of a batch", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			if !b.full() {
				b.inner.LimitLane(0)
				defer b.inner.LimitLane(limit)
			}
			return b.inner.Append(ctx, batch)
		}
	}, fullLane},
	{"a lane is full for ever", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			held, _ := b.inner.Holdings(ctx)
			if held[lane].Dead > 0 {
				b.inner.LimitLane(1)
			}
			return b.inner.Append(ctx, batch)
		}
	}, fullLane},
	{"one lane that is full fails Check", func(b *broken) {
		b.check = func(ctx context.Context) error {
			if b.full() {
				return fmt.Errorf("one lane is full: %w", store.ErrFull)
			}
			return b.inner.Check(ctx)
		}
	}, fullLane},
	{"Revive finds no room in a full lane", func(b *broken) {
		b.revive = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			if b.full() {
				return nil, store.ErrFull
			}
			return l.Revive(ctx, seq)
		}
	}, fullLane},

	{"a restart forgets open problems", afterRestart(func(b *broken) {
		onSticky(b, func(h had) bool { return len(h.waiting) > 0 || len(h.dead) > 0 })
	}), routedAgain},
	{"a restart forgets for which problems a dead letter is", afterRestart(func(b *broken) {
		onSticky(b, func(h had) bool { return len(h.waiting) > 0 || h.record.Open })
	}), routedAgain},
	{"a restart forgets for which problems an entry waits", afterRestart(func(b *broken) {
		onSticky(b, func(h had) bool { return len(h.dead) > 0 || h.record.Open })
	}), routedAgain},
	{"a restart holds the problem of every record", afterRestart(func(b *broken) {
		onSticky(b, func(h had) bool { return h.holds() || h.record != (store.Record{}) })
	}), routedAgain},
	{"a restart forgets what lanes show", afterRestart(func(b *broken) {
		onFallback(b, func(had) bool { return false })
	}), routedAgain},
	{"a restart forgets that a recovery waits", afterRestart(func(b *broken) {
		onFallback(b, func(h had) bool { return h.served && h.record.Open })
	}), routedAgain},
}

func notSticky(found []store.Settlement) []store.Settlement {
	for i := range found {
		found[i].Sticky = false
	}
	return found
}
