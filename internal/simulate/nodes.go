package simulate

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/relay/memstore"
)

// nodes plans what happens to several nodes, in place of what happens to one process and its disk.
func (p *Plan) nodes(rng *rand.Rand, end time.Duration) {
	p.Steps = slices.DeleteFunc(p.Steps, func(s Step) bool {
		switch s.Do.(type) {
		case crash, stop, diskFault, remove, restore, rename, renameStopped:
			return true
		}
		return false
	})
	for i, s := range p.Steps {
		if s, ok := s.Do.(set); ok {
			s.node = rng.IntN(p.Nodes)
			p.Steps[i].Do = s
		}
	}
	at := func() time.Duration { return between(rng, 0, end) }
	// A lease lasts 3 s: some faults are shorter, and others longer.
	short := func() time.Duration {
		return pick(rng, between(rng, 0, 3*time.Second), between(rng, time.Second, 30*time.Second))
	}
	for range rng.IntN(5) {
		p.add(at(), pauseNode{rng.IntN(p.Nodes), pick(rng, 0, 1+rng.IntN(5)), short()})
	}
	for range rng.IntN(4) {
		p.add(at(), cutNode{rng.IntN(p.Nodes), pick(rng, memstore.RequestsLost, memstore.AnswersLost),
			short()})
	}
	for range rng.IntN(3) {
		p.add(at(), killNode{rng.IntN(p.Nodes), between(rng, 0, 20*time.Second)})
	}
	for range rng.IntN(3) {
		p.add(at(), stopNode{rng.IntN(p.Nodes), between(rng, 0, 20*time.Second)})
	}
	for range rng.IntN(2) {
		p.add(at(), engineAway{pick(rng, short(), between(rng, 0, time.Minute))})
	}
	// The lease and the budget leave a second for a pause and a slow disk together.
	for range rng.IntN(3) {
		if p.Disk < 100*time.Millisecond {
			p.add(at(), pauseBeforeSend{rng.IntN(p.Nodes), 1 + rng.IntN(5),
				between(rng, 0, 900*time.Millisecond)})
		}
	}
	switch lasts := pick(rng, short(), between(rng, 0, time.Minute)); rng.IntN(8) {
	case 0, 1:
		p.add(at(), rollBack{lasts})
	case 2:
		p.add(at(), standbyAway{lasts, true})
	case 3:
		p.add(at(), standbyAway{lasts, false})
	}
	if !p.Route {
		p.updates(rng, end)
	}
}

// updates plans changes of the lanes of some nodes, and rolling updates to other lanes.
func (p *Plan) updates(rng *rand.Rand, end time.Duration) {
	p.Behind = rng.IntN(p.Nodes)
	for range pick(rng, 0, 0, 1, 3) {
		lane, at := rng.IntN(len(p.Lanes)), between(rng, 0, end)
		change := func(node int) Action {
			return rotate{node, lane}
		}
		if rng.IntN(2) == 0 {
			change = func(node int) Action { return remove{node, lane} }
		}
		nodes := rng.Perm(p.Nodes)[:1+rng.IntN(p.Nodes)]
		rolling := rng.IntN(2) == 0 // otherwise while the processes run
		for _, node := range nodes {
			if rolling {
				p.add(at, stopNode{node, between(rng, 0, 10*time.Second)})
			}
			p.add(at+time.Nanosecond, change(node)) // before the next process starts
			if _, ok := change(node).(remove); ok {
				p.add(at+between(rng, 0, 2*time.Minute), restore{node, lane})
			}
			at += between(rng, 0, 20*time.Second)
		}
	}
}
