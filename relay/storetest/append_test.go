package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// appendBugs are the bugs of Append that do not concern routing.
var appendBugs = []bug[broken]{
	{"times lose their nanoseconds", func(b *broken) {
		onEvents(b, func(e *store.Event) { e.Time = e.Time.Truncate(time.Second) })
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
	{"Read has bodies", func(b *broken) {
		onEntries(b, func(found []*store.Entry) []*store.Entry {
			for _, e := range found {
				e.Body = []byte("body")
			}
			return found
		})
	}, "Append keeps all of an entry"},
	{"Append returns the place in the batch, not the place in the lane", func(b *broken) {
		onAppended(b, func(batch *store.Batch) {
			for i, e := range batch.Events {
				for j := range e.Placed {
					e.Placed[j].Seq = uint64(i + 1)
				}
			}
		})
	}, "Append numbers each lane in order"},
	{"Read forgets when an entry was kept", func(b *broken) {
		onEntries(b, func(found []*store.Entry) []*store.Entry {
			for _, e := range found {
				e.Kept = 0
			}
			return found
		})
	}, "Append sets the store's time"},
	{"an entry is kept at the time that its event says", func(b *broken) {
		onEntries(b, func(found []*store.Entry) []*store.Entry {
			for _, e := range found {
				e.Kept = time.Duration(e.Accepted.UnixNano())
			}
			return found
		})
	}, "Append sets the store's time"},
	{"a dead letter was kept when it died", func(b *broken) {
		onDead(b, func(found []store.Settlement) []store.Settlement {
			for i := range found {
				found[i].Kept = b.inner.Clock()
			}
			return found
		})
	}, "Append sets the store's time"},

	{"an ID twice in one call is kept twice", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			here := make(map[string]int)
			return b.changed(ctx, batch, func(e *store.Event) {
				if here[e.ID]++; e.ID != "" && here[e.ID] > 1 {
					e.ID = fmt.Sprint(e.ID, " again ", here[e.ID])
				}
			})
		}
	}, "Append recognises duplicates"},
	{"an empty ID is an ID", func(b *broken) {
		onEvents(b, func(e *store.Event) { e.ID += "." })
	}, "Append recognises duplicates"},
	{"a duplicate keeps the places that it came with", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			before := make([][]store.Placement, len(batch.Events))
			for i, e := range batch.Events {
				before[i] = e.Placed
			}
			err := b.inner.Append(ctx, batch)
			for i, e := range batch.Events {
				if e.Duplicate {
					e.Placed = before[i]
				}
			}
			return err
		}
	}, "Append recognises duplicates"},
	{"an event stays the duplicate as which it came", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			before := make([]bool, len(batch.Events))
			for i, e := range batch.Events {
				before[i] = e.Duplicate
			}
			err := b.inner.Append(ctx, batch)
			for i, e := range batch.Events {
				e.Duplicate = e.Duplicate || before[i]
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
		onEvents(b, func(e *store.Event) {
			if dead {
				e.Source += " after a dead letter"
			}
		})
	}, "Append recognises duplicates"},
	{"the IDs of what is ignored are forgotten", func(b *broken) {
		onEvents(b, func(e *store.Event) {
			if slices.ContainsFunc(e.Wanted, func(o store.Offer) bool { return o.Ignored != "" }) {
				e.ID = ""
			}
		})
	}, "Append recognises duplicates"},
	{"duplicates are those of all sources", func(b *broken) {
		onEvents(b, func(e *store.Event) { e.Source = "" })
	}, "Append recognises the duplicates of each source"},
	{"duplicates are those of a lane", func(b *broken) {
		onEvents(b, func(e *store.Event) { e.Source = firstWanted(e) })
	}, "Append recognises the duplicates of each source"},
	{"duplicates are those of a source in a lane", func(b *broken) {
		onEvents(b, func(e *store.Event) { e.Source += " in " + firstWanted(e) })
	}, "Append recognises the duplicates of each source"},
	{"duplicates are those of a problem", func(b *broken) {
		onEvents(b, func(e *store.Event) { e.Source += " with " + e.Problem })
	}, "Append recognises the duplicates of each source"},
	{"the source without a name has no duplicates", func(b *broken) {
		onEvents(b, func(e *store.Event) {
			if e.Source == "" {
				e.ID = ""
			}
		})
	}, "Append recognises the duplicates of each source"},
	{"the ID of what no lane wanted is forgotten", func(b *broken) {
		onEvents(b, func(e *store.Event) {
			if len(e.Wanted) == 0 {
				e.ID = ""
			}
		})
	}, "Append recognises the duplicates of each source"},
	{"the ID of what no lane took is remembered", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			for _, e := range batch.Events {
				if b.seen[e.Source+"/"+e.ID] {
					e.Duplicate, e.Placed = true, nil
					continue
				}
				if err := b.inner.Append(ctx, only(batch, e)); err != nil {
					return err
				}
				b.seen[e.Source+"/"+e.ID] = len(e.Placed) == 0
			}
			return nil
		}
	}, "Append recognises the duplicates of each source"},
	{"a duplicate comes into a lane that wants it now", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			err := b.inner.Append(ctx, batch)
			for _, e := range batch.Events {
				for _, o := range e.Wanted {
					key := e.Source + "/" + e.ID + "/" + o.Lane
					if e.Duplicate && !b.seen[key] {
						err = errors.Join(err, b.inner.Append(ctx, only(batch, &store.Event{
							Problem: e.Problem, State: e.State, Wanted: []store.Offer{o},
						})))
					}
					b.seen[key] = true
				}
			}
			return err
		}
	}, "Append recognises the duplicates of each source"},
	{"a duplicate comes into a lane that holds its problem now", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			err := b.inner.Append(ctx, batch)
			for _, e := range batch.Events {
				for _, p := range e.Placed {
					b.seen[e.ID+"/"+p.Lane] = true
				}
				for _, name := range b.lanes() {
					if e.Duplicate && !b.seen[e.ID+"/"+name] && b.has(name, e.Problem).holds() {
						b.place(e, name)
						e.Placed = nil
					}
				}
			}
			return err
		}
	}, "Append recognises the duplicates of each source"},

	{"what is ignored waits", func(b *broken) {
		onEvents(b, func(e *store.Event) {
			for i := range e.Wanted {
				e.Wanted[i].Ignored = ""
			}
		})
	}, "Append settles what is ignored"},
	{"what one lane ignores is ignored by all", func(b *broken) {
		onEvents(b, func(e *store.Event) {
			for i := range e.Wanted {
				e.Wanted[i].Ignored = e.Wanted[0].Ignored
			}
		})
	}, "Append settles what is ignored"},
	{"Append does not return that an entry is ignored", func(b *broken) {
		onAppended(b, func(batch *store.Batch) {
			for _, e := range batch.Events {
				for i := range e.Placed {
					e.Placed[i].Outcome = 0
				}
			}
		})
	}, "Append settles what is ignored"},
	{"the caller's body is kept", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			err := b.inner.Append(ctx, batch)
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, e := range batch.Events {
				for _, p := range e.Placed {
					b.bodies[p.Seq] = e.Body
				}
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
	{"the caller's event is kept", func(b *broken) {
		kept := make(map[uint64]*store.Event)
		onAppended(b, func(batch *store.Batch) {
			for _, e := range batch.Events {
				for _, p := range e.Placed {
					kept[p.Seq] = e
				}
			}
		})
		b.load = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			e, err := l.Load(ctx, seq)
			if err == nil && kept[seq] != nil {
				e.Problem = kept[seq].Problem
			}
			return e, err
		}
	}, "Append keeps no reference"},
	{"an entry becomes visible after a later one", onEntriesLate,
		"Append of concurrent callers becomes visible in order"},
	{"a refused call keeps what fits", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			for _, e := range batch.Events {
				if err := b.inner.Append(ctx, only(batch, e)); err != nil {
					return err
				}
			}
			return nil
		}
	}, "Append to a full store keeps nothing"},
	{"a refused call leaves its IDs behind", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			var fresh []*store.Event
			b.mu.Lock()
			for _, e := range batch.Events {
				if b.seen[e.Source+"/"+e.ID] {
					e.Duplicate, e.Placed = true, nil
					continue
				}
				fresh = append(fresh, e)
			}
			b.mu.Unlock()
			err := b.inner.Append(ctx, only(batch, fresh...))
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, e := range fresh {
				b.seen[e.Source+"/"+e.ID] = errors.Is(err, store.ErrFull)
			}
			return err
		}
	}, "Append to a full store keeps nothing"},
	{"duplicates need room", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			if b.waiting()+len(batch.Events) > limit {
				return fmt.Errorf("counted before looking: %w", store.ErrFull)
			}
			return b.inner.Append(ctx, batch)
		}
	}, "Append to a full store keeps nothing"},
	{"sticky entries need no room", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			wanted := 0
			for _, e := range batch.Events {
				wanted += len(e.Wanted)
			}
			if b.waiting()+wanted <= limit {
				b.inner.Limit(0)
				defer b.inner.Limit(limit)
			}
			return b.inner.Append(ctx, batch)
		}
	}, "Append to a full store keeps nothing"},
	{"a sticky entry without room is left out", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			err := b.inner.Append(ctx, batch)
			if !errors.Is(err, store.ErrFull) || b.waiting()+len(batch.Events) > limit {
				return err
			}
			b.inner.Limit(0)
			defer b.inner.Limit(limit)
			err = b.inner.Append(ctx, batch)
			for _, e := range batch.Events {
				for _, p := range slices.Clone(e.Placed) {
					if p.Sticky {
						b.unplace(e, p.Lane)
					}
				}
			}
			return err
		}
	}, "Append to a full store keeps nothing"},
	{"Append goes on when its context has ended", func(b *broken) {
		b.append = func(ctx context.Context, batch *store.Batch) error {
			return b.inner.Append(context.WithoutCancel(ctx), batch)
		}
	}, "a context that has ended changes nothing"},
	{"duplicates are forgotten by a restart", func(b *broken) {
		round := ""
		b.restart = func() { round += "." }
		onEvents(b, func(e *store.Event) { e.Source += round })
	}, "opening again finds the duplicates"},
	{"a restart forgets which source a duplicate has", func(b *broken) {
		b.restart = func() {
			b.append = func(ctx context.Context, batch *store.Batch) error {
				err := b.inner.Append(ctx, batch)
				for _, e := range batch.Events {
					if b.seen[e.ID] {
						e.Duplicate, e.Placed = true, nil
					}
				}
				return err
			}
		}
		onAppended(b, func(batch *store.Batch) {
			for _, e := range batch.Events {
				b.seen[e.ID] = true
			}
		})
	}, "opening again finds the duplicates"},
	{"a closed store answers something", func(b *broken) {
		closed := false
		b.close = func() error { closed = true; return b.inner.Close() }
		b.restart = func() { closed = false }
		b.append = func(ctx context.Context, batch *store.Batch) error {
			if closed {
				return errOther
			}
			return b.inner.Append(ctx, batch)
		}
	}, "a closed store answers ErrClosed"},
	{"a store that failed goes on", func(b *broken) {
		b.fail = func(err error, landed bool) {
			b.append = func(context.Context, *store.Batch) error {
				b.append = nil
				return fmt.Errorf("%w: %w", store.ErrFailed, err)
			}
		}
	}, "a failed store answers ErrFailed"},
	{"a failed append is kept in part", func(b *broken) {
		b.fail = func(err error, landed bool) {
			b.append = func(ctx context.Context, batch *store.Batch) error {
				b.append = nil
				_ = b.inner.Append(ctx, only(batch, batch.Events[0]))
				b.inner.Fail(err, false)
				return b.inner.Append(ctx, only(batch, batch.Events[1:]...))
			}
		}
	}, "a failed append is kept as a whole or not at all"},
	{"a failed append leaves its IDs behind", func(b *broken) {
		b.fail = func(err error, landed bool) {
			b.append = func(ctx context.Context, batch *store.Batch) error {
				lost := make(map[string]bool)
				for _, e := range batch.Events {
					lost[e.ID] = true
				}
				onAppended(b, func(batch *store.Batch) {
					for _, e := range batch.Events {
						if lost[e.ID] {
							e.Duplicate, e.Placed = true, nil
						}
					}
				})
				b.inner.Fail(err, false)
				return b.inner.Append(ctx, batch)
			}
		}
	}, "a failed append is kept as a whole or not at all"},
}

// onAppended changes what Append says.
func onAppended(b *broken, change func(*store.Batch)) {
	b.append = func(ctx context.Context, batch *store.Batch) error {
		err := b.inner.Append(ctx, batch)
		if err == nil {
			change(batch)
		}
		return err
	}
}

// firstWanted returns the lane that wants an event, or the first of them.
func firstWanted(e *store.Event) string {
	if len(e.Wanted) == 0 {
		return ""
	}
	return e.Wanted[0].Lane
}
