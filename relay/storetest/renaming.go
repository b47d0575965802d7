package storetest

import (
	"maps"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// renames checks that all of a lane has the new name, and that both names mean it.
func renames(r *run) {
	const old, present = "old", "new"
	waits, dead, done := event(old, "waits", "waits"), event(old, "dead", "dead"),
		event(old, "done", "done")
	r.append(waits, dead, done)
	before := r.lease(old)
	l := before.Lane(old)
	r.mark(l, mark(dead, store.Dead, "refused"), mark(done, 0, ""), mark(done, store.Delivered, ""))
	record := r.record(l, "done")
	r.rename(old, present)
	r.lost("an owner of a lane that is renamed", before)
	_, err := l.Load(r.ctx, waits.Seq)
	r.is("Load of an owner of a lane that was renamed", err, store.ErrFenced)
	waits.Lane, dead.Lane, done.Lane = present, present, present
	for range 3 {
		r.renamed(map[string]string{old: present})
		r.holdings(map[string]store.Holdings{present: {Pending: 1, Dead: 1}})
		for _, name := range []string{present, old} {
			l := r.pending(name, waits)
			r.body(l, waits)
			r.same(r.read(l, 0, 1)[0], waits)
			r.sameRecord("the record under the name "+name, r.record(l, "done"), record)
			letters, h := r.dead(name), r.history(name, "done")
			if len(letters) != 1 || len(h) != 1 {
				r.fatalf("under the name %q: got %d dead letters and %d settlements of a problem, "+
					"want 1 and 1", name, len(letters), len(h))
			}
			r.settlement(letters[0], dead, store.Dead, "refused", mark(dead, store.Dead, "").At, true)
			r.settlement(h[0], done, store.Delivered, "", mark(done, store.Delivered, "").At, false)
		}
		owner := r.lease(old)
		r.rename(old, present) // nothing is left to do
		r.holds(owner)
		r.body(owner.Lane(old), waits)
		if r.harness.Close != nil {
			r.reopen()
		}
	}
	// An event for the earlier name comes into the lane, once for both names.
	next := eventOf(event(old, "next", "next"))
	next.Wanted = append(next.Wanted, store.Offer{Lane: present})
	r.appendBatch(&store.Batch{Events: []*store.Event{next}})
	if len(next.Placed) != 1 || next.Placed[0].Lane != old || next.Placed[0].Seq <= done.Seq {
		r.errorf("an event for both names of a lane: placed as %+v, want lane %q once, after "+
			"entry %d", next.Placed, old, done.Seq)
	}
	again := eventOf(event(old, "waits", "waits"))
	if r.appendBatch(&store.Batch{Events: []*store.Event{again}}); !again.Duplicate {
		r.errorf("an ID from before the lane was renamed: not remembered")
	}
	// A problem that was held under the earlier name is held under the new one, which is returned
	// where the batch does not name the lane.
	for _, held := range []*store.Entry{waits, dead} {
		e := eventOf(event(old, "next of "+held.Problem, held.Problem))
		e.Wanted = nil
		r.appendBatch(&store.Batch{Events: []*store.Event{e}})
		if len(e.Placed) != 1 || e.Placed[0].Lane != present || !e.Placed[0].Sticky {
			r.errorf("an event of %q, which was held under the earlier name: placed as %+v, want "+
				"lane %q", held.Problem, e.Placed, present)
		}
	}
	end := eventOf(event(old, "end", "done"))
	end.State, end.Wanted, end.Fallback = guance.StateRecovered, nil, &store.Offer{Lane: "fallback"}
	r.appendBatch(&store.Batch{Events: []*store.Event{end}, Served: []string{old, "fallback"}})
	if len(end.Placed) != 1 || end.Placed[0].Lane != old || !end.Placed[0].Sticky {
		r.errorf("a recovery of what was shown under the earlier name, which is served: placed as "+
			"%+v, want lane %q", end.Placed, old)
	}
	// Two owners by two names are two owners of one lane.
	first := r.lease(old)
	r.lease(present)
	r.lost("an owner by the earlier name, after another acquired the new name", first)
}

// renamesTwice checks names that follow each other.
func renamesTwice(r *run) {
	r.append(event("a", "1", "p"))
	r.rename("a", "b")
	r.rename("b", "c")
	r.renamed(map[string]string{"a": "c", "b": "c"})
	e := event("a", "2", "p")
	b := batchOf(e)
	r.appendBatch(b)
	if seqIn(b.Events[0], "a") == 0 {
		r.errorf("an event for the first of three names: placed as %+v, want lane a",
			b.Events[0].Placed)
	}
	r.holdings(map[string]store.Holdings{"c": {Pending: 2}})
	r.rename("c", "a") // back to its first name
	r.renamed(map[string]string{"b": "a", "c": "a"})
	r.holdings(map[string]store.Holdings{"a": {Pending: 2}})
}

// renamesUnused checks names that no entry has had.
func renamesUnused(r *run) {
	r.rename("old", "new")
	b := batchOf(event("old", "1", "p"))
	r.appendBatch(b)
	if seqIn(b.Events[0], "old") == 0 {
		r.errorf("an event for the earlier name, where neither was used when they were said to be "+
			"one lane: placed as %+v", b.Events[0].Placed)
	}
	r.append(event("used", "1", "q"))
	owner := r.lease("unused")
	r.rename("unused", "used")
	r.lost("an owner by a name that was not used, and is a name of another lane now", owner)
	r.renamed(map[string]string{"old": "new", "unused": "used"})
	r.is("Rename of a used lane to another one", r.store.Rename(r.ctx, "new", "used"), store.ErrInUse)
	r.is("Rename of a used lane, by its earlier name", r.store.Rename(r.ctx, "old", "unused"),
		store.ErrInUse)
	r.holdings(map[string]store.Holdings{"new": {Pending: 1}, "used": {Pending: 1}})
	// A lane whose entries have all ended was used.
	for _, name := range []string{"new", "used"} {
		l := r.acquire(name)
		r.mark(l, mark(r.read(l, 0, 1)[0], store.Delivered, ""))
	}
	r.is("Rename of a used and empty lane to another one", r.store.Rename(r.ctx, "new", "used"),
		store.ErrInUse)
}

func (r *run) rename(from, to string) {
	if err := r.store.Rename(r.ctx, from, to); err != nil {
		r.fatalf("Rename of %q to %q: %v", from, to, err)
	}
}

func (r *run) renamed(want map[string]string) {
	got, err := r.store.Renamed(r.ctx)
	if err != nil || !maps.Equal(got, want) {
		r.errorf("Renamed: got %v, %v; want %v", got, err, want)
	}
}
