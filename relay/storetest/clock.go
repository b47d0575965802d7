package storetest

import (
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

func setsKept(r *run) {
	l := r.acquire(lane)
	var last time.Duration
	var all []*store.Entry
	for i := range 5 {
		a, b := event(lane, fmt.Sprint("a", i), "p"), event(lane, fmt.Sprint("b", i), "ignored")
		b.Ignored = "not wanted"
		a.Kept, b.Kept = time.Hour, 1e6*time.Hour // the store must overwrite them
		before := r.store.Clock()
		r.append(a, b)
		after := r.store.Clock()
		for _, e := range []*store.Entry{a, b} {
			if e.Kept <= 0 || e.Kept < before || e.Kept > after {
				r.errorf("Append at some time from %v to %v: entry %d was kept at %v", before,
					after, e.Seq, e.Kept)
			}
			if e.Kept < last {
				r.errorf("Append: entry %d was kept at %v, and the one before it at %v", e.Seq,
					e.Kept, last)
			}
			last = e.Kept
		}
		all = append(all, a)
		time.Sleep(time.Millisecond) // so that the times differ
	}
	for i, e := range r.read(l, 0, len(all)) {
		if e.Kept != all[i].Kept {
			r.errorf("Read of entry %d: it was kept at %v, and Append said %v", e.Seq, e.Kept,
				all[i].Kept)
		}
		r.body(l, all[i])
	}
	r.mark(l, mark(all[0], store.Dead, "refused"), mark(all[1], store.Delivered, ""))
	for _, st := range append(r.history(lane, "p"), r.dead(lane)...) {
		if want := all[0].Kept; st.Seq == all[0].Seq && st.Kept != want {
			r.errorf("a dead letter was kept at %v, and Append said %v", st.Kept, want)
		}
		if want := all[1].Kept; st.Seq == all[1].Seq && st.Kept != want {
			r.errorf("a settlement was kept at %v, and Append said %v", st.Kept, want)
		}
	}
}

// clockGrows allows the store a clock that runs a fifth faster or slower than this process's.
func clockGrows(r *run) {
	for range 3 {
		outer := time.Now()
		from := r.store.Clock()
		inner := time.Now()
		time.Sleep(moment)
		least := time.Since(inner)
		grown := r.store.Clock() - from
		if most := time.Since(outer); grown < least*4/5 || grown > most*6/5 {
			r.errorf("Clock: grew by %v in a time from %v to %v", grown, least, most)
		}
	}
}

func clockGoesOn(r *run) {
	e := event(lane, "a", "p")
	r.append(e)
	for i := range 3 {
		begin := time.Now()
		from := r.store.Clock()
		r.close()
		open := time.Since(begin)
		time.Sleep(2 * moment)
		begin = time.Now()
		r.store = r.open()
		now := r.store.Clock()
		open += time.Since(begin)
		if now < from || now < e.Kept {
			r.errorf("Clock: %v when opened again, %v before the close, and an entry was kept at "+
				"%v", now, from, e.Kept)
		}
		if grown := now - from; grown > open*6/5 {
			r.errorf("Clock: grew by %v over a close; the store was open for %v of it at most",
				grown, open)
		}
		if now > 1e6*time.Hour {
			r.errorf("Clock: %v, in a store that is new", now)
		}
		next := event(lane, fmt.Sprint("after ", i), "p")
		r.append(next)
		if next.Kept < now {
			r.errorf("Append when opened again: kept at %v, and the clock said %v", next.Kept, now)
		}
		e = next
	}
}

// revive revives a dead letter and sets e.Kept to its new time.
func (r *run) revive(l store.Lane, e *store.Entry) *store.Entry {
	before := r.store.Clock()
	revived, err := l.Revive(r.ctx, e.Seq)
	if err != nil {
		r.fatalf("Revive of entry %d: %v", e.Seq, err)
	}
	if after := r.store.Clock(); revived.Kept < before || revived.Kept > after {
		r.errorf("Revive at some time from %v to %v: entry %d was kept at %v", before, after, e.Seq,
			revived.Kept)
	}
	e.Kept = revived.Kept
	r.same(revived, e)
	return revived
}
