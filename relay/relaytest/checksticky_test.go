package relaytest_test

import (
	"strings"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/store"
)

// sticks: the lane got an event because it held the problem.
func (h *tale) sticks(seq uint64, problem string, l guance.Level, s float64) {
	h.takes(seq, problem, l, s).Sticky = true
}

// Histories of lanes with sticky entries. Each is legal, or breaks one promise in the way its name
// says.
func TestStickyHistories(t *testing.T) {
	pages := func(h *tale) {
		h.takes(1, "p", critical, 0)
		h.delivers(1, 1)
	}
	for name, test := range map[string]struct {
		promise int // 0: none is broken
		says    string
		rules   relaytest.Rules
		tell    func(h *tale)
	}{
		"it ends what is shown": {tell: func(h *tale) {
			pages(h)
			h.sticks(2, "p", ok, 60)
			h.delivers(2, 61)
		}},
		"it changes what is shown": {tell: func(h *tale) {
			pages(h)
			h.sticks(2, "p", warning, 60)
			h.delivers(2, 61)
		}},
		"a repeat is not sent": {tell: func(h *tale) {
			pages(h)
			h.sticks(2, "p", critical, 60)
			h.settles(2, 61, store.Superseded)
		}},
		"a lane that sends every event does not send a repeat": {
			rules: relaytest.Rules{Every: true}, tell: func(h *tale) {
				pages(h)
				h.sticks(2, "p", critical, 60)
				h.settles(2, 61, store.Superseded)
			}},
		"the problem was never the lane's": {tell: func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.sticks(2, "p", warning, 1)
			h.settles(1, 2, store.Superseded)
			h.settles(2, 2, store.Superseded)
		}},
		"it ends what was never sent": {tell: func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.sticks(2, "p", ok, 1)
			h.settles(1, 2, store.Superseded)
			h.settles(2, 2, store.Superseded)
		}},
		"what it changed died": {tell: func(h *tale) {
			pages(h)
			h.takes(2, "p", ok, 10)
			h.sends(2, 11, relaytest.Refused)
			h.sticks(3, "p", ok, 11.05)
			h.settles(2, 11.2, store.Dead)
			h.settles(3, 11.2, store.Superseded)
		}},
		"one that found the lane full was never sent": {tell: func(h *tale) {
			pages(h)
			h.takes(2, "p", ok, 10)
			h.settles(2, 10, store.Dead)
			h.Settled[len(h.Settled)-1].Reason = store.LaneFull
			h.sticks(3, "p", warning, 60)
			h.delivers(3, 61)
		}},
		"a recovery in doubt is sent once more": {tell: func(h *tale) {
			pages(h)
			h.sticks(2, "p", ok, 60)
			h.delivers(2, 61)
			h.takes(3, "p", critical, 62)
			h.sticks(4, "p", ok, 63)
			h.settles(3, 63, store.Superseded)
			h.delivers(4, 64)
		}},
		"no promise 2: a repeat is sent": {promise: 2, says: "changes nothing", tell: func(h *tale) {
			pages(h)
			h.sticks(2, "p", critical, 60)
			h.delivers(2, 61)
		}},
		"no promise 2: it begins a problem": {promise: 2, says: "changes nothing", tell: func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.sticks(2, "p", warning, 1)
			h.settles(1, 2, store.Superseded)
			h.delivers(2, 3)
		}},
		"no promise 2: it ends nothing": {promise: 2, says: "changes nothing", tell: func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.sticks(2, "p", ok, 1)
			h.settles(1, 2, store.Superseded)
			h.delivers(2, 3)
		}},
		"no promise 2: a recovery is not sent": {promise: 2, says: "took its place", tell: func(h *tale) {
			pages(h)
			h.sticks(2, "p", ok, 60)
			h.settles(2, 61, store.Superseded)
		}},
		"no promise 2: a change is not sent": {promise: 2, says: "took its place", tell: func(h *tale) {
			pages(h)
			h.sticks(2, "p", warning, 60)
			h.settles(2, 61, store.Superseded)
		}},
		"no promise 2: a lane without sticky entries that sends every event supersedes none": {
			promise: 2, says: "every event", rules: relaytest.Rules{Every: true},
			tell: func(h *tale) {
				pages(h)
				h.takes(2, "p", critical, 60)
				h.settles(2, 61, store.Superseded)
				h.takes(3, "p", ok, 62)
				h.delivers(3, 63)
			}},
		"no promise 4: what the lane had lost is shown": {promise: 4, says: "last said was nothing",
			tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.sticks(2, "p", warning, 1)
				h.settles(1, 2, store.Superseded)
				h.settles(2, 2, store.Superseded)
				h.Ends = map[string]guance.State{"p": guance.StateProblem}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			var h tale
			test.tell(&h)
			promise, v := judge(t, &h.History, &test.rules)
			if promise != test.promise || !strings.Contains(v.Text, test.says) {
				t.Errorf("got promise %d, %v, want %d, %q\n%s", promise, v, test.promise, test.says,
					h.Timeline("p"))
			}
		})
	}
}
