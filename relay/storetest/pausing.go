package storetest

import (
	"time"

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
