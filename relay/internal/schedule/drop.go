package schedule

import (
	"slices"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// DropMark returns the mark that ends a waiting entry as dead. Make it durable, then call
// [Schedule.Drop]. ok is false if the entry is in flight, was delivered and is to be sent a second
// time, or is not in the schedule.
func (s *Schedule) DropMark(problem string, seq uint64, reason string) (m store.Mark, ok bool) {
	p, it, ok := s.findWaiting(problem, seq)
	if !ok {
		return m, false
	}
	it.doubt = guance.State(it.state) == guance.StateProblem && s.problems.extra(p).doubt
	return it.mark(problem, store.Dead, reason), true
}

// Drop removes the waiting entry of a mark of [Schedule.DropMark].
func (s *Schedule) Drop(m store.Mark) {
	p := s.problems.find(idOf(m.Problem))
	if p.first.seq == m.Seq {
		s.Settle(Ticket{p, p.first}, m)
		return
	}
	x := s.problems.ensureExtra(p)
	i := slices.IndexFunc(x.queue, func(it item) bool { return it.seq == m.Seq })
	s.problems.apply(p, m)
	s.count(&x.queue[i], -1)
	x.queue = slices.Delete(x.queue, i, i+1)
	s.put(p, p.stage)
}
