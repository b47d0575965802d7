package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

func marksApply(r *run) {
	states := []guance.State{guance.StateNeither, guance.StateProblem, guance.StateRecovered}
	l := r.acquire(lane)
	var want store.Record
	rnd := rand.New(rand.NewPCG(1, 2)) // a fixed seed
	for i := range 60 {
		e := event(lane, fmt.Sprint(i), "p")
		e.State = states[rnd.IntN(len(states))]
		e.Level = guance.Level(rnd.IntN(7))
		e.Time = noon.Add(time.Duration(rnd.IntN(100)-50) * time.Minute)
		if rnd.IntN(5) == 0 {
			e.Time = time.Time{}
		}
		r.append(e)
		var marks []store.Mark
		if rnd.IntN(3) > 0 {
			marks = append(marks, mark(e, 0, ""))
		}
		marks = append(marks, mark(e, store.Outcome(1+rnd.IntN(4)), "reason"))
		for j := range marks {
			marks[j].At = noon.Add(time.Duration(i*2+j) * time.Second)
			marks[j].Doubt = rnd.IntN(4) == 0
			want = want.Apply(marks[j])
		}
		if rnd.IntN(2) == 0 {
			r.mark(l, marks...)
		} else {
			for _, m := range marks {
				r.mark(l, m)
			}
		}
		r.sameRecord(fmt.Sprintf("after entry %d, %v, %v", e.Seq, e.State,
			marks[len(marks)-1].Outcome), r.record(l, "p"), want)
	}
}

func marksOutcomes(r *run) {
	for _, o := range []store.Outcome{store.Delivered, store.Superseded, store.Ignored,
		store.Dead} {
		e := event(lane, o.String(), o.String())
		r.append(e)
		l := r.pending(lane, e)
		r.mark(l, mark(e, 0, ""))
		r.body(l, e)
		m := mark(e, o, "because of "+o.String())
		r.mark(l, m)
		l = r.pending(lane)
		_, err := l.Load(r.ctx, e.Seq)
		r.is("Load of what is "+o.String(), err, store.ErrNotFound)
		r.ended(e, o, m.Reason, m.At)
		dead := r.dead(lane)
		if (len(dead) == 1) != (o == store.Dead) {
			r.errorf("DeadLetters when an entry is %v: got %d", o, len(dead))
		}
		for _, st := range dead {
			r.settlement(st, e, o, m.Reason, m.At, true)
		}
	}
}

func marksOnce(r *run) {
	a, b := event(lane, "a", "p"), event(lane, "b", "p")
	r.append(a, b)
	l := r.acquire(lane)
	ended := mark(a, store.Delivered, "first")
	r.mark(l, mark(a, 0, ""), ended)
	want := r.record(l, "p")
	late := mark(a, store.Dead, "second")
	late.At = noon.Add(time.Hour)
	begin := mark(a, 0, "")
	begin.At = noon.Add(time.Hour)
	unknown := mark(&store.Entry{Seq: b.Seq + 1000, Problem: "p", State: guance.StateProblem},
		store.Delivered, "")
	r.mark(l, late)
	r.mark(l, begin)
	r.mark(l, ended)
	r.mark(l, unknown)
	r.sameRecord("after marks of what is settled or was never there", r.record(l, "p"), want)
	r.ended(a, store.Delivered, "first", ended.At)
	if dead := r.dead(lane); len(dead) != 0 {
		r.errorf("DeadLetters: a mark of what is settled made %d", len(dead))
	}
	r.pending(lane, b)
	// In one call with a mark that counts.
	l = r.acquire(lane)
	r.mark(l, late, mark(b, store.Superseded, "counts"), mark(b, store.Delivered, "comes too late"))
	if h := r.history(lane, "p"); len(h) != 2 || h[1].Outcome != store.Superseded {
		r.errorf("History after marks of which one counts: got %d settlements, want 2, the last "+
			"one superseded", len(h))
	}
	r.mark(r.acquire("unknown"), ended) // the lane has no such entry: nothing changes
	r.holdings(nil)
}

func marksAll(r *run) {
	all := events(lane, 50)
	r.append(all...)
	l := r.acquire(lane)
	var marks []store.Mark
	for i, e := range all {
		m := mark(e, store.Outcome(i%5), "together")
		m.Failed = i
		marks = append(marks, m)
	}
	r.mark(l, marks...)
	r.mark(l)
	var left []*store.Entry
	for i, e := range all {
		if i%5 == 0 {
			left = append(left, e)
			continue
		}
		r.ended(e, store.Outcome(i%5), "together", marks[i].At)
	}
	r.pending(lane, left...)
}

func revives(r *run) {
	all := events(lane, 5)
	r.append(all...)
	l := r.acquire(lane)
	for _, i := range []int{1, 3, 4} {
		m := mark(all[i], 0, "")
		m.Failed = 7
		r.mark(l, m, mark(all[i], store.Dead, "refused"))
	}
	for what, seq := range map[string]uint64{"an unsettled entry": all[0].Seq,
		"an entry to come": all[4].Seq + 1000, "entry 0": 0} {
		_, err := l.Revive(r.ctx, seq)
		r.is("Revive of "+what, err, store.ErrNotFound)
	}
	before := r.record(l, all[3].Problem)
	e := r.revive(l, all[3])
	if e.Body != nil || !e.Begun || e.Failed != 0 {
		r.errorf("Revive: got a body of %d bytes, begun %v, %d failed attempts; want no body, "+
			"begun, none", len(e.Body), e.Begun, e.Failed)
	}
	r.sameRecord("Revive", r.record(l, all[3].Problem), before)
	_, err := l.Revive(r.ctx, all[3].Seq)
	r.is("Revive of what is revived", err, store.ErrNotFound)
	r.is("Drop of what is revived", l.Drop(r.ctx, all[3].Seq), store.ErrNotFound)
	r.body(l, all[3])
	if dead := r.dead(lane); len(dead) != 2 || dead[0].Seq != all[1].Seq ||
		dead[1].Seq != all[4].Seq {
		r.errorf("DeadLetters after Revive: got %d, want the other two", len(dead))
	}
	r.holdings(map[string]store.Holdings{lane: {Pending: 3, Dead: 2}})

	// It has its old sequence number, before later entries.
	l = r.pending(lane, all[0], all[2], all[3])
	if got := r.read(l, 0, 3)[2]; !got.Begun || got.Failed != 0 {
		r.errorf("a revived entry: begun %v, %d failed attempts", got.Begun, got.Failed)
	}
	// It may die and be revived again.
	r.mark(l, mark(all[3], store.Dead, "again"))
	r.revive(l, all[3])
	r.mark(l, mark(all[0], store.Delivered, ""), mark(all[2], store.Delivered, ""))
	r.revive(l, all[1]) // while no entry beside it is left
	l = r.pending(lane, all[1], all[3])
	r.body(l, all[1])
	r.body(l, all[3])
	r.mark(l, mark(all[3], store.Delivered, "at last"), mark(all[1], store.Superseded, ""))
	h := r.history(lane, all[3].Problem)
	if len(h) == 0 || h[len(h)-1].Outcome != store.Delivered || h[len(h)-1].Reason != "at last" {
		r.errorf("History of what was revived and delivered: got %d settlements, the last one "+
			"not that", len(h))
	}
	r.pending(lane)
}

func drops(r *run) {
	l, pending, dead := r.both()
	for what, seq := range map[string]uint64{"an unsettled entry": pending.Seq,
		"an entry to come": dead.Seq + 1000} {
		r.is("Drop of "+what, l.Drop(r.ctx, seq), store.ErrNotFound)
	}
	if err := l.Drop(r.ctx, dead.Seq); err != nil {
		r.errorf("Drop: %v", err)
	}
	r.is("Drop of what is dropped", l.Drop(r.ctx, dead.Seq), store.ErrNotFound)
	_, err := l.Revive(r.ctx, dead.Seq)
	r.is("Revive of what is dropped", err, store.ErrNotFound)
	if letters := r.dead(lane); len(letters) != 0 {
		r.errorf("DeadLetters after Drop: got %d", len(letters))
	}
	r.ended(dead, store.Dead, "refused", mark(dead, store.Dead, "").At)
	r.holdings(map[string]store.Holdings{lane: {Pending: 1}})
	r.pending(lane, pending)
}

func settlesOnce(r *run) {
	const callers, each = 6, 20
	l := r.acquire(lane)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := range each {
				if err := r.store.Append(r.ctx, batchOf(event(lane, fmt.Sprint(i, "-", j),
					fmt.Sprint("problem ", j)))); err != nil {
					r.errorf("Append: %v", err)
				}
			}
		}()
	}
	// One goroutine reads, four mark, and one makes other calls.
	arrived := make(chan *store.Entry)
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for e := range arrived {
				if _, err := l.Load(r.ctx, e.Seq); err != nil {
					r.errorf("Load: %v", err)
				}
				o := store.Outcome(1 + e.Seq%4)
				if err := l.Mark(r.ctx, []store.Mark{mark(e, 0, "")}); err != nil {
					r.errorf("Mark: %v", err)
				}
				if err := l.Mark(r.ctx, []store.Mark{mark(e, o, "")}); err != nil {
					r.errorf("Mark: %v", err)
				}
			}
		}()
	}
	stop := make(chan struct{})
	var lookers sync.WaitGroup
	lookers.Add(1)
	go func() {
		defer lookers.Done()
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := r.store.DeadLetters(r.ctx, lane, 0, 10); err != nil {
				r.errorf("DeadLetters: %v", err)
			}
			if _, err := r.store.Holdings(r.ctx); err != nil {
				r.errorf("Holdings: %v", err)
			}
			if _, err := l.Records(r.ctx, []string{"problem 1", "problem 2"}); err != nil {
				r.errorf("Records: %v", err)
			}
			time.Sleep(time.Millisecond)
		}
	}()
	var after uint64
	for n := 0; n < callers*each; n++ {
		e := r.read(l, after, 1)[0]
		after = e.Seq
		arrived <- e
	}
	close(arrived)
	wg.Wait()
	close(stop)
	lookers.Wait()
	r.pending(lane)
	found := 0
	for j := range each {
		for _, st := range r.history(lane, fmt.Sprint("problem ", j)) {
			found++
			if want := store.Outcome(1 + st.Seq%4); st.Outcome != want {
				r.errorf("entry %d: got %v, want %v", st.Seq, st.Outcome, want)
			}
		}
	}
	if found != callers*each {
		r.errorf("got %d settlements of %d entries", found, callers*each)
	}
	if dead := r.dead(lane); !slices.IsSortedFunc(dead,
		func(a, b store.Settlement) int { return int(int64(a.Seq) - int64(b.Seq)) }) {
		r.errorf("DeadLetters: out of sequence")
	}
}
