package relay

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// problems are all problems of a schedule, laid out for a million of them: 80 bytes for each, 4 to 11 in the index, and a tail for the few that
// have more to remember. None of it is followed by the garbage collector but the tails. A *problem is good until it is removed.
//
// The index is a hash table with open addressing: a problem stands at its home or, if that is taken, at the next place that is not. A map
// would take three times as much, as it holds the 16 bytes of the ID once more.
type problems struct {
	arena[problem]
	tails arena[tail]
	index []ref  // a power of two of them, three quarters taken at most
	odd   uint64 // random, so that nobody can have keys made that share a home
}

const minIndex = 16

func newProblems() *problems {
	return &problems{index: make([]ref, minIndex), odd: rand.Uint64() | 1}
}

// find returns a problem, or nil.
func (ps *problems) find(id problemID) *problem {
	if r := ps.index[ps.place(id)]; r != 0 {
		return ps.at(r)
	}
	return nil
}

// refOf returns the ref of a problem that is there.
func (ps *problems) refOf(p *problem) ref { return ps.index[ps.place(p.id)] }

// insert adds a problem that is not there.
func (ps *problems) insert(id problemID) *problem {
	if (ps.len+1)*4 > len(ps.index)*3 {
		ps.resize(len(ps.index) * 2)
	}
	r, p := ps.add()
	p.id = id
	ps.index[ps.place(id)] = r
	return p
}

// remove forgets a problem.
func (ps *problems) remove(p *problem) {
	hole := ps.place(p.id)
	r := ps.index[hole]
	// Whoever would not be found behind the hole moves into it, and leaves the next one.
	mask := len(ps.index) - 1
	for i := (hole + 1) & mask; ps.index[i] != 0; i = (i + 1) & mask {
		if home := ps.home(ps.at(ps.index[i]).id); (i-home)&mask >= (i-hole)&mask {
			ps.index[hole] = ps.index[i]
			hole = i
		}
	}
	ps.index[hole] = 0
	if t := ps.at(r).tail; t != 0 {
		ps.tails.remove(t)
	}
	ps.arena.remove(r)
	if ps.len*8 < len(ps.index) && len(ps.index) > minIndex {
		ps.resize(len(ps.index) / 2)
	}
}

// place returns where in the index a problem stands, or would.
func (ps *problems) place(id problemID) int {
	i := ps.home(id)
	for ps.index[i] != 0 && ps.at(ps.index[i]).id != id {
		i = (i + 1) & (len(ps.index) - 1)
	}
	return i
}

func (ps *problems) home(id problemID) int {
	return int(binary.LittleEndian.Uint64(id[:]) * ps.odd >> bits.LeadingZeros64(uint64(len(ps.index)-1)))
}

func (ps *problems) resize(n int) {
	old := ps.index
	ps.index = make([]ref, n)
	for _, r := range old {
		if r != 0 {
			ps.index[ps.place(ps.at(r).id)] = r
		}
	}
}

var noTail tail

// tail returns what there is of a problem besides the usual, to be read only.
func (ps *problems) tail(p *problem) *tail {
	if p.tail == 0 {
		return &noTail
	}
	return ps.tails.at(p.tail)
}

// grow returns a problem's tail to be written to.
func (ps *problems) grow(p *problem) (t *tail) {
	if p.tail == 0 {
		p.tail, t = ps.tails.add()
		return t
	}
	return ps.tails.at(p.tail)
}

// trim takes a tail away that says nothing.
func (ps *problems) trim(p *problem) {
	if p.tail != 0 && ps.tails.at(p.tail).empty() {
		ps.tails.remove(p.tail)
		p.tail = 0
	}
}

// waits reports whether there is an entry of the problem, and queue returns all of them, in the order in which they go out.
func (p *problem) waits() bool { return p.first.seq != 0 }

func (ps *problems) queue(p *problem) []item {
	if !p.waits() {
		return nil
	}
	return append([]item{p.first}, ps.tail(p).queue...)
}

func (ps *problems) push(p *problem, it item) {
	if !p.waits() {
		p.first = it
		return
	}
	t := ps.grow(p)
	t.queue = append(t.queue, it)
}

// drop takes the first entry out of the queue.
func (ps *problems) drop(p *problem) {
	p.first = item{}
	if t := ps.tail(p); len(t.queue) > 0 {
		p.first, t.queue = t.queue[0], t.queue[1:]
	}
}

// pop takes the last entry out of the queue and returns it.
func (ps *problems) pop(p *problem) (it item) {
	t := ps.tail(p)
	last := len(t.queue) - 1
	if last < 0 {
		it, p.first = p.first, item{}
		return it
	}
	it, t.queue = t.queue[last], t.queue[:last]
	return it
}

// last returns the last entry of the queue, or nil.
func (ps *problems) last(p *problem) *item {
	if t := ps.tail(p); len(t.queue) > 0 {
		return &t.queue[len(t.queue)-1]
	}
	if p.waits() {
		return &p.first
	}
	return nil
}

// supersede takes every entry out of the queue that was never on the wire and returns them.
func (ps *problems) supersede(p *problem) (gone []item) {
	queue := ps.queue(p)
	p.first = item{}
	if p.tail != 0 {
		ps.tail(p).queue = nil
	}
	for _, it := range queue {
		if it.begun {
			ps.push(p, it)
		} else {
			gone = append(gone, it)
		}
	}
	return gone
}
