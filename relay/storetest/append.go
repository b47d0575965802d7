package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

func keepsAll(r *run) {
	odd := []*store.Entry{
		{Lane: lane, Accepted: noon, Body: []byte("{}")},
		{
			Lane:     lane,
			ID:       "all",
			Problem:  "a problem",
			State:    guance.StateProblem,
			Level:    guance.LevelFatal,
			Time:     noon,
			Accepted: noon.Add(time.Nanosecond),
			Trace:    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
			Body:     []byte(`{"df_event_id":"all"}`),
		},
		{
			Lane:     lane,
			ID:       "recovered",
			Problem:  "a problem",
			State:    guance.StateRecovered,
			Time:     noon.Add(-time.Hour),
			Accepted: noon,
			Body:     []byte(`{}`),
		},
		{
			Lane:     lane,
			ID:       strings.Repeat("i", 1000),
			Problem:  strings.Repeat("\xff/\x00", 85),
			Level:    guance.LevelNoData,
			Accepted: noon,
			Body:     []byte("\x00\xff\n"),
		},
		{Lane: lane, ID: "no body", Problem: "no body", State: guance.StateProblem, Accepted: noon},
		{
			Lane:     lane,
			ID:       "large",
			Problem:  "主机 CPU 使用率过高",
			State:    guance.StateProblem,
			Accepted: noon.In(time.FixedZone("CST", 8*3600)),
			Body:     []byte(strings.Repeat("a body that needs many pages. ", 20_000)),
		},
	}
	for _, level := range []guance.Level{guance.LevelNone, guance.LevelInfo, guance.LevelWarning,
		guance.LevelError, guance.LevelCritical} {
		e := event(lane, fmt.Sprint("level ", level), fmt.Sprint("level ", level))
		e.Level = level
		odd = append(odd, e)
	}
	r.append(odd...)
	l := r.acquire(lane)
	for i, got := range r.read(l, 0, len(odd)) {
		r.same(got, odd[i])
		if got.Body != nil {
			r.errorf("Read of entry %d: got a body", got.Seq)
		}
		if got.Begun || got.Failed != 0 {
			r.errorf("Read of entry %d that nobody tried: begun %v, failed %d", got.Seq, got.Begun,
				got.Failed)
		}
		r.body(l, odd[i])
	}
	r.append() // no event: no error
}

func numbersLanes(r *run) {
	var last uint64
	for i := range 5 {
		a, b := event(lane, fmt.Sprint("a", i), "p"), event(lane, fmt.Sprint("b", i), "q")
		r.append(a, b)
		if a.Seq <= last || b.Seq <= a.Seq {
			r.errorf("Append number %d: got the sequence numbers %d and %d after %d", i, a.Seq,
				b.Seq, last)
		}
		last = b.Seq
	}
	// One call for several lanes: each lane has its own order.
	x, y := event("x", "1", "p of x"), event("y", "1", "p of y")
	x2, y2 := event("x", "2", "p of x"), event("y", "2", "p of y")
	r.append(x, y, x2, y2)
	r.pending("x", x, x2)
	r.pending("y", y, y2)
}

func recognisesDuplicates(r *run) {
	duplicate := func(what string, e *store.Entry) {
		r.append(e)
		if e.Seq != 0 {
			r.errorf("%s: got the sequence number %d, want a duplicate", what, e.Seq)
		}
	}
	first, again := event(lane, "a", "p"), event(lane, "a", "p")
	r.append(first, again)
	if first.Seq == 0 || again.Seq != 0 {
		r.errorf("one ID twice in one call: got the sequence numbers %d and %d, want the second "+
			"to be a duplicate", first.Seq, again.Seq)
	}
	duplicate("the same ID again", event(lane, "a", "p"))
	duplicate("the same ID with another problem", event(lane, "a", "q"))
	ignored := event(lane, "a", "p")
	if r.ignore(ignored, "a duplicate before it is ignored"); ignored.Seq != 0 {
		r.errorf("the same ID, to be ignored: got the sequence number %d", ignored.Seq)
	}
	x, y := event(lane, "", "p"), event(lane, "", "p")
	r.append(x, y)
	if x.Seq == 0 || y.Seq == 0 {
		r.errorf("entries without ID: taken for duplicates")
	}
	mixed := []*store.Entry{event(lane, "a", "p"), event(lane, "b", "p"), event(lane, "b", "p")}
	r.append(mixed...)
	if mixed[0].Seq != 0 || mixed[1].Seq == 0 || mixed[2].Seq != 0 {
		r.errorf("known, new, new again: got the sequence numbers %s", seqs(mixed))
	}
	l := r.pending(lane, first, x, y, mixed[1])
	r.mark(l, mark(first, store.Delivered, ""), mark(mixed[1], store.Dead, "refused"))
	duplicate("the ID of what was delivered", event(lane, "a", "p"))
	duplicate("the ID of a dead letter", event(lane, "b", "p"))
	r.ignore(event(lane, "c", "p"), "not wanted")
	duplicate("the ID of what was ignored", event(lane, "c", "p"))
	// A caller appends a batch again after an error. What an earlier call set in it has no effect.
	twice := batchOf(event("twice", "a", "twice"))
	twice.Events[0].Duplicate = true
	twice.Events[0].Placed = []store.Placement{{Lane: "elsewhere", Seq: 1000}}
	for _, want := range []bool{false, true} {
		r.appendBatch(twice)
		got := twice.Events[0]
		if got.Duplicate != want || !want && (len(got.Placed) != 1 || seqIn(got, "twice") == 0) {
			r.errorf("a batch that is appended twice: duplicate %v, placed as %+v; want duplicate %v",
				got.Duplicate, got.Placed, want)
		}
	}
}

// duplicatesBySource checks that a source has event IDs of its own, and that a duplicate reaches no
// lane, whichever lanes want it.
func duplicatesBySource(r *run) {
	from := func(source, id, problem string, lanes ...string) *store.Event {
		e := eventOf(event(lane, id, problem))
		e.Source, e.Wanted = source, nil
		for _, l := range lanes {
			e.Wanted = append(e.Wanted, store.Offer{Lane: l})
		}
		return e
	}
	send := func(what string, e *store.Event, duplicate bool) {
		r.appendBatch(&store.Batch{Events: []*store.Event{e}})
		if e.Duplicate != duplicate {
			r.errorf("%s: duplicate %v, want %v", what, e.Duplicate, duplicate)
		}
	}
	send("a new event", from("x", "1", "p", lane), false)
	send("the same ID of another source", from("y", "1", "q", lane), false)
	send("the same ID of the source without a name", from("", "1", "r", lane), false)
	send("the same ID of the source without a name, again", from("", "1", "r", lane), true)
	send("the same ID for another lane", from("x", "1", "p", "other"), true)
	send("the same ID of a problem that no lane holds", from("x", "1", "s", "other"), true)
	r.pending("other")
	sticky := from("x", "2", "p")
	send("an event that reaches a lane that holds its problem", sticky, false)
	if !sticky.Duplicate && seqIn(sticky, lane) == 0 {
		r.errorf("an event that no lane wants: placed as %+v, want %q, which holds the problem",
			sticky.Placed, lane)
	}
	send("the same ID, now wanted", from("x", "2", "p", "other"), true)
	// What no lane took is not remembered.
	send("an event that no lane takes", from("x", "3", "t"), false)
	twice := &store.Batch{Events: []*store.Event{from("x", "3", "t"), from("x", "3", "t", lane)}}
	r.appendBatch(twice)
	if seqIn(twice.Events[1], lane) == 0 {
		r.errorf("an event that a lane takes, after the same ID that no lane took: placed as %+v",
			twice.Events[1].Placed)
	}
	// A lane that came to hold the problem since gets nothing of a duplicate.
	other := from("x", "4", "p", "other")
	send("an event for another lane", other, false)
	send("the ID of an earlier event, whose problem another lane holds now",
		from("x", "1", "p", lane), true)
	r.pending("other", entryOf(other, "other"))
}

func settlesIgnored(r *run) {
	a, b, c := event(lane, "a", "a"), event(lane, "b", "b"), event(lane, "c", "c")
	const reason = "the mapping asks for nothing"
	r.append(a)
	r.ignore(b, reason)
	r.append(c)
	if !(0 < a.Seq && a.Seq < b.Seq && b.Seq < c.Seq) {
		r.errorf("got the sequence numbers %d, %d and %d", a.Seq, b.Seq, c.Seq)
	}
	l := r.pending(lane, a, c)
	r.ended(b, store.Ignored, reason, b.Accepted)
	_, err := l.Load(r.ctx, b.Seq)
	r.is("Load of what is ignored", err, store.ErrNotFound)
	r.holdings(map[string]store.Holdings{lane: {Pending: 2}})
	r.sameRecord("what is ignored by Append was never begun", r.record(l, "b"), store.Record{})
	// One lane ignores what another one wants.
	e := eventOf(event(lane, "d", "d"))
	e.Wanted = []store.Offer{{Lane: lane, Ignored: reason}, {Lane: "other"}}
	r.appendBatch(&store.Batch{Events: []*store.Event{e}})
	want := []store.Placement{
		{Lane: lane, Seq: seqIn(e, lane), Outcome: store.Ignored}, {Lane: "other", Seq: 1},
	}
	if !slices.Equal(e.Placed, want) {
		r.errorf("an event that one lane ignores: placed as %+v, want %+v", e.Placed, want)
	}
}

func keepsNoReference(r *run) {
	e := event(lane, "a", "p")
	want := *e
	want.Body = slices.Clone(e.Body)
	b := batchOf(e)
	r.appendBatch(b)
	want.Seq = seqIn(b.Events[0], lane)
	clear(e.Body)
	*b.Events[0] = store.Event{Problem: "another", Wanted: []store.Offer{{Lane: "elsewhere"}}}
	l := r.pending(lane, &want)
	r.body(l, &want)
	r.mark(l, mark(&want, store.Dead, "refused"))
	for _, st := range r.dead(lane) {
		r.settlement(st, &want, store.Dead, "refused", mark(&want, store.Dead, "").At, true)
	}
}

func visibleInOrder(r *run) { r.visibleInOrder(r.store) }

// visibleInOrder has callers append to stores of one place, in turn.
func (r *run) visibleInOrder(stores ...store.Store) {
	const callers, calls = 8, 25
	l := r.acquire(lane)
	var all []*store.Entry
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range callers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			last := uint64(0)
			for j := range calls {
				pair := []*store.Entry{
					event(lane, fmt.Sprint(i, "-", j), "p"),
					event(lane, fmt.Sprint(i, "-", j, "-2"), "p"),
				}
				b := batchOf(pair...)
				if err := stores[i%len(stores)].Append(r.ctx, b); err != nil {
					r.errorf("Append: %v", err)
					return
				}
				for i, e := range b.Events {
					pair[i].Seq = seqIn(e, lane)
				}
				if pair[0].Seq <= last || pair[1].Seq <= pair[0].Seq {
					r.errorf("a caller's entries: got %s after %d", seqs(pair), last)
				}
				last = pair[1].Seq
				mu.Lock()
				all = append(all, pair...)
				mu.Unlock()
			}
		}()
	}
	// Once a reader has seen an entry, no entry with a lower number appears.
	live := r.read(l, 0, callers*calls*2)
	wg.Wait()
	slices.SortFunc(all, func(a, b *store.Entry) int { return int(int64(a.Seq) - int64(b.Seq)) })
	settled := r.read(l, 0, len(all))
	for i := range all {
		if i >= len(live) || live[i].Seq != all[i].Seq || settled[i].Seq != all[i].Seq ||
			live[i].ID != all[i].ID {
			r.fatalf("entry %d of the lane: its caller got %d, a reader of that time %d and a "+
				"reader of now %d", i, all[i].Seq, live[i].Seq, settled[i].Seq)
		}
	}
	r.nothing(l, all[len(all)-1].Seq)
}

func fullKeepsNothing(r *run) {
	n := r.harness.MaxEntries
	have := events(lane, n-1)
	r.append(have...)
	// All or none, in all lanes: one entry fits and two do not.
	two := batchOf(event(lane, "x", "x"), event("other", "y", "y"))
	err := r.store.Append(r.ctx, two)
	r.is("Append of two entries where one fits", err, store.ErrFull)
	sticky := batchOf(event("other", "y", have[0].Problem))
	err = r.store.Append(r.ctx, sticky)
	r.is("Append of an event for two lanes, one of which holds its problem, where one entry fits",
		err, store.ErrFull)
	r.pending("other")
	r.append(have[0]) // a duplicate needs no space
	if have[0].Seq != 0 {
		r.errorf("a duplicate in a store that is nearly full: got the sequence number %d",
			have[0].Seq)
	}
	one := event("other", "y", "y")
	r.append(one)
	if one.Seq == 0 {
		r.errorf("an entry of a refused call: taken for a duplicate")
	}
	r.is("Append to a full store", r.store.Append(r.ctx, batchOf(event(lane, "z", "z"))),
		store.ErrFull)
	r.append(event("other", "y", "y"))
	l := r.acquire("other")
	r.read(l, 0, 1)
	r.mark(l, mark(one, store.Delivered, ""))
	again := event(lane, "z", "z")
	r.append(again)
	if again.Seq == 0 {
		r.errorf("an entry that was refused: taken for a duplicate when there was space")
	}
}

func checkAnswers(r *run) {
	if err := r.store.Check(r.ctx); err != nil {
		r.errorf("Check of an empty store: %v", err)
	}
	have := events(lane, r.harness.MaxEntries)
	r.append(have...)
	r.is("Check of a full store", r.store.Check(r.ctx), store.ErrFull)
	l := r.acquire(lane)
	r.mark(l, mark(have[0], store.Superseded, "newer"))
	if err := r.store.Check(r.ctx); err != nil {
		r.errorf("Check of a store that has room again: %v", err)
	}
}
