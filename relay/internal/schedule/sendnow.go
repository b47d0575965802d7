package schedule

// SendNow ends the backoff of the problem of a pending entry and gives it the highest rank until
// the entry has ended. The entries before it go first. The probes of a target that is down, and
// with them the order of a recovery that is sent a second time, stay. It reports false if the entry
// is in flight, was delivered and is to be sent a second time, or is not in the schedule.
func (s *Schedule) SendNow(problem string, seq uint64) bool {
	p, _, ok := s.findWaiting(problem, seq)
	if !ok {
		return false
	}
	x := s.problems.ensureExtra(p)
	x.now = max(x.now, seq)
	if p.stage != inFlight && !x.repeat { // a second sending keeps its time
		s.put(p, due)
	}
	return true
}
