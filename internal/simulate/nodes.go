package simulate

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/relay/memstore"
)

// nodes plans what happens to several nodes, in place of what happens to one process and its disk.
// All nodes have the same lanes, and these do not change.
func (p *Plan) nodes(rng *rand.Rand, end time.Duration) {
	p.Steps = slices.DeleteFunc(p.Steps, func(s Step) bool {
		switch s.Do.(type) {
		case crash, stop, diskFault, remove, restore, rename, renameStopped:
			return true
		}
		return false
	})
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
	if rng.IntN(4) == 0 {
		p.add(at(), rollBack{pick(rng, short(), between(rng, 0, time.Minute))})
	}
}
