package relay

import "container/heap"

// place inserts, moves or removes p in a heap of problems. Slot says which of the problem's places belongs to the heap.
func place(h *[]*problem, p *problem, slot int, in bool, less func(a, b *problem) bool) {
	v := &problemHeap{h, slot, less}
	i := p.at[slot] - 1
	switch {
	case in && i < 0:
		heap.Push(v, p)
	case in:
		heap.Fix(v, i)
	case i >= 0:
		// less reads the head of the queue, which p may no longer have: swap it out before anything is compared.
		last := len(*h) - 1
		v.Swap(i, last)
		v.Pop()
		if i < last {
			heap.Fix(v, i)
		}
	}
}

// problemHeap is a container/heap over problems that know their own places, so that one can be moved when its rank changes.
type problemHeap struct {
	problems *[]*problem
	slot     int
	less     func(a, b *problem) bool
}

func (h *problemHeap) Len() int           { return len(*h.problems) }
func (h *problemHeap) Less(i, j int) bool { return h.less((*h.problems)[i], (*h.problems)[j]) }

func (h *problemHeap) Swap(i, j int) {
	s := *h.problems
	s[i], s[j] = s[j], s[i]
	s[i].at[h.slot], s[j].at[h.slot] = i+1, j+1
}

func (h *problemHeap) Push(x any) {
	p := x.(*problem)
	*h.problems = append(*h.problems, p)
	p.at[h.slot] = len(*h.problems)
}

func (h *problemHeap) Pop() any {
	s := *h.problems
	p := s[len(s)-1]
	s[len(s)-1] = nil
	*h.problems = s[:len(s)-1]
	p.at[h.slot] = 0
	return p
}
