package storetest

import (
	"context"
	"errors"

	"github.com/guance-relay/guance-relay/relay"
)

func fencesOwner(r *run) {
	old, pending, dead := r.both()
	now := r.acquire(lane)
	for name, call := range leaseCalls(old, pending, dead) {
		r.is(name+" of the earlier owner", r.try(call), relay.ErrFenced)
	}
	r.body(now, pending) // the new one is not fenced by it
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
	r.eventually("Read of an owner who was waiting", done, relay.ErrFenced)
	e := event(lane, "a", "p")
	r.append(e)
	r.read(now, 0, 1)
	r.body(now, e)
}

func releases(r *run) {
	old, pending, _ := r.both()
	if err := old.Release(); err != nil {
		r.errorf("Release: %v", err)
	}
	now := r.acquire(lane)
	for range 2 {
		if err := old.Release(); err != nil {
			r.errorf("Release of what another owner has: %v", err)
		}
	}
	r.body(now, pending)
	r.mark(now, mark(pending, 0, ""))
	for range 2 {
		if err := now.Release(); err != nil {
			r.errorf("Release: %v", err)
		}
	}
	r.is("Mark of an owner before the last", old.Mark(r.ctx, []relay.Mark{mark(pending, relay.Delivered, "")}), relay.ErrFenced)
	r.pending(lane, pending)
	r.holdings(map[string]relay.Holdings{lane: {Pending: 1, Dead: 1}})
}

func endedContext(r *run) {
	l, pending, dead := r.both()
	ctx, cancel := context.WithCancel(r.ctx)
	cancel()
	for name, call := range calls(r.store, l, lane, pending, dead) {
		if err := call(ctx); !errors.Is(err, context.Canceled) {
			r.errorf("%s with a context that has ended: got the error %v, want context.Canceled", name, err)
		}
	}
	r.body(l, pending) // nobody else has acquired the lane
	r.unchanged(pending, dead)
}
