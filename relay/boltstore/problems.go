package boltstore

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"
)

// hashProblem is the first eight bytes of SHA-256. That two of a million problems have one hash has
// a chance of one in thirty million. It is on disk and may not change.
func hashProblem(problem string) uint64 {
	sum := sha256.Sum256([]byte(problem))
	return binary.BigEndian.Uint64(sum[:])
}

// A holding is what one lane has of one problem. While a lane has anything of a problem, the events
// of the problem go to the lane, wanted or not.
type holding struct {
	lane       uint32 // its place in index.all
	entries    int32  // pending entries and dead letters; the record is kept while there are any
	recoveries int32  // pending entries of a recovery
	open       int32  // 1: the record is open
}

// problems has the holdings of all lanes, by the hash of the problem. Two problems of one hash are
// taken for one. It is a table of 24 bytes a holding and four to eight more, half of what a map
// takes, and a million problems may be pending. It has no pointers, so that the garbage collector
// need not look at it.
type problems struct {
	first []uint32 // the first holding of each chain, by the last bits of the hash; 0: none
	list  []packed // from 1 on
	free  uint32   // the first unused place in list, which has the next one
	used  int
}

// A packed is a holding in the list. It is unused if it holds nothing.
type packed struct {
	problem    uint64
	next       uint32 // in its chain
	laneOpen   uint32 // twice the lane, and 1 if the record is open
	entries    int32
	recoveries int32
}

func (p *packed) lane() uint32  { return p.laneOpen >> 1 }
func (p *packed) nothing() bool { return p.entries <= 0 && p.laneOpen&1 == 0 }

const minChains = 256 // a power of two

func newProblems() problems {
	return problems{first: make([]uint32, minChains), list: make([]packed, 1)}
}

// chain returns the place of the first holding of a problem's chain.
func (p *problems) chain(problem uint64) *uint32 {
	return &p.first[problem&uint64(len(p.first)-1)]
}

// of returns what each lane has of a problem.
func (p *problems) of(problem uint64) iter.Seq[holding] {
	return func(yield func(holding) bool) {
		for i := *p.chain(problem); i != 0; i = p.list[i].next {
			h := &p.list[i]
			if h.problem == problem && !yield(holding{
				h.lane(), h.entries, h.recoveries, int32(h.laneOpen & 1),
			}) {
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

// add adds the numbers of d to what a lane has of a problem. They may be negative.
func (p *problems) add(problem uint64, lane uint32, d holding) {
	link := p.chain(problem)
	for *link != 0 && (p.list[*link].problem != problem || p.list[*link].lane() != lane) {
		link = &p.list[*link].next
	}
	if *link == 0 {
		link = p.insert(packed{problem: problem, laneOpen: lane << 1})
	}
	at := *link
	h := &p.list[at]
	h.entries += d.entries
	h.recoveries += d.recoveries
	if d.open != 0 {
		h.laneOpen = lane<<1 | uint32(max(d.open, 0))
	}
	if h.nothing() {
		*link = h.next
		*h, p.free = packed{next: p.free}, at
		p.used--
	}
}

// insert adds a holding to its chain, and returns the link to it.
func (p *problems) insert(h packed) *uint32 {
	if p.used++; p.used > len(p.first) {
		p.grow()
	}
	at := p.free
	if at == 0 {
		at = uint32(len(p.list))
		p.list = append(p.list, packed{})
	}
	p.free = p.list[at].next
	link := p.chain(h.problem)
	h.next = *link
	p.list[at], *link = h, at
	return link
}

// grow doubles the number of chains.
func (p *problems) grow() {
	p.first = make([]uint32, 2*len(p.first))
	for i := range p.list {
		if h := &p.list[i]; !h.nothing() {
			link := p.chain(h.problem)
			h.next, *link = *link, uint32(i)
		}
	}
}
