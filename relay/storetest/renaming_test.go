package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/guance-relay/guance-relay/relay/store"
)

// onRename plants a bug when a lane was renamed.
func onRename(plant func(b *broken, from, to string)) func(*broken) {
	return func(b *broken) {
		b.rename = func(ctx context.Context, from, to string) error {
			err := b.inner.Rename(ctx, from, to)
			if err == nil {
				plant(b, from, to)
			}
			return err
		}
	}
}

// apartIn has Append put events for the lane name into another lane.
func apartIn(b *broken, name string) {
	onEvents(b, func(e *store.Event) {
		for i := range e.Wanted {
			if e.Wanted[i].Lane == name {
				e.Wanted[i].Lane = "another " + name
			}
		}
	})
}

// emptied has Acquire return another lane, which is empty, for the lane name.
func emptied(b *broken, name string) {
	b.acquire = func(ctx context.Context, g store.Group) (store.Lease, error) {
		l, err := b.inner.Acquire(ctx, store.Group{
			Name: g.Name, Lanes: append(slices.Clone(g.Lanes), "another "+name),
		})
		if err != nil {
			return nil, err
		}
		return &elsewhere{l, name}, nil
	}
}

// elsewhere is a lease that has another lane for a name.
type elsewhere struct {
	store.Lease
	name string
}

func (e *elsewhere) Lane(name string) store.Lane {
	if name == e.name {
		name = "another " + name
	}
	return e.Lease.Lane(name)
}

func noSettlements([]store.Settlement) []store.Settlement { return nil }

const (
	renaming      = "Rename gives all of a lane another name"
	renamingTwice = "Rename follows earlier names"
	renamingNone  = "Rename joins no two lanes"
)

var renamingBugs = []bug[broken]{
	{"Rename forgets what waits", onRename(func(b *broken, _, to string) { emptied(b, to) }),
		renaming},
	{"Rename forgets records", onRename(func(b *broken, _, _ string) {
		b.records = func(_ store.Lane, _ context.Context, problems []string) (
			[]store.Record, error,
		) {
			return make([]store.Record, len(problems)), nil
		}
	}), renaming},
	{"Rename forgets history", onRename(func(b *broken, _, _ string) {
		onHistory(b, noSettlements)
	}), renaming},
	{"Rename forgets dead letters", onRename(func(b *broken, _, _ string) {
		onDead(b, noSettlements)
	}), renaming},
	{"Rename drops dead letters", func(b *broken) {
		b.rename = func(ctx context.Context, from, to string) error {
			dead, _ := b.inner.DeadLetters(ctx, from, 0, 1000)
			for _, st := range dead {
				_ = b.own(from).Drop(ctx, st.Seq)
			}
			return b.inner.Rename(ctx, from, to)
		}
	}, renaming},
	{"Rename forgets duplicates", onRename(func(b *broken, _, _ string) {
		onEvents(b, func(e *store.Event) { e.Source += " after it was renamed" })
	}), renaming},
	{"Rename begins the sequence numbers again", onRename(func(b *broken, _, _ string) {
		onAppended(b, func(batch *store.Batch) {
			for i, e := range batch.Events {
				for j := range e.Placed {
					e.Placed[j].Seq = uint64(i + 1)
				}
			}
		})
	}), renaming},
	{"Rename forgets which problems wait", onRename(func(b *broken, _, _ string) {
		onSticky(b, func(h had) bool { return len(h.dead) > 0 || h.record.Open })
	}), renaming},
	{"Rename forgets which problems have a dead letter", onRename(func(b *broken, _, _ string) {
		onSticky(b, func(h had) bool { return len(h.waiting) > 0 || h.record.Open })
	}), renaming},
	{"Rename forgets which problems are open", onRename(func(b *broken, _, _ string) {
		onSticky(b, func(h had) bool { return len(h.waiting) > 0 || len(h.dead) > 0 })
	}), renaming},
	{"Rename is forgotten by a restart", func(b *broken) {
		b.restart = func() {
			b.renamed = func(context.Context) (map[string]string, error) { return nil, nil }
		}
	}, renaming},
	{"the earlier name is another lane after a restart", func(b *broken) {
		b.restart = func() { emptied(b, "old") }
	}, renaming},
	{"the earlier name is another lane for Append", onRename(func(b *broken, from, _ string) {
		apartIn(b, from)
	}), renaming},
	{"the earlier name is another lane for Acquire", onRename(func(b *broken, from, _ string) {
		emptied(b, from)
	}), renaming},
	{"the earlier name is another lane for History", onRename(func(b *broken, from, _ string) {
		b.history = func(ctx context.Context, lane, problem string) ([]store.Settlement, error) {
			if lane == from {
				return nil, nil
			}
			return b.inner.History(ctx, lane, problem)
		}
	}), renaming},
	{"the earlier name is another lane for DeadLetters", onRename(
		func(b *broken, from, _ string) {
			b.deadLetters = func(
				ctx context.Context, lane string, after uint64, limit int,
			) ([]store.Settlement, error) {
				if lane == from {
					return nil, nil
				}
				return b.inner.DeadLetters(ctx, lane, after, limit)
			}
		}), renaming},
	{"a lane that is served by its earlier name has no sink", onRename(
		func(b *broken, from, _ string) {
			b.append = func(ctx context.Context, batch *store.Batch) error {
				return b.inner.Append(ctx, &store.Batch{
					Events: batch.Events,
					Served: slices.DeleteFunc(slices.Clone(batch.Served),
						func(name string) bool { return name == from }),
				})
			}
		}), renaming},
	{"an event for both names comes twice", onRename(func(b *broken, _, _ string) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			err := b.inner.Append(ctx, batch)
			for _, e := range batch.Events {
				if len(e.Wanted) > len(e.Placed) && len(e.Placed) > 0 {
					again := *e
					again.ID = ""
					err = errors.Join(err, b.inner.Append(ctx, only(batch, &again)))
					e.Placed = append(e.Placed, again.Placed...)
				}
			}
			return err
		}
	}), renaming},
	{"Read returns the earlier name", onRename(func(b *broken, from, _ string) {
		onEntries(b, func(found []*store.Entry) []*store.Entry {
			for _, e := range found {
				e.Lane = from
			}
			return found
		})
	}), renaming},
	{"Load returns the earlier name", onRename(func(b *broken, from, _ string) {
		b.load = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			e, err := l.Load(ctx, seq)
			if err == nil {
				e.Lane = from
			}
			return e, err
		}
	}), renaming},
	{"History returns the earlier name", onRename(func(b *broken, from, _ string) {
		onHistory(b, named(from))
	}), renaming},
	{"DeadLetters returns the earlier name", onRename(func(b *broken, from, _ string) {
		onDead(b, named(from))
	}), renaming},
	{"Append returns the earlier name of a lane that the batch does not name", onRename(
		func(b *broken, from, to string) {
			onAppended(b, func(batch *store.Batch) {
				for _, e := range batch.Events {
					for i, p := range e.Placed {
						if p.Sticky && p.Lane == to {
							e.Placed[i].Lane = from
						}
					}
				}
			})
		}), renaming},
	{"Append returns the present name of a lane that is wanted by its earlier name", onRename(
		func(b *broken, _, _ string) {
			onAppended(b, func(batch *store.Batch) {
				for _, e := range batch.Events {
					for i, p := range e.Placed {
						if !p.Sticky {
							e.Placed[i].Lane = b.present(p.Lane)
						}
					}
				}
			})
		}), renaming},
	{"Append returns the present name of a lane that is served by its earlier name", onRename(
		func(b *broken, _, _ string) {
			onAppended(b, func(batch *store.Batch) {
				for _, e := range batch.Events {
					for i, p := range e.Placed {
						if p.Sticky {
							e.Placed[i].Lane = b.present(p.Lane)
						}
					}
				}
			})
		}), renaming},
	{"Holdings returns the earlier name", onRename(func(b *broken, from, to string) {
		b.holdings = func(ctx context.Context) (map[string]store.Holdings, error) {
			held, err := b.inner.Holdings(ctx)
			held[from] = held[to]
			delete(held, to)
			return held, err
		}
	}), renaming},
	{"Rename does not fence the owner", onRename(func(b *broken, _, to string) {
		b.load = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			e, err := l.Load(ctx, seq)
			if errors.Is(err, store.ErrFenced) {
				return b.own(to).Load(ctx, seq)
			}
			return e, err
		}
	}), renaming},
	{"Rename does not tell the owner", onRename(func(b *broken, _, _ string) {
		b.lost = func(store.Lease) <-chan struct{} { return make(chan struct{}) }
	}), renaming},
	{"Rename to the name that a lane has ends its ownership", onRename(
		func(b *broken, _, _ string) { _ = b.owner().Release() }), renaming},
	{"two names have two owners", onRename(func(b *broken, from, to string) {
		b.lost = func(l store.Lease) <-chan struct{} {
			if b.owner() != l {
				return make(chan struct{})
			}
			return l.Lost()
		}
	}), renaming},

	{"a name before the last is another lane", func(b *broken) {
		onRename(func(b *broken, from, _ string) {
			if from == "b" {
				apartIn(b, "a")
			}
		})(b)
	}, renamingTwice},
	{"Renamed returns the next name, not that of now", func(b *broken) {
		next := make(map[string]string)
		onRename(func(_ *broken, from, to string) { next[from] = to })(b)
		b.renamed = func(context.Context) (map[string]string, error) { return maps.Clone(next), nil }
	}, renamingTwice},
	{"Renamed returns the last change alone", func(b *broken) {
		last := make(map[string]string)
		onRename(func(_ *broken, from, to string) {
			clear(last)
			last[from] = to
		})(b)
		b.renamed = func(context.Context) (map[string]string, error) { return maps.Clone(last), nil }
	}, renamingTwice},
	{"Renamed returns the names of lanes that were not renamed", func(b *broken) {
		b.renamed = func(ctx context.Context) (map[string]string, error) {
			names, err := b.inner.Renamed(ctx)
			for _, to := range slices.Collect(maps.Values(names)) {
				names[to] = to
			}
			return names, err
		}
	}, renamingTwice},
	{"a lane cannot have an earlier name again", func(b *broken) {
		b.rename = func(ctx context.Context, from, to string) error {
			names, _ := b.inner.Renamed(ctx)
			if _, earlier := names[to]; earlier {
				return store.ErrInUse
			}
			return b.inner.Rename(ctx, from, to)
		}
	}, renamingTwice},

	{"Rename joins two lanes that were used", func(b *broken) {
		b.rename = func(ctx context.Context, from, to string) error {
			err := b.inner.Rename(ctx, from, to)
			if errors.Is(err, store.ErrInUse) {
				return b.join(from, to)
			}
			return err
		}
	}, renamingNone},
	{"Rename joins two lanes that were used, and says that it did not", func(b *broken) {
		b.rename = func(ctx context.Context, from, to string) error {
			err := b.inner.Rename(ctx, from, to)
			if errors.Is(err, store.ErrInUse) {
				err = errors.Join(err, b.join(from, to))
			}
			return err
		}
	}, renamingNone},
	{"an owner by a name that was not used goes on", func(b *broken) {
		b.lost = func(store.Lease) <-chan struct{} { return make(chan struct{}) }
	}, renamingNone},
	{"a lane in which nothing is left was not used", func(b *broken) {
		b.rename = func(ctx context.Context, from, to string) error {
			err := b.inner.Rename(ctx, from, to)
			held, _ := b.inner.Holdings(ctx)
			if held[from] == (store.Holdings{}) || held[to] == (store.Holdings{}) {
				return nil
			}
			return err
		}
	}, renamingNone},
	{"an earlier name was not used", func(b *broken) {
		b.rename = func(ctx context.Context, from, to string) error {
			names, _ := b.inner.Renamed(ctx)
			if names[from] != "" {
				return nil
			}
			return b.inner.Rename(ctx, from, to)
		}
	}, renamingNone},
	{"Rename refuses a name that was not used", func(b *broken) {
		b.rename = func(ctx context.Context, from, to string) error {
			if held, _ := b.inner.Holdings(ctx); held[from] == (store.Holdings{}) {
				return store.ErrNotFound
			}
			return b.inner.Rename(ctx, from, to)
		}
	}, renamingNone},
	{"Rename forgets a name that was not used", func(b *broken) {
		b.rename = func(ctx context.Context, from, to string) error {
			if held, _ := b.inner.Holdings(ctx); held[from] == (store.Holdings{}) {
				return nil
			}
			return b.inner.Rename(ctx, from, to)
		}
	}, renamingNone},
}

// join moves what waits to another lane.
func (b *broken) join(from, to string) error {
	ctx := context.Background()
	held, err := b.inner.Holdings(ctx)
	n := held[from].Pending
	if err != nil || n == 0 {
		return err
	}
	l := b.own(from)
	waiting, err := l.Read(ctx, 0, n)
	for _, e := range waiting {
		err = errors.Join(err, l.Mark(ctx, []store.Mark{mark(e, store.Superseded, "moved")}))
		e.ID, e.Lane = "", to
		err = errors.Join(err, b.inner.Append(ctx, batchOf(e)))
	}
	return err
}

// named changes the lane of settlements.
func named(name string) func([]store.Settlement) []store.Settlement {
	return func(found []store.Settlement) []store.Settlement {
		for i := range found {
			found[i].Lane = name
		}
		return found
	}
}
