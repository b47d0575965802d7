package storetest

import (
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

func setsKept(r *run) {
	l := r.acquire(lane)
	var all []*store.Entry
	var last time.Duration
	for i := range 5 {
		e := event(lane, fmt.Sprint("a", i), "p")
		before := r.store.Clock()
		r.append(e)
		after := r.store.Clock()
		r.ignore(event(lane, fmt.Sprint("b", i), "ignored"), "not wanted")
		read := r.read(l, 0, i+1)[i]
		if e.Kept = read.Kept; e.Kept <= last || e.Kept < before || e.Kept > after {
			r.errorf("Append at some time from %v to %v: entry %d was kept at %v, and the one "+
				"before it at %v", before, after, e.Seq, e.Kept, last)
		}
		h := r.history(lane, "ignored")
		if got := h[len(h)-1].Kept; got < after || got > r.store.Clock() {
			r.errorf("Append after %v: an ignored entry was kept at %v", after, got)
		}
		all, last = append(all, e), e.Kept
		time.Sleep(time.Millisecond) // so that the times differ
	}
	for _, e := range all {
		r.body(l, e)
	}
	r.mark(l, mark(all[0], store.Dead, "refused"), mark(all[1], store.Delivered, ""))
	for _, st := range append(r.history(lane, "p"), r.dead(lane)...) {
		if want := all[0].Kept; st.Seq == all[0].Seq && st.Kept != want {
			r.errorf("a dead letter was kept at %v, and Read said %v", st.Kept, want)
		}
		if want := all[1].Kept; st.Seq == all[1].Seq && st.Kept != want {
			r.errorf("a settlement was kept at %v, and Read said %v", st.Kept, want)
		}
	}
}

// kept returns when the newest pending entry of the lane was kept.
func (r *run) kept(n int) time.Duration { return r.read(r.acquire(lane), 0, n)[n-1].Kept }

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
	r.append(event(lane, "a", "p"))
	for i := range 3 {
		kept := r.kept(i + 1)
		begin := time.Now()
		from := r.store.Clock()
		r.close()
		open := time.Since(begin)
		time.Sleep(2 * moment)
		begin = time.Now()
		r.store = r.open()
		now := r.store.Clock()
		open += time.Since(begin)
		if now < from || now < kept {
			r.errorf("Clock: %v when opened again, %v before the close, and an entry was kept at "+
				"%v", now, from, kept)
		}
		if grown := now - from; r.harness.Another == nil && grown > open*6/5 {
			r.errorf("Clock: grew by %v over a close; the store was open for %v of it at most",
				grown, open)
		}
		if now > 1e6*time.Hour {
			r.errorf("Clock: %v, in a store that is new", now)
		}
		r.append(event(lane, fmt.Sprint("after ", i), "p"))
		if next := r.kept(i + 2); next < now {
			r.errorf("Append when opened again: kept at %v, and the clock said %v", next, now)
		}
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
