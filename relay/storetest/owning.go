package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

func fencesOwner(r *run) {
	old, pending, dead := r.both()
	now := r.acquire(lane)
	for name, call := range laneCalls(old, pending, dead) {
		r.is(name+" of the earlier owner", r.try(call), store.ErrFenced)
	}
	r.body(now, pending) // the new owner is not fenced
	r.mark(now)
	other := r.acquire("other")
	r.mark(other)
	r.body(now, pending)
	r.unchanged(pending, dead)
}

func fencesWaiting(r *run) {
	old := r.acquire(lane)
	done := r.waiting(old, 0)
	now := r.acquire(lane)
	r.eventually("Read of an owner who was waiting", done, store.ErrFenced)
	e := event(lane, "a", "p")
	r.append(e)
	r.read(now, 0, 1)
	r.body(now, e)
}

func releases(r *run) {
	pending, dead := event(lane, "pending", "pending"), event(lane, "dead", "dead")
	r.append(pending, dead)
	old := r.lease(lane)
	oldLane := old.Lane(lane)
	r.mark(oldLane, mark(dead, store.Dead, "refused"))
	r.release(old)
	now := r.lease(lane)
	for range 2 {
		r.release(old) // must not end the ownership of now
	}
	r.body(now.Lane(lane), pending)
	r.mark(now.Lane(lane), mark(pending, 0, ""))
	for range 2 {
		r.release(now)
	}
	r.is("Mark of an owner before the last", oldLane.Mark(r.ctx,
		[]store.Mark{mark(pending, store.Delivered, "")}), store.ErrFenced)
	r.pending(lane, pending)
	r.holdings(map[string]store.Holdings{lane: {Pending: 1, Dead: 1}})
}

func (r *run) release(l store.Lease) {
	if err := l.Release(); err != nil {
		r.errorf("Release: %v", err)
	}
}

// ownsGroups checks that an owner who loses one lane of a group loses all lanes, and is told.
func ownsGroups(r *run) {
	a, b := event("a", "1", "p of a"), event("b", "1", "p of b")
	r.append(a, b)
	first := r.lease("a", "b")
	r.body(first.Lane("a"), a)
	r.body(first.Lane("b"), b)
	r.holds(first)
	second := r.lease("b")
	r.lost("an owner after another has acquired one of its lanes", first)
	for _, name := range []string{"a", "b"} {
		_, err := first.Lane(name).Load(r.ctx, 1)
		r.is("Load of lane "+name+" of a group that lost lane b", err, store.ErrFenced)
	}
	r.body(second.Lane("b"), b)
	r.release(first)
	r.holds(second)
	r.body(second.Lane("b"), b)
	r.release(second)
	r.lost("an owner after Release", second)
}

// holds checks that an ownership has not ended.
func (r *run) holds(l store.Lease) {
	if until := l.Until(); !until.IsZero() && time.Until(until) <= 0 {
		r.errorf("Until of an owner: got %v, which is past", until)
	}
	select {
	case <-l.Lost():
		r.errorf("Lost of an owner: closed")
	case <-time.After(moment):
	}
}

// lost checks that an ownership has ended.
func (r *run) lost(what string, l store.Lease) {
	select {
	case <-l.Lost():
	case <-time.After(patience):
		r.errorf("Lost of %s: still open after %v", what, patience)
	}
}

func endedContext(r *run) {
	l, pending, dead := r.both()
	ctx, cancel := context.WithCancel(r.ctx)
	cancel()
	for name, call := range calls(r.store, l, lane, pending, dead) {
		if err := call(ctx); !errors.Is(err, context.Canceled) {
			r.errorf("%s with a context that has ended: got the error %v, want context.Canceled",
				name, err)
		}
	}
	r.body(l, pending) // Acquire failed too: l is still the owner
	r.unchanged(pending, dead)
}
