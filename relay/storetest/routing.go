package storetest

import (
	"fmt"
	"slices"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// route appends one event of a problem and returns it. Its ID is unique.
func (r *run) route(problem string, state guance.State, wanted ...string) *store.Event {
	r.routed++
	e := eventOf(event(lane, fmt.Sprint("routed ", r.routed), problem))
	e.State, e.Wanted = state, nil
	for _, l := range wanted {
		e.Wanted = append(e.Wanted, store.Offer{Lane: l})
	}
	r.appendBatch(&store.Batch{Events: []*store.Event{e}, Served: []string{lane, "other"}})
	return e
}

// entryOf returns the entry that an event has become in a lane.
func entryOf(e *store.Event, lane string) *store.Entry {
	entry := &store.Entry{
		Lane: lane, Seq: seqIn(e, lane), ID: e.ID, Problem: e.Problem, State: e.State, Level: e.Level,
		Time: e.Time, Accepted: e.Accepted, Trace: e.Trace, Body: e.Body,
	}
	for _, p := range e.Placed {
		entry.Sticky = entry.Sticky || p.Lane == lane && p.Sticky
	}
	return entry
}

const (
	problem   = guance.StateProblem
	recovered = guance.StateRecovered
	neither   = guance.StateNeither
)

// A past is what became of the problem in the lane before the event that is routed.
type past struct {
	name string
	make func(r *run, l store.Lane, problem string)
	// Whether the lane holds the problem, and whether it goes on to show it.
	holds, shows bool
}

// sent returns a past of one entry with these marks. Outcome 0 begins an attempt.
func sent(state guance.State, outcomes ...store.Outcome) func(*run, store.Lane, string) {
	return func(r *run, l store.Lane, problem string) {
		e := entryOf(r.route(problem, state, lane), lane)
		for _, o := range outcomes {
			r.mark(l, mark(e, o, "reason"))
		}
	}
}

// after returns a past of several.
func after(pasts ...func(*run, store.Lane, string)) func(*run, store.Lane, string) {
	return func(r *run, l store.Lane, problem string) {
		for _, p := range pasts {
			p(r, l, problem)
		}
	}
}

func ignoredBefore(r *run, _ store.Lane, problem string) {
	r.ignore(event(lane, "ignored "+problem, problem), "not wanted")
}

func dropped(r *run, l store.Lane, _ string) {
	for _, dead := range r.dead(lane) {
		if err := l.Drop(r.ctx, dead.Seq); err != nil {
			r.errorf("Drop: %v", err)
		}
	}
}

func revivedLast(r *run, l store.Lane, _ string) {
	dead := r.dead(lane)
	if _, err := l.Revive(r.ctx, dead[len(dead)-1].Seq); err != nil {
		r.errorf("Revive: %v", err)
	}
}

var pasts = []past{
	{"nothing", after(), false, false},
	{"another problem waits", func(r *run, l store.Lane, p string) { sent(problem)(r, l, p+"/2") },
		false, false},
	{"it was ignored", ignoredBefore, false, false},
	{"it waits", sent(problem), true, false},
	{"an event without a state waits", sent(neither), true, false},
	{"a recovery waits", sent(recovered), true, false},
	{"it was begun", sent(problem, 0), true, true},
	{"it was delivered", sent(problem, 0, store.Delivered), true, true},
	{"an event without a state was delivered", sent(neither, 0, store.Delivered), false, false},
	{"it was superseded", sent(problem, store.Superseded), false, false},
	{"it ended as ignored", sent(problem, store.Ignored), false, false},
	{"it died before it was sent", sent(problem, store.Dead), true, false},
	{"it died", sent(problem, 0, store.Dead), true, true},
	{"it died and was dropped", after(sent(problem, 0, store.Dead), dropped), true, true},
	{"it died before it was sent, and was dropped", after(sent(problem, store.Dead), dropped),
		false, false},
	{"it died before it was sent, and was revived", after(sent(problem, store.Dead), revivedLast),
		true, false},
	{"it was revived and superseded",
		after(sent(problem, store.Dead), revivedLast, func(r *run, l store.Lane, p string) {
			e := r.read(l, 0, 1)[0]
			r.mark(l, mark(e, store.Superseded, "newer"))
		}), false, false},
	{"it is shown, and its recovery waits",
		after(sent(problem, 0, store.Delivered), sent(recovered)), true, false},
	{"it is shown, and its recovery was begun",
		after(sent(problem, 0, store.Delivered), sent(recovered, 0)), true, false},
	{"it is shown, and its recovery died",
		after(sent(problem, 0, store.Delivered), sent(recovered, 0, store.Dead)), true, true},
	{"it is shown, its recovery waits, and it began again",
		after(sent(problem, 0, store.Delivered), sent(recovered), sent(problem)), true, false},
	{"it has recovered",
		after(sent(problem, 0, store.Delivered), sent(recovered, 0, store.Delivered)), false, false},
	{"it has recovered and was delivered again",
		after(sent(problem, 0, store.Delivered), sent(recovered, 0, store.Delivered),
			sent(problem, 0, store.Delivered)), true, true},
}

// routes checks for each past which lanes get an event: that which the event wants, that which
// holds its problem, and the fallback. Pasts that need the store's restart are in routesAgain.
func routes(r *run) {
	for i, p := range pasts {
		key := fmt.Sprint("past ", i)
		p.make(r, r.acquire(lane), key)
		r.judge(p, key)
		r.settleAll()
	}
}

// routesAgain is routes, with the store closed and opened between the past and the event.
func routesAgain(r *run) {
	for i, p := range pasts {
		key := fmt.Sprint("past ", i)
		p.make(r, r.acquire(lane), key)
		r.reopen()
		r.judge(p, key)
		r.settleAll()
	}
}

// settleAll ends all entries, so that a past begins with an empty lane.
func (r *run) settleAll() {
	held, err := r.store.Holdings(r.ctx)
	if err != nil {
		r.fatalf("Holdings: %v", err)
	}
	for name, h := range held {
		l := r.acquire(name)
		var marks []store.Mark
		for _, e := range r.read(l, 0, h.Pending) {
			marks = append(marks, mark(e, store.Superseded, "the check goes on"))
		}
		r.mark(l, marks...)
		for _, dead := range r.dead(name) {
			if err := l.Drop(r.ctx, dead.Seq); err != nil {
				r.errorf("Drop: %v", err)
			}
		}
	}
}

// judge routes an event of a problem with that past, first to nobody and a fallback.
func (r *run) judge(p past, key string) {
	const fallback = "fallback"
	e := eventOf(event(lane, key+" judged", key))
	e.Wanted, e.Fallback = nil, &store.Offer{Lane: fallback}
	r.appendBatch(&store.Batch{Events: []*store.Event{e}, Served: []string{lane, fallback}})
	if got := seqIn(e, fallback) != 0; got == p.shows {
		r.errorf("%s, and an event comes that no lane wants: the fallback gets it: %v, want %v",
			p.name, got, !p.shows)
	}
	if got := seqIn(e, lane) != 0; got != p.holds {
		r.errorf("%s, and an event comes that no lane wants: the lane gets it: %v, want %v",
			p.name, got, p.holds)
	}
	for _, placed := range e.Placed {
		if placed.Sticky != (placed.Lane == lane) || placed.Outcome != 0 {
			r.errorf("%s, and an event comes that no lane wants: placed as %+v", p.name, placed)
		}
		r.body(r.acquire(placed.Lane), entryOf(e, placed.Lane))
	}
	// The same for an event that follows its problem.
	e = eventOf(event(lane, key+" follows", key+"!"))
	p.make(r, r.acquire(lane), e.Problem)
	e.Wanted, e.Fallback, e.Follows = nil, &store.Offer{Lane: fallback}, true
	r.appendBatch(&store.Batch{Events: []*store.Event{e}, Served: []string{lane, fallback}})
	want := store.Placement{Lane: fallback, Seq: seqIn(e, fallback)}
	if p.holds {
		want = store.Placement{Lane: lane, Seq: seqIn(e, lane), Sticky: true}
	}
	if len(e.Placed) != 1 || e.Placed[0] != want || want.Seq == 0 {
		r.errorf("%s, and an event comes that follows its problem: placed as %+v, want %+v", p.name,
			e.Placed, want)
	}
	// The same without a sink in the lane: the fallback gets it in any case.
	e = eventOf(event(lane, key+" judged without a sink", key+"?"))
	p.make(r, r.acquire(lane), e.Problem)
	e.Wanted, e.Fallback = nil, &store.Offer{Lane: fallback}
	r.appendBatch(&store.Batch{Events: []*store.Event{e}, Served: []string{fallback}})
	if seqIn(e, fallback) == 0 {
		r.errorf("%s in a lane without a sink, and an event comes that no lane wants: the fallback "+
			"does not get it", p.name)
	}
	if got := seqIn(e, lane) != 0; got != p.holds {
		r.errorf("%s in a lane without a sink, and an event comes that no lane wants: the lane gets "+
			"it: %v, want %v", p.name, got, p.holds)
	}
	// Wanted by another lane.
	e = eventOf(event(lane, key+" wanted elsewhere", key))
	e.Wanted, e.Fallback = []store.Offer{{Lane: "other"}}, &store.Offer{Lane: fallback}
	r.appendBatch(&store.Batch{Events: []*store.Event{e}, Served: []string{lane, fallback}})
	if got := seqIn(e, lane) != 0; got != p.holds {
		r.errorf("%s, and an event comes that another lane wants: the lane gets it: %v, want %v",
			p.name, got, p.holds)
	}
	for _, placed := range e.Placed {
		if placed.Sticky != (placed.Lane != "other") {
			r.errorf("%s, and an event comes that another lane wants: placed as %+v", p.name, placed)
		}
	}
}

// fallsBack checks that what the fallback itself has does not keep events from it, and that it gets
// each once.
func fallsBack(r *run) {
	const fallback = "fallback"
	offer := func(what string, state guance.State, want bool, ignored string) *store.Event {
		r.routed++
		e := eventOf(event(lane, fmt.Sprint("fallback ", r.routed), "p"))
		e.State, e.Wanted = state, nil
		e.Fallback = &store.Offer{Lane: fallback, Ignored: ignored}
		r.appendBatch(&store.Batch{
			Events: []*store.Event{e}, Served: []string{lane, fallback},
		})
		got := len(e.Placed) == 1 && e.Placed[0].Lane == fallback && !e.Placed[0].Sticky
		if got != want {
			r.errorf("%s: placed as %+v, want the fallback: %v", what, e.Placed, want)
		}
		return e
	}
	first := offer("a first event that no lane wants", problem, true, "")
	offer("a second one, which waits behind the first", problem, true, "")
	l := r.acquire(fallback)
	r.mark(l, mark(entryOf(first, fallback), 0, ""),
		mark(entryOf(first, fallback), store.Delivered, ""))
	offer("a third one, of a problem that the fallback shows", problem, true, "")
	offer("its recovery", recovered, true, "")
	ignored := offer("one that the sink of the fallback ignores", problem, true, "not wanted")
	if len(ignored.Placed) == 1 && ignored.Placed[0].Outcome != store.Ignored {
		r.errorf("an event that the sink of the fallback ignores: placed as %+v", ignored.Placed)
	}
}

// routesInBatch checks that an event of a batch sees what the earlier ones leave.
func routesInBatch(r *run) {
	a, b, c := eventOf(event(lane, "a", "p")), eventOf(event(lane, "b", "p")),
		eventOf(event(lane, "c", "q"))
	b.Wanted, c.Wanted = nil, nil
	r.appendBatch(&store.Batch{Events: []*store.Event{b, a, c}})
	if len(b.Placed)+len(c.Placed) != 0 || seqIn(a, lane) == 0 {
		r.errorf("an event that nothing holds yet, its problem, another: placed as %+v, %+v, %+v",
			b.Placed, a.Placed, c.Placed)
	}
	x, y := eventOf(event("x", "x", "x")), eventOf(event("x", "y", "x"))
	y.Wanted = []store.Offer{{Lane: "y"}}
	r.appendBatch(&store.Batch{Events: []*store.Event{x, y}})
	want := []store.Placement{{Lane: "y", Seq: 1}, {Lane: "x", Seq: seqIn(x, "x") + 1, Sticky: true}}
	if !slices.Equal(y.Placed, want) {
		r.errorf("an event of a problem that came right before it in its batch: placed as %+v, "+
			"want %+v", y.Placed, want)
	}
	// A recovery earlier in the batch keeps its lane from showing the problem.
	l := r.acquire("x")
	r.mark(l, mark(entryOf(x, "x"), 0, ""), mark(entryOf(x, "x"), store.Delivered, ""))
	end, next := eventOf(event("x", "end", "x")), eventOf(event("x", "next", "x"))
	end.State, next.Wanted, next.Fallback = recovered, nil, &store.Offer{Lane: "fallback"}
	r.mark(l, mark(entryOf(y, "x"), store.Superseded, ""))
	r.appendBatch(&store.Batch{
		Events: []*store.Event{end, next}, Served: []string{"x", "fallback"},
	})
	if seqIn(next, "fallback") == 0 || seqIn(next, "x") == 0 {
		r.errorf("an event behind the recovery of its problem in one batch: placed as %+v, want "+
			"the lane and the fallback", next.Placed)
	}
}

// keepsSticky checks that every method says which entries are sticky.
func keepsSticky(r *run) {
	r.route("p", problem, lane)
	e := entryOf(r.route("p", recovered), lane)
	if !e.Sticky {
		r.fatalf("an event of a problem that waits in the lane: placed as not sticky")
	}
	wanted := entryOf(r.route("p", problem, lane), lane)
	if wanted.Sticky {
		r.errorf("an event that a lane wants, and whose problem it holds: placed as sticky")
	}
	for range 2 {
		l := r.acquire(lane)
		for i, got := range r.read(l, 0, 3)[1:] {
			r.same(got, []*store.Entry{e, wanted}[i])
		}
		r.body(l, e)
		r.body(l, wanted)
		if r.harness.Close != nil {
			r.reopen()
		}
	}
	l := r.acquire(lane)
	r.mark(l, mark(e, store.Dead, "refused"))
	for _, st := range append(r.dead(lane), r.history(lane, "p")...) {
		r.same(&st.Entry, e)
	}
	r.revive(l, e)
	r.same(r.read(l, 0, 2)[1], e)
}

// fillsLane checks that one lane that is full does not concern the others.
func fillsLane(r *run) {
	n := r.harness.MaxLaneEntries
	have := events(lane, n)
	r.append(have...)
	l := r.acquire(lane)
	place := func(what string, e *store.Event, want store.Outcome) *store.Entry {
		r.appendBatch(&store.Batch{Events: []*store.Event{e}})
		entry := entryOf(e, lane)
		for _, p := range e.Placed {
			if p.Lane != lane && p.Outcome != 0 {
				r.errorf("%s: %v in another lane", what, p.Outcome)
			}
			if p.Lane == lane && p.Outcome != want {
				r.errorf("%s: %v, want %v", what, p.Outcome, want)
			}
		}
		if entry.Seq == 0 {
			r.fatalf("%s: not placed in the lane: %+v", what, e.Placed)
		}
		return entry
	}
	over := eventOf(event(lane, "over", "over"))
	over.Wanted = append(over.Wanted, store.Offer{Lane: "other"})
	dead := place("an event above the bound of a lane", over, store.Dead)
	r.pending("other", entryOf(over, "other"))
	again := eventOf(event(lane, "over", "over"))
	if r.appendBatch(&store.Batch{Events: []*store.Event{again}}); !again.Duplicate {
		r.errorf("the ID of an event that came above the bound of a lane: not remembered")
	}
	r.ended(dead, store.Dead, store.LaneFull, dead.Accepted)
	letters := r.dead(lane)
	if len(letters) != 1 {
		r.fatalf("DeadLetters after an event above the bound of a lane: got %d, want 1", len(letters))
	}
	r.settlement(letters[0], dead, store.Dead, store.LaneFull, dead.Accepted, true)
	r.holdings(map[string]store.Holdings{lane: {Pending: n, Dead: 1}, "other": {Pending: 1}})
	r.sameRecord("an event above the bound of a lane", r.record(l, "over"),
		store.Record{}.Apply(store.Mark{
			Seq: dead.Seq, Problem: "over", State: dead.State, Level: dead.Level, Outcome: store.Dead,
			At: dead.Accepted,
		}))
	sticky := eventOf(event(lane, "sticky", have[0].Problem))
	sticky.Wanted = []store.Offer{{Lane: "other"}}
	place("an event of a problem that waits in a full lane", sticky, store.Dead)
	ignored := eventOf(event(lane, "ignored", "ignored"))
	ignored.Wanted[0].Ignored = "not wanted"
	place("an event that the sink of a full lane ignores", ignored, store.Ignored)
	r.mark(l, mark(have[0], store.Delivered, ""))
	two := batchOf(event(lane, "fits", "fits"), event(lane, "fits not", "fits not"))
	r.appendBatch(two)
	for i, want := range []store.Outcome{0, store.Dead} {
		if got := two.Events[i].Placed[0].Outcome; got != want {
			r.errorf("event %d of two, where one fits into the lane: %v, want %v", i, got, want)
		}
	}
	if err := r.store.Check(r.ctx); err != nil {
		r.errorf("Check while one lane is full: %v", err)
	}
	if _, err := l.Revive(r.ctx, dead.Seq); err != nil {
		r.errorf("Revive in a full lane: %v", err) // an operator asks for it
	}
}
