package boltstore

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"
)

// hashProblem is the first eight bytes of SHA-256: a sender must not find by chance what another
// one's problem is taken for. It is on disk and may not change.
func hashProblem(problem string) uint64 {
	sum := sha256.Sum256([]byte(problem))
	return binary.BigEndian.Uint64(sum[:])
}

// A holding is what one lane has of one problem. While a lane has anything of a problem, the events
// of the problem go to the lane, wanted or not.
type holding struct {
	lane       uint32 // its place in index.all
	next       uint32 // the next holding of the problem; 0: there is none
	entries    int32  // pending entries and dead letters; the record is kept while there are any
	recoveries int32  // pending entries of a recovery
	open       int32  // keys in the bucket "open": one while the record is open
}

// problems has the holdings of all lanes. Two problems of one hash are taken for one. It has no
// pointers, so that the garbage collector need not look at it.
type problems struct {
	first map[uint64]uint32 // by hash: the place of the first holding in list
	list  []holding         // from 1 on
	free  uint32            // the first unused place in list, which has the next one
}

func newProblems() problems {
	return problems{first: make(map[uint64]uint32), list: make([]holding, 1)}
}

// of returns what each lane has of a problem.
func (p *problems) of(problem uint64) iter.Seq[holding] {
	return func(yield func(holding) bool) {
		for i := p.first[problem]; i != 0; i = p.list[i].next {
			if !yield(p.list[i]) {
				return
			}
		}
	}
}

// entries returns how many pending entries and dead letters of a problem a lane has.
func (p *problems) entries(problem uint64, lane uint32) int32 {
	for h := range p.of(problem) {
		if h.lane == lane {
			return h.entries
		}
	}
	return 0
}

// add adds the numbers of d, which may be negative, to what a lane has of a problem.
func (p *problems) add(problem uint64, lane uint32, d holding) {
	first := p.first[problem]
	before, at := uint32(0), first
	for at != 0 && p.list[at].lane != lane {
		before, at = at, p.list[at].next
	}
	if at == 0 {
		if at = p.free; at == 0 {
			at = uint32(len(p.list))
			p.list = append(p.list, holding{})
		}
		p.free = p.list[at].next
		p.list[at] = holding{lane: lane, next: first}
		p.first[problem] = at
		before = 0
	}
	h := &p.list[at]
	h.entries += d.entries
	h.recoveries += d.recoveries
	h.open += d.open
	if h.entries > 0 || h.open > 0 {
		return
	}
	switch {
	case before != 0:
		p.list[before].next = h.next
	case h.next != 0:
		p.first[problem] = h.next
	default:
		delete(p.first, problem)
	}
	*h, p.free = holding{next: p.free}, at
}
