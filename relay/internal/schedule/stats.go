package schedule

import "time"

// Pending returns the number of pending entries, and the same by guance.Level.
func (s *Schedule) Pending() (n int, byLevel [levels]int) { return s.pending, s.byLevel }

// Oldest returns when the oldest pending entry was kept, or the zero time if there is none.
func (s *Schedule) Oldest() time.Time {
	eldest := s.eldest()
	for p := range s.exempt {
		eldest = elder(eldest, p)
	}
	if eldest == nil {
		return time.Time{}
	}
	return moment(eldest.first.kept)
}

// OldestByLevel is Oldest by level. A problem counts under the highest level of its entries.
func (s *Schedule) OldestByLevel() (oldest [levels]time.Time) {
	look := func(level int, p *problem) {
		kept := moment(p.first.kept)
		if oldest[level].IsZero() || kept.Before(oldest[level]) {
			oldest[level] = kept
		}
	}
	for i := range topRank {
		if p := s.due.ranks[i].first(); p != nil {
			look(i%levels, p)
		}
	}
	for _, r := range s.due.ranks[topRank].refs {
		p := s.problems.at(r)
		look(s.problems.worst(p, s.policy.EveryEvent), p)
	}
	for level := range s.byAge {
		if p := s.byAge[level].first(); p != nil {
			look(level, p)
		}
	}
	for p := range s.exempt {
		look(s.problems.worst(p, s.policy.EveryEvent), p)
	}
	return oldest
}

// Unconfirmed returns how many problems with pending entries are in doubt: the answer of a request
// was lost, so the target may show something else than what it confirmed.
func (s *Schedule) Unconfirmed() int { return s.problems.doubts }

// Stuck returns how many entries failed several times in a row or are quarantined, and when the
// oldest of them was kept. While the target counts as down, these are all pending entries.
func (s *Schedule) Stuck() (n int, oldest time.Time) {
	if s.breaker.down() {
		return s.pending, s.Oldest()
	}
	if p := s.stuck.first(); p != nil {
		oldest = moment(p.first.kept)
	}
	return s.stuck.Len(), oldest
}

// IsStuck reports whether the entry in flight, when it is put back, counts as stuck by itself.
func (s *Schedule) IsStuck(t Ticket) bool { return s.isStuck(t.problem) }

func (s *Schedule) isStuck(p *problem) bool { return s.problems.extra(p).row >= stubborn }

// IsRepeat reports whether the entry in flight is a delivered recovery that is sent a second time.
func (s *Schedule) IsRepeat(t Ticket) bool { return s.problems.extra(t.problem).repeat }

// RepeatNext reports whether the next entry that waits for a time is a delivered recovery, to be
// sent a second time.
func (s *Schedule) RepeatNext() bool {
	p := s.byTurn.first()
	return p != nil && s.problems.extra(p).repeat
}

// Probe returns when the next attempt may begin if the target counts as down.
func (s *Schedule) Probe() (at time.Time, down bool) { return s.breaker.probe, s.breaker.down() }

// InFlight reports whether the entry of the problem is in flight.
func (s *Schedule) InFlight(problem string, seq uint64) bool {
	p := s.problems.find(idOf(problem))
	return p != nil && p.stage == inFlight && p.first.seq == seq
}
