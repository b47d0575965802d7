package storetest

import (
	"fmt"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

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
