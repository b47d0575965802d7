package schedule

// A stage is what a problem waits for.
type stage uint8

const (
	due         stage = iota // its turn
	later                    // the end of its backoff, or the time of a repeat
	quarantined              // the same, as the store cannot read its first entry
	inFlight                 // the end of an attempt, or its outcome to become durable
)

// put moves a problem to a stage, or to its new place there after its entries have changed. It
// removes a problem that has no entry.
func (s *Schedule) put(p *problem, to stage) {
	s.stuck.remove(p)
	if s.move(p, to); p.waits() && s.isStuck(p) {
		s.stuck.insert(p)
	}
}

func (s *Schedule) move(p *problem, to stage) {
	switch p.stage {
	case due:
		s.due.remove(p)
	case later:
		s.byTurn.remove(p)
		s.byAge[p.rank].remove(p)
	case quarantined:
		s.byTurn.remove(p)
	}
	p.stage = to
	switch {
	case !p.waits():
		to = due // removed below
	case to == later:
		s.byTurn.insert(p)
		p.rank = rank(s.problems.worst(p, s.policy.EveryEvent))
		s.byAge[p.rank].insert(p)
	case to == quarantined:
		s.byTurn.insert(p)
	}
	if to == inFlight || to == quarantined {
		s.exempt[p] = struct{}{}
	} else {
		delete(s.exempt, p)
	}
	if to != due {
		return
	}
	if p.extra != 0 {
		s.problems.ensureExtra(p).notBefore = 0
		s.problems.releaseExtra(p)
	}
	if !p.waits() {
		s.problems.remove(p)
		return
	}
	p.rank = s.problems.rankOf(p, s.policy.EveryEvent)
	s.due.insert(p)
}
