package schedule

import (
	"slices"
	"time"
)

// A Reason is why a pending entry is not sent now.
type Reason uint8

// The order is that in which they apply.
const (
	Behind     Reason = iota // an earlier entry of its problem is pending
	InFlight                 // it is being sent, or its outcome is being written
	Repeat                   // it was delivered and waits to be sent a second time
	BackingOff               // it failed, or the store cannot read it
	Down                     // the target is down and is probed
	Turn                     // it waits for its turn
)

// A Waiting is a pending entry and why it is not sent now.
type Waiting struct {
	Seq    uint64
	Reason Reason
	After  uint64    // with Behind: the entry before it
	Failed int       // failures that counted
	Until  time.Time // when the reason ends; zero: it is not known
}

// Waiting returns the pending entries of a problem, in the order of sending.
func (s *Schedule) Waiting(problem string) (all []Waiting) {
	p := s.problems.find(idOf(problem))
	if p == nil {
		return nil
	}
	for i, it := range s.problems.queue(p) {
		w := Waiting{Seq: it.seq, Failed: int(it.failed)}
		if i == 0 {
			w = s.waiting(p)
		} else {
			w.Reason, w.After = Behind, all[i-1].Seq
		}
		all = append(all, w)
	}
	return all
}

// findWaiting returns an entry that an operator may drop or send now, and its problem. ok is false
// if the entry is in flight, was delivered and is to be sent a second time, or is not in the
// schedule.
func (s *Schedule) findWaiting(key string, seq uint64) (p *problem, it item, ok bool) {
	if p = s.problems.find(idOf(key)); p == nil {
		return nil, it, false
	}
	queue := s.problems.queue(p)
	i := slices.IndexFunc(queue, func(it item) bool { return it.seq == seq })
	if i < 0 || i == 0 && (p.stage == inFlight || s.problems.extra(p).repeat) {
		return nil, it, false
	}
	return p, queue[i], true
}

// waiting returns why the first entry of a problem is not sent now.
func (s *Schedule) waiting(p *problem) Waiting {
	w := Waiting{Seq: p.first.seq, Failed: int(p.first.failed)}
	switch {
	case p.stage == inFlight:
		w.Reason = InFlight
	case s.problems.extra(p).repeat:
		w.Reason, w.Until = Repeat, moment(s.until(p))
	case p.stage == later, p.stage == quarantined:
		w.Reason, w.Until = BackingOff, moment(s.until(p))
	case s.breaker.down():
		w.Reason, w.Until = Down, s.breaker.probe
	default:
		w.Reason = Turn
	}
	return w
}
