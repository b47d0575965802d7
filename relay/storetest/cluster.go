package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// The checks of several nodes. The first store is node a, others are b and c.

func (r *run) cluster() store.Cluster {
	c, ok := r.store.(store.Cluster)
	if !ok {
		r.fatalf("the store has Another, and is no store.Cluster")
	}
	return c
}

func (r *run) clusterLease(node string, lanes ...string) store.ClusterLease {
	g := store.Group{Node: node, Name: lanes[0], Lanes: lanes}
	l, err := r.store.Acquire(r.ctx, g)
	if err != nil {
		r.fatalf("Acquire: %v", err)
	}
	c, ok := l.(store.ClusterLease)
	if !ok {
		r.fatalf("a lease of a store.Cluster is no store.ClusterLease")
	}
	return c
}

// An acquired is what an Acquire returned.
type acquired struct {
	lease store.Lease
	err   error
	at    time.Time
}

// acquiring begins to acquire lanes, and gives the call a moment.
func (r *run) acquiring(lanes ...string) <-chan acquired {
	done := make(chan acquired, 1)
	go func() {
		l, err := r.store.Acquire(r.ctx, store.Group{Name: lanes[0], Lanes: lanes})
		done <- acquired{l, err, time.Now()}
	}()
	time.Sleep(moment)
	return done
}

// got waits for the end of an Acquire.
func (r *run) got(what string, done <-chan acquired) acquired {
	select {
	case a := <-done:
		if a.err != nil {
			r.fatalf("Acquire %s: %v", what, a.err)
		}
		return a
	case <-time.After(patience):
		r.fatalf("Acquire %s: still waiting after %v", what, patience)
		return acquired{}
	}
}

// waits checks that an Acquire is waiting.
func (r *run) waits(what string, done <-chan acquired) {
	select {
	case a := <-done:
		r.fatalf("Acquire %s: returned, with the error %v; want it to wait", what, a.err)
	default:
	}
}

// lasts returns how long a lease lasts at most.
func (r *run) lasts(l store.Lease) time.Duration {
	until := l.Until()
	left := time.Until(until)
	if until.IsZero() || left <= 0 || left > patience/2 {
		r.fatalf("Until of an owner in a cluster: got %v from now, want more than 0 and at most %v, "+
			"so that the checks can wait for it", left, patience/2)
	}
	// In a bubble no time has a monotonic reading.
	if monotonic := " m="; strings.Contains(time.Now().String(), monotonic) &&
		!strings.Contains(until.String(), monotonic) {
		r.errorf("Until of an owner: it has no monotonic reading")
	}
	return left
}

func visibleAcross(r *run) {
	b, c := r.another(), r.another()
	r.visibleInOrder(b.store, c.store, r.store)
}

func duplicatesAcross(r *run) {
	b := r.another()
	first, again := event(lane, "1", "p"), event(lane, "1", "p")
	r.append(first)
	if b.append(again); again.Seq != 0 {
		r.errorf("an event that another node has kept: got the sequence number %d, want a duplicate",
			again.Seq)
	}
	// Two nodes get the same event at a time.
	const n = 20
	kept := make([]int, n)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, node := range []*run{r, b} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range n {
				batch := batchOf(event(lane, fmt.Sprint("both ", i), "q"))
				if err := node.store.Append(r.ctx, batch); err != nil {
					r.errorf("Append: %v", err)
				}
				if !batch.Events[0].Duplicate {
					mu.Lock()
					kept[i]++
					mu.Unlock()
				}
			}
		}()
	}
	wg.Wait()
	for i := range kept {
		if kept[i] != 1 {
			r.fatalf("an event that two nodes got at a time: kept %d times", kept[i])
		}
	}
	// Routing sees what another node has appended.
	e := eventOf(event("x", "sticky", "p"))
	b.appendBatch(&store.Batch{Events: []*store.Event{e}})
	if len(e.Placed) != 2 || seqIn(e, lane) == 0 {
		r.errorf("an event of a problem that a lane got from another node: placed as %+v, want lane "+
			"%q too", e.Placed, lane)
	}
}

// nonceBatch returns a batch of which one event has no ID, so that nothing but the nonce tells that
// it is repeated.
func nonceBatch(nonce string) *store.Batch {
	b := batchOf(event(lane, nonce, nonce), event(lane, "", nonce))
	b.Nonce = nonce
	return b
}

func repeatsNonce(r *run) {
	first := nonceBatch("nonce")
	r.appendBatch(first)
	l := r.acquire(lane)
	entries := r.read(l, 0, 2)
	r.mark(l, mark(entries[1], 0, ""), mark(entries[1], store.Delivered, ""))
	again := nonceBatch("nonce")
	r.appendBatch(again)
	r.sameReport("Append under a nonce that was used", again, first)
	r.holdings(map[string]store.Holdings{lane: {Pending: 1}})
	r.nothing(l, entries[1].Seq)
	other := nonceBatch("another nonce")
	if r.appendBatch(other); other.Events[1].Placed == nil || other.Events[1].Duplicate {
		r.errorf("Append under a nonce that was not used: placed as %+v", other.Events[1].Placed)
	}
	unnamed := nonceBatch("")
	for range 2 {
		r.appendBatch(unnamed)
	}
	r.holdings(map[string]store.Holdings{lane: {Pending: 7}})
}

func (r *run) sameReport(what string, got, want *store.Batch) {
	for i, e := range got.Events {
		w := want.Events[i]
		if e.Duplicate != w.Duplicate || fmt.Sprint(e.Placed) != fmt.Sprint(w.Placed) {
			r.errorf("%s: got duplicate %v, placed as %+v; want what was reported first: %v, %+v",
				what, e.Duplicate, e.Placed, w.Duplicate, w.Placed)
		}
	}
}

func keepsNonce(r *run) {
	for i, landed := range []bool{false, true, true, false} {
		b := nonceBatch(fmt.Sprint("nonce ", i))
		restore := r.harness.Cut(r.store, landed)
		err := r.tryUnavailable("Append", func(ctx context.Context) error {
			return r.store.Append(ctx, b)
		})
		restore()
		if err == nil {
			continue
		}
		r.again(func() error { return r.store.Append(r.ctx, b) })
		for _, e := range b.Events {
			if e.Duplicate || seqIn(e, lane) == 0 {
				r.errorf("Append that is repeated under its nonce (it took effect at first: %v): "+
					"duplicate %v, placed as %+v; want as if it were the first call", landed,
					e.Duplicate, e.Placed)
			}
		}
		r.holdings(map[string]store.Holdings{lane: {Pending: 2 * (i + 1)}})
	}
}

// again makes a call until it is not ErrUnavailable, as a store may take a while to come back.
func (r *run) again(call func() error) {
	for end := time.Now().Add(patience); ; time.Sleep(moment) {
		err := call()
		if err == nil {
			return
		}
		if !errors.Is(err, store.ErrUnavailable) || time.Now().After(end) {
			r.fatalf("a call after the engine can be reached again: %v", err)
		}
	}
}

// tryUnavailable makes a call of a store that is cut off.
func (r *run) tryUnavailable(what string, call func(context.Context) error) error {
	err := r.try(call)
	r.unavailable(what, err)
	return err
}

// unavailable checks the error of a call of a store that is cut off.
func (r *run) unavailable(what string, err error) {
	r.is(what+" of a store that is cut off", err, store.ErrUnavailable)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		r.errorf("%s of a store that is cut off: %q wraps the error of a context", what, err)
	}
}

func waitsForOwner(r *run) {
	b := r.another()
	old := r.lease(lane)
	lasts := r.lasts(old)
	ctx, cancel := context.WithTimeout(r.ctx, moment)
	_, err := b.store.Acquire(ctx, store.Group{Name: lane, Lanes: []string{lane}})
	cancel()
	r.is("Acquire of another node, whose context ends", err, context.DeadlineExceeded)
	next := b.acquiring(lane)
	time.Sleep(2 * lasts) // the owner renews its lease
	r.waits("of a lane with an owner in another node", next)
	r.holds(old)
	r.lasts(old)
	released := time.Now()
	r.release(old)
	now := b.got("of a lane that was released", next)
	if took := now.at.Sub(released); took > lasts/2 {
		r.errorf("Acquire of a lane that was released: took %v, want it to be woken", took)
	}
	r.lost("an owner after Release", old)
	b.holds(now.lease)
	// In the same node an earlier owner loses at once.
	again := b.got("in the node of the owner", b.acquiring(lane))
	r.lost("an owner after another acquired its lane in the same node", now.lease)
	b.mark(again.lease.Lane(lane))
	// A node that closes its store need not be waited for longer than its lease lasts.
	last := r.acquiring(lane)
	if err := r.harness.Close(b.store); err != nil {
		r.errorf("Close: %v", err)
	}
	r.holds(r.got("of a lane whose owner closed its store", last).lease)
}

func waitsForGroup(r *run) {
	b, c := r.another(), r.another()
	old := r.lease("x", "y")
	c.lease("other") // no lane of it has an owner
	next := b.acquiring("z", "y")
	time.Sleep(moment)
	r.waits("of a group of which the second lane has an owner", next)
	r.holds(old)
	r.release(old)
	now := b.got("of a group whose second lane was released", next).lease
	r.release(r.lease("x"))
	third := c.acquiring("x", "z", "w")
	r.waits("of a group of which the second lane has an owner", third)
	b.release(now)
	c.holds(c.got("of a group whose second lane was released", third).lease)
}

func fencesAcross(r *run) {
	b := r.another()
	old, pending, dead := r.both()
	r.release(r.lease(lane))
	l := b.acquire(lane)
	for name, call := range laneCalls(old, pending, dead) {
		r.is(name+" of an earlier owner in another node", r.try(call), store.ErrFenced)
	}
	b.body(l, pending)
	b.unchanged(pending, dead)
}

func losesPaused(r *run) {
	b := r.another()
	_, pending, dead := r.both()
	lease := r.lease(lane)
	old := lease.Lane(lane)
	lasts := r.lasts(lease)
	next := b.acquiring(lane)
	time.Sleep(lasts / 2) // the lease was renewed before the pause
	r.waits("of a lane with an owner that is not paused", next)
	r.harness.Pause(r.store, 2*lasts)
	until := lease.Until()
	now := b.got("of a lane with a paused owner", next)
	if now.at.Before(until) {
		r.errorf("Acquire of a lane with a paused owner: it has the lane %v before Until of that "+
			"owner", until.Sub(now.at))
	}
	if late := now.at.Sub(until); late > lasts {
		r.errorf("Acquire of a lane with a paused owner: it has the lane %v after Until of that "+
			"owner, want it to be woken", late)
	}
	for name, call := range laneCalls(old, pending, dead) {
		r.is(name+" of an owner that was paused", r.try(call), store.ErrFenced)
	}
	r.lost("an owner that was paused", lease)
	b.holds(now.lease)
	b.body(now.lease.Lane(lane), pending)
	r.release(lease) // must not end the ownership of now
	b.holds(now.lease)
	b.unchanged(pending, dead)
}

func losesCut(r *run) {
	b := r.another()
	lease := r.lease(lane)
	lasts := r.lasts(lease)
	next := b.acquiring(lane)
	restore := r.harness.Cut(r.store, false)
	defer restore()
	select {
	case <-lease.Lost():
	case <-time.After(2*lasts + moment):
		r.errorf("Lost of an owner that is cut off: still open %v after Until", time.Since(lease.Until()))
	}
	if late := time.Since(lease.Until()); late > 5*moment {
		r.errorf("Lost of an owner that is cut off: closed %v after Until", late)
	}
	now := b.got("of a lane whose owner is cut off", next)
	if now.at.Before(lease.Until()) {
		r.errorf("Acquire of a lane whose owner is cut off: it has the lane %v before Until of that "+
			"owner", lease.Until().Sub(now.at))
	}
	b.holds(now.lease)
}

// losesUnknown: Revive and Drop cannot be repeated. An owner that went on would send a revived
// entry never.
func losesUnknown(r *run) {
	for _, landed := range []bool{false, true} {
		name := fmt.Sprint("landed ", landed)
		pending, revived, dropped := event(name, "1", name+" 1"), event(name, "2", name+" 2"),
			event(name, "3", name+" 3")
		r.append(pending, revived, dropped)
		dead := []store.Mark{mark(revived, store.Dead, ""), mark(dropped, store.Dead, "")}
		r.mark(r.acquire(name), dead...)
		for _, w := range []struct {
			what string
			call func(context.Context, store.Lane) error
		}{
			{"Revive", func(ctx context.Context, l store.Lane) error {
				_, err := l.Revive(ctx, revived.Seq)
				return err
			}},
			{"Drop", func(ctx context.Context, l store.Lane) error { return l.Drop(ctx, dropped.Seq) }},
			{"Mark", func(ctx context.Context, l store.Lane) error {
				return l.Mark(ctx, []store.Mark{mark(pending, store.Delivered, "")})
			}},
		} {
			lease := r.lease(name)
			restore := r.harness.Cut(r.store, landed)
			r.tryUnavailable(w.what, func(ctx context.Context) error {
				return w.call(ctx, lease.Lane(name))
			})
			select {
			case <-lease.Lost():
			case <-time.After(moment):
				r.errorf("Lost after a %s without an answer: open", w.what)
			}
			restore()
			r.again(func() error {
				l, err := r.store.Acquire(r.ctx, store.Group{Name: name, Lanes: []string{name}})
				if err == nil {
					_ = l.Release() // it was only tried
				}
				return err
			})
		}
		left, letters := []*store.Entry{pending}, 2
		if landed {
			left, letters = []*store.Entry{revived}, 0
		}
		r.pending(name, left...)
		if n := len(r.dead(name)); n != letters {
			r.errorf("DeadLetters after writes without an answer (they took effect: %v): got %d, want "+
				"%d", landed, n, letters)
		}
	}
}

func answersUnavailable(r *run) {
	_, pending, dead := r.both()
	lease := r.lease(lane)
	l := lease.Lane(lane)
	waiting := r.waiting(l, dead.Seq)
	for _, landed := range []bool{false, true} {
		restore := r.harness.Cut(r.store, landed)
		if waiting != nil {
			r.eventually("Read that waited for a store which is cut off", waiting, store.ErrUnavailable)
			waiting = nil
		}
		all := calls(r.store, l, lane, pending, dead)
		for _, write := range []string{"Append", "Rename", "Acquire", "Mark", "Revive", "Drop",
			"SetPause"} {
			delete(all, write) // it may take effect
		}
		c := r.cluster()
		all["Owners"] = func(ctx context.Context) error { _, err := c.Owners(ctx); return err }
		all["Pending"] = func(ctx context.Context) error {
			_, err := c.Pending(ctx, lane, "pending")
			return err
		}
		for name, call := range all {
			if err := r.try(call); !errors.Is(err, store.ErrFenced) || lease.Until().After(time.Now()) {
				r.unavailable(name, err)
			}
		}
		restore()
		r.again(func() error { return r.store.Check(r.ctx) })
		lease = r.lease(lane)
		l = lease.Lane(lane)
	}
	r.unchanged(pending, dead)
}

func rollsBack(r *run) {
	b := r.another()
	kept, gone, next := event(lane, "kept", "kept"), event(lane, "gone", "gone"),
		event(lane, "next", "next")
	r.append(kept)
	lease := r.lease(lane)
	l := lease.Lane(lane)
	promote := r.harness.Replicate()
	r.append(gone)
	r.read(l, 0, 2)
	r.mark(l, mark(kept, 0, ""), mark(kept, store.Delivered, ""))
	waiting := r.waiting(l, gone.Seq)
	promote()
	r.lost("an owner after a roll-back", lease)
	select {
	case err := <-waiting:
		if !errors.Is(err, store.ErrFenced) && !errors.Is(err, store.ErrUnavailable) {
			r.errorf("Read that waited during a roll-back: got the error %v, want %v or %v", err,
				store.ErrFenced, store.ErrUnavailable)
		}
	case <-time.After(patience):
		r.errorf("Read that waited during a roll-back: still waiting")
	}
	r.again(func() error { return b.store.Check(r.ctx) })
	b.append(next)
	_, err := l.Load(r.ctx, kept.Seq)
	r.is("Load of an owner from before a roll-back", err, store.ErrFenced)
	r.is("Mark of an owner from before a roll-back", l.Mark(r.ctx,
		[]store.Mark{mark(next, store.Delivered, "")}), store.ErrFenced)
	r.again(func() error { return r.store.Check(r.ctx) })
	r.pending(lane, kept, next) // next may have the sequence number of gone
	again := event(lane, "gone", "gone")
	if r.append(again); again.Seq == 0 {
		r.errorf("Append of an event that a roll-back has lost: taken for a duplicate")
	}
}

// owners checks who owns lanes, by the name of the node.
func (r *run) owners(want map[string]string) map[string]store.Owner {
	owners, err := r.cluster().Owners(r.ctx)
	if err != nil {
		r.fatalf("Owners: %v", err)
	}
	got := make(map[string]string)
	for name, o := range owners {
		got[name] = o.Node
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		r.errorf("Owners: got %v, want %v", got, want)
	}
	return owners
}

// published waits until a node sees figures.
func (r *run) published(lane, want string, since time.Time) {
	for end := time.Now().Add(patience); ; time.Sleep(moment) {
		owners, err := r.cluster().Owners(r.ctx)
		if err != nil {
			r.fatalf("Owners: %v", err)
		}
		o := owners[lane]
		switch {
		case string(o.Figures) == want:
			if o.At.Before(since.Add(-time.Second)) || o.At.After(time.Now().Add(time.Second)) {
				r.errorf("Owners: figures of now are of %v, and now is %v", o.At, time.Now())
			}
			return
		case time.Now().After(end):
			r.fatalf("Owners: got the figures %q of lane %q, want %q", o.Figures, lane, want)
		}
	}
}

func showsOwners(r *run) {
	b := r.another()
	r.owners(map[string]string{})
	first := r.clusterLease("node a", "x", "y")
	second := b.clusterLease("node b", "z")
	for _, node := range []*run{r, b} {
		node.owners(map[string]string{"x": "node a", "y": "node a", "z": "node b"})
	}
	since := time.Now()
	figures := []byte("first of x")
	first.Publish("x", figures)
	copy(figures, "XXXXX") // the caller owns them
	first.Publish("y", []byte("first of y"))
	second.Publish("z", []byte("first of z"))
	for _, node := range []*run{r, b} {
		for _, name := range []string{"x", "y", "z"} {
			node.published(name, "first of "+name, since)
		}
	}
	time.Sleep(2 * time.Second)
	since = time.Now()
	first.Publish("x", []byte("not yet"))
	first.Publish("x", []byte("second of x"))
	b.published("x", "second of x", since)
	b.published("y", "first of y", time.Time{}.Add(time.Hour))
	r.release(first)
	b.owners(map[string]string{"z": "node b"})
	b.clusterLease("node b", "x")
	if o := r.owners(map[string]string{"x": "node b", "z": "node b"})["x"]; len(o.Figures) != 0 {
		r.errorf("Owners: a new owner has the figures %q of the last one", o.Figures)
	}
}

func showsPending(r *run) {
	b := r.another()
	all := []*store.Entry{event(lane, "1", "p"), event(lane, "2", "q"), event(lane, "3", "p"),
		event(lane, "4", "p"), event("other", "5", "of the other")}
	r.append(all...)
	l := r.acquire(lane)
	r.mark(l, mark(all[0], 0, ""), mark(all[3], store.Dead, "refused"))
	want := r.read(l, 0, 3)
	if got := b.pendingOf(lane, "p"); len(got) != 2 {
		r.errorf("Pending of a problem with two entries: got %s", seqs(got))
	} else {
		for i, w := range []*store.Entry{want[0], want[2]} {
			r.same(got[i], w)
			if got[i].Body != nil || got[i].Begun != w.Begun || got[i].Failed != w.Failed ||
				got[i].Kept != w.Kept || got[i].Sticky != w.Sticky {
				r.errorf("Pending: got %+v, and Read returned %+v", got[i], w)
			}
		}
	}
	r.revive(l, all[3])
	r.mark(l, mark(all[0], store.Delivered, ""))
	if got := b.pendingOf(lane, "p"); len(got) != 2 || got[1].Seq != all[3].Seq || !got[1].Begun {
		r.errorf("Pending after a Revive and a delivery: got %s, want entries %d and %d", seqs(got),
			all[2].Seq, all[3].Seq)
	}
	for _, none := range []string{"", "unknown", "of the other"} {
		if got := b.pendingOf(lane, none); len(got) != 0 {
			r.errorf("Pending of the problem %q: got %s", none, seqs(got))
		}
	}
	if got := b.pendingOf("no lane", "p"); len(got) != 0 {
		r.errorf("Pending of a lane that was not used: got %s", seqs(got))
	}
	r.holds(r.lease(lane)) // Pending took it from nobody
}

func (r *run) pendingOf(lane, problem string) []*store.Entry {
	found, err := r.cluster().Pending(r.ctx, lane, problem)
	if err != nil {
		r.fatalf("Pending: %v", err)
	}
	return found
}

// asking begins an Ask.
func (r *run) asking(ctx context.Context, lane, body string) <-chan error {
	done := make(chan error, 1)
	go func() {
		answer, err := r.cluster().Ask(ctx, lane, []byte(body))
		if want := "answer to " + body; err == nil && string(answer) != want {
			r.errorf("Ask of %q: got the answer %q, want %q", body, answer, want)
		}
		done <- err
	}()
	return done
}

// answers answers the next request.
func (r *run) answers(l store.ClusterLease) string {
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	q, err := l.Next(ctx)
	if err != nil {
		r.fatalf("Next: %v", err)
	}
	if err := q.Answer(ctx, append([]byte("answer to "), q.Body...)); err != nil {
		r.errorf("Answer: %v", err)
	}
	return q.Lane + " " + string(q.Body)
}

func asks(r *run) {
	b := r.another()
	toNobody := func(name string) error {
		return r.try(func(ctx context.Context) error {
			_, err := b.cluster().Ask(ctx, name, []byte("to nobody"))
			return err
		})
	}
	r.is("Ask of a lane without an owner", toNobody(lane), store.ErrNotFound)
	l := r.clusterLease("a", "x", "y")
	r.is("Ask of a lane without an owner, while others have one", toNobody(lane), store.ErrNotFound)
	asked := map[string]<-chan error{
		"x 1": b.asking(r.ctx, "x", "1"), "x 2": b.asking(r.ctx, "x", "2"),
		"y 1": b.asking(r.ctx, "y", "1"), "y own": r.asking(r.ctx, "y", "own"),
	}
	seen := make(map[string]bool)
	for range asked {
		q := r.answers(l)
		if asked[q] == nil || seen[q] {
			r.fatalf("Next: got the request %q, want each once that was made", q)
		}
		seen[q] = true
	}
	for q, done := range asked {
		r.eventually("Ask of "+q, done, nil)
	}
	// An owner that waits is woken, by a request and by the end of its lease.
	waiting := make(chan error, 1)
	go func() {
		_, err := l.Next(r.ctx)
		waiting <- err
	}()
	time.Sleep(moment)
	r.release(l)
	r.eventually("Next of an owner after Release", waiting, store.ErrFenced)
	r.is("Ask of a lane whose owner has released it", toNobody("x"), store.ErrNotFound)
	// An owner that refuses to answer in time is not waited for.
	next := r.clusterLease("a", "x")
	ctx, cancel := context.WithTimeout(r.ctx, moment)
	defer cancel()
	_, err := next.Next(ctx)
	r.is("Next where nobody asks", err, context.DeadlineExceeded)
	late := b.asking(r.ctx, "x", "late")
	r.answers(next)
	r.eventually("Ask of an owner after one request was waited for in vain", late, nil)
	// A request that an owner has taken, and not answered, comes to no other one.
	unanswered := b.asking(r.ctx, "x", "unanswered")
	if _, err := next.Next(r.ctx); err != nil {
		r.fatalf("Next: %v", err)
	}
	r.release(next)
	last := r.clusterLease("a", "x")
	r.eventually("Ask of an owner whose lease has ended", unanswered, store.ErrUnavailable)
	done := b.asking(r.ctx, "x", "last")
	if q := r.answers(last); q != "x last" {
		r.errorf("Next: got the request %q, which an earlier owner had taken", q)
	}
	r.eventually("Ask of the next owner", done, nil)
}

func forgetsAsk(r *run) {
	b := r.another()
	l := r.clusterLease("a", lane)
	ctx, cancel := context.WithTimeout(r.ctx, moment)
	defer cancel()
	r.is("Ask that nobody answers", <-b.asking(ctx, lane, "late"), context.DeadlineExceeded)
	done := b.asking(r.ctx, lane, "in time")
	if q := r.answers(l); !bytes.HasSuffix([]byte(q), []byte("in time")) {
		r.errorf("Next: got the request %q, which its caller has given up", q)
	}
	r.eventually("Ask", done, nil)
}
