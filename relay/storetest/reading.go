package storetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

func countsLanes(r *run) {
	r.holdings(nil)
	a := events("a", 3)
	b := events("b", 2)
	r.append(append(a, b...)...)
	r.holdings(map[string]store.Holdings{"a": {Pending: 3}, "b": {Pending: 2}})
	l := r.acquire("a")
	r.mark(l, mark(a[0], store.Dead, ""), mark(a[1], store.Delivered, ""))
	r.holdings(map[string]store.Holdings{"a": {Pending: 1, Dead: 1}, "b": {Pending: 2}})
	r.mark(l, mark(a[2], store.Superseded, ""))
	if err := l.Drop(r.ctx, a[0].Seq); err != nil {
		r.errorf("Drop: %v", err)
	}
	r.holdings(map[string]store.Holdings{"b": {Pending: 2}})
}

func tellsHistory(r *run) {
	var own []*store.Entry
	for i := range 6 {
		e := event(lane, fmt.Sprint(i), "own")
		own = append(own, e)
		r.append(e, event(lane, fmt.Sprint("other ", i), "other"),
			event("elsewhere", fmt.Sprint(i), "elsewhere"))
	}
	l := r.acquire(lane)
	// Settled in another order than accepted.
	for _, i := range []int{3, 0, 5, 1, 4} {
		r.mark(l, mark(own[i], store.Outcome(i%2+1), fmt.Sprint("reason ", i)))
	}
	h := r.history(lane, "own")
	if len(h) != 5 {
		r.fatalf("History: got %d settlements, want 5", len(h))
	}
	for n, i := range []int{0, 1, 3, 4, 5} {
		o := store.Outcome(i%2 + 1)
		r.settlement(h[n], own[i], o, fmt.Sprint("reason ", i), mark(own[i], o, "").At, false)
	}
	if h := r.history(lane, "unknown"); len(h) != 0 {
		r.errorf("History of an unknown problem: got %d settlements", len(h))
	}
	if h := r.history("elsewhere", "own"); len(h) != 0 {
		r.errorf("History of another lane: got %d settlements", len(h))
	}
}

func deadInPages(r *run) {
	all := events(lane, 7)
	r.append(all...)
	r.append(events("other", 1)...)
	l := r.acquire(lane)
	for _, i := range []int{6, 2, 4, 0, 1, 5} { // all but 3
		r.mark(l, mark(all[i], store.Dead, fmt.Sprint("reason ", i)))
	}
	want := slices.Delete(slices.Clone(all), 3, 4)
	var after uint64
	for n := 0; n < len(want); {
		page, err := r.store.DeadLetters(r.ctx, lane, after, 4)
		if err != nil || len(page) == 0 || len(page) > 4 {
			r.fatalf("DeadLetters after %d, up to 4: got %d, %v", after, len(page), err)
		}
		for _, st := range page {
			i := slices.Index(all, want[n])
			r.settlement(st, want[n], store.Dead, fmt.Sprint("reason ", i),
				mark(want[n], store.Dead, "").At, true)
			after = st.Seq
			n++
		}
	}
	if page, err := r.store.DeadLetters(r.ctx, lane, after, 4); err != nil || len(page) != 0 {
		r.errorf("DeadLetters after the last: got %d, %v", len(page), err)
	}
	if page, err := r.store.DeadLetters(r.ctx, "unknown", 0, 4); err != nil || len(page) != 0 {
		r.errorf("DeadLetters of an unknown lane: got %d, %v", len(page), err)
	}
	// A caller may change the body that it got.
	page := r.dead(lane)
	clear(page[0].Body)
	if again := r.dead(lane); string(again[0].Body) != string(want[0].Body) {
		r.errorf("DeadLetters hands out what it keeps: a caller changed it")
	}
}

func readsInSequence(r *run) {
	all := events(lane, 300)
	for i := range 30 {
		r.append(all[i*10 : i*10+10]...)
	}
	l := r.acquire(lane)
	if got := r.read(l, 0, len(all)); !ascending(got) {
		r.errorf("Read: out of sequence: %s", seqs(got))
	}
	if got := r.read(l, all[149].Seq, 10); got[0].Seq != all[150].Seq ||
		got[9].Seq != all[159].Seq {
		r.errorf("Read after entry %d: got %s", all[149].Seq, seqs(got))
	}
	var left []*store.Entry
	var marks []store.Mark
	for i, e := range all {
		switch {
		case i%7 == 0:
			left = append(left, e)
		case i%7 == 1:
			m := mark(e, 0, "")
			m.Failed = i
			marks = append(marks, m)
			left = append(left, e)
		default:
			marks = append(marks, mark(e, store.Superseded, "newer"))
		}
	}
	r.mark(l, marks...)
	for range 2 { // the same for a new owner
		for n, e := range r.read(l, 0, len(left)) {
			i := slices.Index(all, left[n])
			if e.Seq != left[n].Seq {
				r.fatalf("Read: got entry %d, want %d", e.Seq, left[n].Seq)
			}
			if begun := i%7 == 1; e.Begun != begun || begun && e.Failed != i ||
				!begun && e.Failed != 0 {
				r.errorf("entry %d: begun %v after %d failed attempts; want %v, %d", e.Seq, e.Begun,
					e.Failed, begun, i)
			}
			r.body(l, left[n])
		}
		r.nothing(l, left[len(left)-1].Seq)
		l = r.acquire(lane)
	}
}

func readWaits(r *run) {
	l := r.acquire(lane)
	ctx, cancel := context.WithCancel(r.ctx)
	done := make(chan error, 1)
	go func() { _, err := l.Read(ctx, 0, 1); done <- err }()
	time.Sleep(moment / 10)
	cancel()
	r.eventually("Read whose context ends while it waits", done, context.Canceled)

	var last uint64
	for i := range 5 {
		read := make(chan *store.Entry, 1)
		failed := make(chan error, 1)
		go func() {
			got, err := l.Read(r.ctx, last, 10)
			if err != nil || len(got) != 1 {
				failed <- fmt.Errorf("%d entries, %w", len(got), err)
				return
			}
			read <- got[0]
		}()
		if i%2 == 0 {
			time.Sleep(moment / 10) // so that it waits by now
		}
		r.append(event("other", fmt.Sprint(i), "q")) // must not wake it with an entry
		e := event(lane, fmt.Sprint(i), "p")
		r.append(e)
		select {
		case got := <-read:
			if got.Seq != e.Seq {
				r.errorf("Read that waited: got entry %d, want %d", got.Seq, e.Seq)
			}
			last = got.Seq
		case err := <-failed:
			r.fatalf("Read that waited: %v", err)
		case <-time.After(patience):
			r.fatalf("Read was not woken by an append")
		}
	}
}

func handsOutNoReference(r *run) {
	e := event(lane, "a", "p")
	r.append(e)
	l := r.acquire(lane)
	read := r.read(l, 0, 1)[0]
	*read = store.Entry{Problem: "another"}
	loaded, err := l.Load(r.ctx, e.Seq)
	if err != nil {
		r.fatalf("Load: %v", err)
	}
	clear(loaded.Body)
	*loaded = store.Entry{Body: loaded.Body}
	r.same(r.read(l, 0, 1)[0], e)
	r.body(l, e)
}

func loadsOne(r *run) {
	all := events(lane, 3)
	r.append(all...)
	l := r.acquire(lane)
	m := mark(all[1], 0, "")
	m.Failed = 3
	r.mark(l, m, mark(all[2], store.Delivered, ""))
	r.body(l, all[0])
	r.body(l, all[1])
	if got, err := l.Load(r.ctx, all[1].Seq); err != nil || !got.Begun || got.Failed != 3 {
		r.errorf("Load of a begun entry: got %+v, %v", got, err)
	}
	for what, seq := range map[string]uint64{"a settled entry": all[2].Seq, "entry 0": 0,
		"an entry to come": all[2].Seq + 1000} {
		_, err := l.Load(r.ctx, seq)
		r.is("Load of "+what, err, store.ErrNotFound)
	}
	_, err := r.acquire("unknown").Load(r.ctx, 1)
	r.is("Load from an empty lane", err, store.ErrNotFound)
}

func recordsInOrder(r *run) {
	all := events(lane, 4)
	r.append(all...)
	l := r.acquire(lane)
	for _, e := range all[:3] {
		r.mark(l, mark(e, 0, ""))
	}
	asked := []string{
		all[2].Problem, "unknown", all[0].Problem, all[3].Problem, all[2].Problem, all[1].Problem,
	}
	want := []uint64{all[2].Seq, 0, all[0].Seq, 0, all[2].Seq, all[1].Seq}
	got, err := l.Records(r.ctx, asked)
	if err != nil || len(got) != len(want) {
		r.fatalf("Records of %d problems: got %d, %v", len(want), len(got), err)
	}
	for i := range want {
		if got[i].Seq != want[i] {
			r.errorf("Records: number %d is of entry %d, want %d", i, got[i].Seq, want[i])
		}
	}
	if got[1] != (store.Record{}) || got[3] != (store.Record{}) {
		r.errorf("Records of problems that were never begun: got %+v and %+v", got[1], got[3])
	}
	if got, err := l.Records(r.ctx, nil); err != nil || len(got) != 0 {
		r.errorf("Records of no problem: got %d, %v", len(got), err)
	}
	if got := r.record(r.acquire("other"), all[0].Problem); got != (store.Record{}) {
		r.errorf("Records of another lane: got %+v", got)
	}
}
