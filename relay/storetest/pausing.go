package storetest

import (
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// somePause has text that a store must keep as it is: a zero byte and invalid UTF-8.
func somePause(reason string) store.Pause {
	return store.Pause{
		Until: time.Hour + 1, By: "li\x00\xff", Reason: reason, At: noon.Add(time.Minute),
	}
}

func (r *run) setPause(l store.Lane, p store.Pause) {
	if err := l.SetPause(r.ctx, p); err != nil {
		r.fatalf("SetPause: %v", err)
	}
}

func (r *run) paused(what string, l store.Lane, want store.Pause) {
	got, err := l.Pause(r.ctx)
	same := got.At.Equal(want.At)
	got.At = want.At
	if err != nil || got != want || !same {
		r.errorf("Pause %s: got %+v, %v; want %+v", what, got, err, want)
	}
}

func pauses(r *run) {
	l, other := r.acquire(lane), r.acquire("other")
	r.paused("of a lane that was not used", l, store.Pause{})
	first, second := somePause("first"), somePause("second")
	r.setPause(l, first)
	r.paused("that was set", l, first)
	r.paused("of another lane", other, store.Pause{})
	r.holdings(map[string]store.Holdings{})
	e := event(lane, "a", "p")
	r.append(e)
	r.paused("after an event", l, first)
	r.setPause(l, second)
	r.paused("that was set again", l, second)
	r.paused("that a later owner finds", r.acquire(lane), second)
	r.rename(lane, "renamed")
	l = r.acquire("renamed")
	r.paused("of a lane that was renamed", l, second)
	r.setPause(l, store.Pause{})
	r.paused("that was removed", l, store.Pause{})
	r.setPause(other, first)
	r.paused("of another lane", l, store.Pause{})
}

func findsPause(r *run) {
	p := somePause("to be found")
	r.setPause(r.acquire(lane), p)
	removed := r.acquire("other")
	r.setPause(removed, p)
	r.setPause(removed, store.Pause{})
	for range 2 {
		r.reopen()
		r.paused("opened again", r.acquire(lane), p)
		r.paused("that was removed, opened again", r.acquire("other"), store.Pause{})
	}
}

// pausesAcross checks that the next owner finds a pause, whichever node it is.
func pausesAcross(r *run) {
	b := r.another()
	old := r.lease(lane)
	p := somePause("to be found")
	r.setPause(old.Lane(lane), p)
	r.release(old)
	b.paused("of the owner before, in another node", b.acquire(lane), p)
}

func openInPages(r *run) {
	const n = 7
	all := events(lane, n+2)
	r.append(all...)
	l := r.acquire(lane)
	want := make(map[string]store.Record)
	for i, e := range all[:n] { // the last two are not begun
		e.Level = guance.LevelCritical
		r.mark(l, mark(e, 0, ""))
		if i%2 == 0 {
			r.mark(l, mark(e, store.Delivered, ""))
		}
		want[e.Problem] = r.record(l, e.Problem)
	}
	ended := event(lane, "end", all[0].Problem)
	ended.State = guance.StateRecovered
	r.append(ended)
	r.mark(l, mark(ended, 0, ""), mark(ended, store.Delivered, ""))
	delete(want, ended.Problem)
	other := event("other", "other", "other")
	r.append(other)
	r.mark(r.acquire("other"), mark(other, 0, ""))
	for _, limit := range []int{1, 4, 6, 100} {
		r.openPages(limit, want)
	}
	open, next, err := r.store.OpenProblems(r.ctx, "unknown", "", 4)
	if err != nil || len(open) != 0 || next != "" {
		r.errorf("OpenProblems of an unknown lane: got %d, %q, %v", len(open), next, err)
	}
	if r.harness.Close != nil {
		r.reopen()
		r.openPages(4, want)
	}
}

// openPages checks that the pages have each open problem once.
func (r *run) openPages(limit int, want map[string]store.Record) {
	seen := make(map[string]bool)
	for from := ""; ; {
		open, next, err := r.store.OpenProblems(r.ctx, lane, from, limit)
		if err != nil || len(open) > limit || len(open) < limit && next != "" {
			r.fatalf("OpenProblems, up to %d: got %d, next %q, %v", limit, len(open), next, err)
		}
		for _, o := range open {
			record, ok := want[o.Problem]
			if !ok || seen[o.Problem] {
				r.fatalf("OpenProblems, up to %d: got %q, which is not open or was in an earlier page",
					limit, o.Problem)
			}
			seen[o.Problem] = true
			r.sameRecord(fmt.Sprintf("OpenProblems: the record of %q", o.Problem), o.Record, record)
		}
		if next == "" {
			break
		}
		from = next
	}
	if len(seen) != len(want) {
		r.errorf("OpenProblems, up to %d: got %d problems in all pages, want %d", limit, len(seen),
			len(want))
	}
}
