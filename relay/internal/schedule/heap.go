package schedule

import (
	"cmp"
	"container/heap"
	"math/bits"
)

// An order says how a heap is sorted, and where each problem keeps its place in it.
type order struct {
	before func(ps *problems, a, b *problem) bool
	place  func(ps *problems, p *problem) *int32
}

var (
	byArrival = &order{older, placeOf}
	byTurn    = &order{earlier, placeOf}
	byAge     = &order{older, func(ps *problems, p *problem) *int32 { return &ps.extra(p).at }}
	stuck     = &order{older, func(ps *problems, p *problem) *int32 { return &ps.extra(p).atStuck }}
)

func earlier(ps *problems, a, b *problem) bool {
	return ps.extra(a).notBefore < ps.extra(b).notBefore
}

// older compares when the first entries were kept, and not the sequence numbers: a replayed dead
// letter has its old number and a new time.
func older(_ *problems, a, b *problem) bool {
	return cmp.Or(cmp.Compare(a.first.kept, b.first.kept), cmp.Compare(a.first.seq, b.first.seq)) < 0
}

func placeOf(_ *problems, p *problem) *int32 { return &p.at }

// problemHeap is a container/heap. Each problem holds its place, so that it can be removed from the
// middle.
type problemHeap struct {
	problems *problems
	order    *order
	refs     []ref
}

// first returns the problem in front, or nil.
func (h *problemHeap) first() *problem {
	if len(h.refs) == 0 {
		return nil
	}
	return h.problems.at(h.refs[0])
}

func (h *problemHeap) insert(p *problem) { heap.Push(h, p) }

// remove removes p if it is there. The first entry of p may have changed since it was put in.
func (h *problemHeap) remove(p *problem) {
	if at := *h.order.place(h.problems, p); at != 0 {
		heap.Remove(h, int(at)-1)
	}
}

func (h *problemHeap) Len() int { return len(h.refs) }

func (h *problemHeap) Less(i, j int) bool {
	return h.order.before(h.problems, h.problems.at(h.refs[i]), h.problems.at(h.refs[j]))
}

func (h *problemHeap) Swap(i, j int) {
	h.refs[i], h.refs[j] = h.refs[j], h.refs[i]
	h.setPlace(i, i+1)
	h.setPlace(j, j+1)
}

func (h *problemHeap) Push(x any) {
	h.refs = append(h.refs, h.problems.refOf(x.(*problem)))
	h.setPlace(len(h.refs)-1, len(h.refs))
}

func (h *problemHeap) Pop() any {
	last := len(h.refs) - 1
	p := h.problems.at(h.refs[last])
	h.setPlace(last, 0)
	h.refs = h.refs[:last]
	if last < cap(h.refs)/4 {
		h.refs = append(make([]ref, 0, cap(h.refs)/2), h.refs...) // gives memory back
	}
	return p
}

// setPlace stores the place of the problem at i.
func (h *problemHeap) setPlace(i, place int) {
	*h.order.place(h.problems, h.problems.at(h.refs[i])) = int32(place)
}

// A dueHeap holds the problems that may be sent now: one heap for each rank, by age. The problem to
// send is the first of the highest rank. The oldest of all is the oldest of the firsts.
type dueHeap struct {
	ranks  [ranks]problemHeap
	filled uint64 // a bit for each rank that has problems
}

func (d *dueHeap) insert(p *problem) {
	d.ranks[p.rank].insert(p)
	d.filled |= 1 << p.rank
}

func (d *dueHeap) remove(p *problem) {
	d.ranks[p.rank].remove(p)
	if d.ranks[p.rank].Len() == 0 {
		d.filled &^= 1 << p.rank
	}
}

// worst returns the problem with the highest rank, or nil.
func (d *dueHeap) worst() *problem {
	if d.filled == 0 {
		return nil
	}
	return d.ranks[bits.Len64(d.filled)-1].first()
}

// oldest returns the problem with the oldest entry, or nil.
func (d *dueHeap) oldest() (oldest *problem) {
	for left := d.filled; left != 0; left &= left - 1 {
		oldest = elder(oldest, d.ranks[bits.TrailingZeros64(left)].first())
	}
	return oldest
}

// elder returns the problem with the older first entry. Either may be nil.
func elder(a, b *problem) *problem {
	if a == nil || b != nil && older(nil, b, a) {
		return b
	}
	return a
}
