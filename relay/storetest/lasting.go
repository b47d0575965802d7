package storetest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

func findsEverything(r *run) {
	all := events(lane, 8)
	r.append(all...)
	r.append(event("other", "a", "p"))
	ignored := event(lane, "ignored", "ignored")
	r.ignore(ignored, "not wanted")
	l := r.acquire(lane)
	begun := mark(all[1], 0, "")
	begun.Failed, begun.Doubt = 5, true
	r.mark(l, begun)
	outcomes := map[int]store.Outcome{
		2: store.Delivered, 3: store.Superseded, 4: store.Ignored, 5: store.Dead, 6: store.Dead,
		7: store.Dead,
	}
	var records []store.Record
	for i := 2; i < 8; i++ {
		r.mark(l, mark(all[i], outcomes[i], fmt.Sprint("reason ", i)))
	}
	if err := l.Drop(r.ctx, all[6].Seq); err != nil {
		r.errorf("Drop: %v", err)
	}
	again := *all[7]
	r.revive(l, &again)
	for _, e := range all {
		records = append(records, r.record(l, e.Problem))
	}
	for round := range 2 { // opening a second time finds the same
		old := l
		r.reopen()
		_, err := old.Load(r.ctx, all[0].Seq)
		if !errors.Is(err, store.ErrClosed) && !errors.Is(err, store.ErrFenced) {
			r.errorf("a lease from before the close: got the error %v, want ErrClosed or ErrFenced",
				err)
		}
		l = r.pending(lane, all[0], all[1], all[7])
		for i, got := range r.read(l, 0, 3) {
			want := []*store.Entry{all[0], all[1], &again}[i]
			r.same(got, want)
			r.body(l, want)
			if got.Begun != (i > 0) || got.Failed != []int{0, 5, 0}[i] {
				r.errorf("entry %d opened again: begun %v, %d failed attempts", got.Seq, got.Begun,
					got.Failed)
			}
		}
		for i, e := range all {
			r.sameRecord(fmt.Sprintf("opened again, round %d, entry %d", round, e.Seq),
				r.record(l, e.Problem), records[i])
			if o := outcomes[i]; o != 0 {
				r.ended(e, o, fmt.Sprint("reason ", i), mark(e, o, "").At)
			}
		}
		r.ended(ignored, store.Ignored, "not wanted", ignored.Accepted)
		if dead := r.dead(lane); len(dead) != 1 || dead[0].Seq != all[5].Seq ||
			string(dead[0].Body) != string(all[5].Body) {
			r.errorf("DeadLetters opened again: got %d, want entry %d with its body", len(dead),
				all[5].Seq)
		}
		r.holdings(map[string]store.Holdings{lane: {Pending: 3, Dead: 1}, "other": {Pending: 1}})
	}
	next := event(lane, "next", "next")
	r.append(next)
	if next.Seq <= ignored.Seq {
		r.errorf("the first entry after opening again: got the sequence number %d, which was "+
			"given out before", next.Seq)
	}
	// An empty lane goes on with its numbers too.
	l = r.acquire(lane)
	for _, e := range []*store.Entry{all[0], all[1], all[7], next} {
		r.mark(l, mark(e, store.Delivered, ""))
	}
	r.reopen()
	last := event(lane, "last", "last")
	r.append(last)
	if last.Seq <= next.Seq {
		r.errorf("the first entry of an empty lane opened again: got the sequence number %d "+
			"after %d", last.Seq, next.Seq)
	}
}

func findsDuplicates(r *run) {
	kinds := events(lane, 4)
	r.append(kinds[:3]...)
	r.ignore(kinds[3], "not wanted")
	l := r.acquire(lane)
	r.mark(l, mark(kinds[1], store.Delivered, ""), mark(kinds[2], store.Dead, ""))
	for range 2 {
		r.reopen()
		for i, e := range events(lane, 4) {
			r.append(e)
			if e.Seq != 0 {
				r.errorf("duplicate number %d after opening again: got the sequence number %d", i,
					e.Seq)
			}
		}
	}
	other := event("other", kinds[0].ID, "p")
	r.append(other)
	if other.Seq == 0 {
		r.errorf("the same ID of another source after opening again: taken for a duplicate")
	}
}

func answersClosed(r *run) {
	l, pending, dead := r.both()
	done := r.waiting(l, dead.Seq)
	r.close()
	r.eventually("Read that waited for a store which closes", done, store.ErrClosed)
	for name, call := range calls(r.store, l, lane, pending, dead) {
		r.is(name+" after the close", r.try(call), store.ErrClosed)
	}
	r.store = r.open()
	r.unchanged(pending, dead)
}

var errDisk = errors.New("the disk of this check refuses to write")

func answersFailed(r *run) {
	l, pending, dead := r.both()
	done := r.waiting(l, dead.Seq)
	r.harness.Fail(r.store, errDisk, false)
	err := r.store.Append(r.ctx, batchOf(event(lane, "lost", "lost")))
	r.is("Append that the disk refuses", err, store.ErrFailed)
	if err != nil && !errors.Is(err, errDisk) {
		r.errorf("Append that the disk refuses: %q does not say why", err)
	}
	r.eventually("Read that waited for a store which fails", done, store.ErrFailed)
	for name, call := range calls(r.store, l, lane, pending, dead) {
		r.is(name+" after the failure", r.try(call), store.ErrFailed)
	}
}

// failing has a write fail, closes the store and opens it again. It does so twice: the write is not
// on the disk, then it is.
func (r *run) failing(fail func(), check func(landed bool)) {
	for _, landed := range []bool{false, true} {
		r.harness.Fail(r.store, errDisk, landed)
		fail()
		_ = r.harness.Close(r.store) // a failed store may return an error
		r.store = r.open()
		check(landed)
	}
}

func failedAppend(r *run) {
	kept := event(lane, "kept", "kept")
	r.append(kept)
	round := 0
	lost := func() []*store.Entry {
		return []*store.Entry{
			event(lane, fmt.Sprint("x", round), "x"),
			event("other", fmt.Sprint("y", round), "y"),
			event(lane, fmt.Sprint("z", round), "z"),
		}
	}
	var inLane, inOther []*store.Entry
	inLane = append(inLane, kept)
	r.failing(func() {
		r.is("Append that the disk refuses", r.store.Append(r.ctx, batchOf(lost()...)), store.ErrFailed)
	}, func(landed bool) {
		// The sender sends it again. It is there once, whether the first write landed or not.
		again := lost()
		r.append(again...)
		for i, e := range again {
			if (e.Seq == 0) != (again[0].Seq == 0) {
				r.fatalf("an append that failed (on the disk: %v) is there in part: sent again, "+
					"the sequence numbers are %s", landed, seqs(again))
			}
			if (e.Seq == 0) != landed {
				r.errorf("entry %d of an append that failed (on the disk: %v), sent again: got "+
					"the sequence number %d", i, landed, e.Seq)
			}
		}
		l := r.acquire(lane)
		found := r.read(l, 0, len(inLane)+2)
		inLane = append(inLane, found[len(inLane):]...)
		r.nothing(l, found[len(found)-1].Seq)
		other := r.acquire("other")
		inOther = r.read(other, 0, len(inOther)+1)
		r.nothing(other, inOther[len(inOther)-1].Seq)
		if got := []string{found[len(found)-2].Problem, found[len(found)-1].Problem,
			inOther[len(inOther)-1].Problem}; !slices.Equal(got, []string{"x", "z", "y"}) {
			r.errorf("an append that failed (on the disk: %v) and was sent again: got %v", landed,
				got)
		}
		round++
	})
}

func failedMark(r *run) {
	trigger, recovery := event(lane, "trigger", "p"), event(lane, "recovery", "p")
	recovery.State = guance.StateRecovered
	r.append(trigger, recovery)
	r.failing(func() {
		l := r.acquire(lane)
		err := l.Mark(r.ctx, []store.Mark{
			mark(trigger, store.Superseded, "recovered"),
			mark(recovery, store.Superseded, "recovered"),
		})
		r.is("Mark that the disk refuses", err, store.ErrFailed)
	}, func(landed bool) {
		if landed {
			r.pending(lane)
			if h := r.history(lane, "p"); len(h) != 2 {
				r.errorf("marks that failed, and are on the disk: got %d settlements, want 2",
					len(h))
			}
			return
		}
		l := r.pending(lane, trigger, recovery)
		r.sameRecord("marks that failed, and are not on the disk", r.record(l, "p"), store.Record{})
		if h := r.history(lane, "p"); len(h) != 0 {
			r.errorf("marks that failed, and are not on the disk: got %d settlements", len(h))
		}
	})
}
