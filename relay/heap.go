package relay

import (
	"cmp"
	"container/heap"
)

// A schedule's heaps. Each problem knows its place in each of them.
const (
	byRank = iota // may be sent now, worst news first
	byWait        // the same problems, longest waiting first
	byTurn        // backing off, next first
	byAge         // all that are neither in flight nor set aside, oldest entry first
	heaps
)

// orders say which of two problems stands before the other in each heap.
var orders = [heaps]func(a, b *problem) bool{
	byRank: func(a, b *problem) bool {
		return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(a.queue[0].seq, b.queue[0].seq)) < 0
	},
	byWait: older,
	byTurn: func(a, b *problem) bool { return a.notBefore < b.notBefore },
	byAge:  older,
}

func older(a, b *problem) bool { return a.queue[0].seq < b.queue[0].seq }

// problemHeap is a container/heap over problems that know their own places, so that one can be moved when its rank changes.
type problemHeap struct {
	problems []*problem
	slot     int
}

// first returns the problem in front, or nil.
func (h *problemHeap) first() *problem {
	if len(h.problems) == 0 {
		return nil
	}
	return h.problems[0]
}

// place inserts, moves or removes p.
func (h *problemHeap) place(p *problem, in bool) {
	i := int(p.at[h.slot]) - 1
	switch {
	case in && i < 0:
		heap.Push(h, p)
	case in:
		heap.Fix(h, i)
	case i >= 0:
		// The orders read the head of the queue, which p may no longer have: swap it out before anything is compared.
		last := len(h.problems) - 1
		h.Swap(i, last)
		h.Pop()
		if i < last {
			heap.Fix(h, i)
		}
	}
}

func (h *problemHeap) Len() int           { return len(h.problems) }
func (h *problemHeap) Less(i, j int) bool { return orders[h.slot](h.problems[i], h.problems[j]) }

func (h *problemHeap) Swap(i, j int) {
	s := h.problems
	s[i], s[j] = s[j], s[i]
	s[i].at[h.slot], s[j].at[h.slot] = int32(i)+1, int32(j)+1
}

func (h *problemHeap) Push(x any) {
	p := x.(*problem)
	h.problems = append(h.problems, p)
	p.at[h.slot] = int32(len(h.problems))
}

func (h *problemHeap) Pop() any {
	last := len(h.problems) - 1
	p := h.problems[last]
	h.problems[last] = nil
	h.problems = h.problems[:last]
	p.at[h.slot] = 0
	return p
}
