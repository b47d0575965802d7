package schedule

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// problems holds all problems of a schedule. It is made for a million of them: 80 bytes for each, 4
// to 11 in the index, and an extra for few. The garbage collector follows only the extras. A
// *problem is valid until it is removed.
//
// The index is a hash table with open addressing: a problem is at its home or, if that is taken, at
// the next free place. A map would need three times as much, as it repeats the 16 bytes of the ID.
type problems struct {
	arena[problem]
	extras arena[extra]
	doubts int    // extras with doubt
	index  []ref  // its length is a power of two; at most three quarters are taken
	odd    uint64 // random, so that no sender can make keys that share a home
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

// remove removes a problem.
func (ps *problems) remove(p *problem) {
	hole := ps.place(p.id)
	r := ps.index[hole]
	// A problem that could not be found behind the hole moves into it, and leaves the next hole.
	mask := len(ps.index) - 1
	for i := (hole + 1) & mask; ps.index[i] != 0; i = (i + 1) & mask {
		if home := ps.home(ps.at(ps.index[i]).id); (i-home)&mask >= (i-hole)&mask {
			ps.index[hole] = ps.index[i]
			hole = i
		}
	}
	ps.index[hole] = 0
	if x := ps.at(r).extra; x != 0 {
		if ps.extras.at(x).doubt {
			ps.doubts--
		}
		ps.extras.remove(x)
	}
	ps.arena.remove(r)
	if ps.len*8 < len(ps.index) && len(ps.index) > minIndex {
		ps.resize(len(ps.index) / 2)
	}
}

// place returns where a problem is in the index, or where it would be.
func (ps *problems) place(id problemID) int {
	i := ps.home(id)
	for ps.index[i] != 0 && ps.at(ps.index[i]).id != id {
		i = (i + 1) & (len(ps.index) - 1)
	}
	return i
}

func (ps *problems) home(id problemID) int {
	hash := binary.LittleEndian.Uint64(id[:]) * ps.odd
	return int(hash >> bits.LeadingZeros64(uint64(len(ps.index)-1)))
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
