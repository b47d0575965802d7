package relay

import (
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

const (
	// agedShare: one send in so many goes to whatever has waited longest, so that nothing starves. Between the moment a new
	// problem is accepted and its first send, the lane therefore begins at most: one attempt for each new problem that is worse or,
	// at the same level, older; one aged send in every eight; and what was in flight already.
	agedShare = 8
	// lateWindow: an event that is older than the newest of its problem by no more than this was overtaken on its way here
	// and is stale. A larger difference is a clock or a replayed file, and then the order of arrival is the better witness.
	lateWindow = 10 * time.Minute
	// asideFor is how long an entry that the store cannot read is left alone before it is looked at again.
	asideFor = time.Hour
)

// A policy is what a schedule is told of its lane.
type policy struct {
	every       bool          // each event is wanted: no superseding
	maxAttempts int           // attempts that count before an entry is dead
	maxAge      time.Duration // after acceptance an entry is dead
}

// A schedule decides which entry of a lane goes next, and what becomes of it after an attempt. It is a state machine without clock, I/O
// or goroutine: what was accepted, what was answered and the time come in; what to send, when to look again and marks to make durable
// come out. It is not safe for concurrent use.
type schedule struct {
	policy
	jitter   jitter
	breaker  breaker
	problems *problems
	due      dueHeap               // may be sent now
	byTurn   problemHeap           // backing off or set aside, next first
	byAge    problemHeap           // backing off, oldest entry first
	away     map[*problem]struct{} // in flight or set aside: too old means nothing to those
	sends    int
	pending  int
	levels   [guance.LevelFatal + 1]int // pending by level
}

func newSchedule(p policy, j jitter) *schedule {
	ps := newProblems()
	s := &schedule{
		policy: p, jitter: j, problems: ps, away: make(map[*problem]struct{}),
		byTurn: problemHeap{problems: ps, order: byTurn}, byAge: problemHeap{problems: ps, order: byAge},
	}
	for i := range s.due.ranks {
		s.due.ranks[i] = problemHeap{problems: ps, order: bySeq}
	}
	return s
}

// knows reports whether the schedule holds the problem already, and so needs no record of it.
func (s *schedule) knows(key string) bool { return s.problems.find(idOf(key)) != nil }

// add takes an entry that was read from the store. The marks that it returns must be made durable together: a trigger and
// its recovery that cancel each other would otherwise leave a trigger alone after a crash between the two.
func (s *schedule) add(e *Entry, record Record, now time.Time) []Mark {
	id := idOf(e.Problem)
	p := s.problems.find(id)
	if p == nil {
		p = s.problems.insert(id)
		p.lives = s.breaker.lives
		p.remember(record)
	}
	defer func() { s.put(p, p.stage) }()
	it := itemOf(e)
	if s.every || it.begun {
		s.push(p, it)
		return nil
	}
	if it.seq < p.sent {
		return []Mark{it.mark(e.Problem, Superseded, "a newer event of the problem has already been sent", now)}
	}
	if e.State == guance.StateNeither {
		return s.addRemark(p, it, e.Problem, now)
	}
	if late := p.newest - it.time; it.time != 0 && late > 0 && late <= int64(lateWindow) {
		return []Mark{it.mark(e.Problem, Superseded, "it arrived after a newer event of the problem", now)}
	}
	p.newest = max(p.newest, it.time)
	var marks []Mark
	unsent := false // a problem that was never sent
	for _, old := range s.problems.supersede(p) {
		s.count(&old, -1)
		unsent = unsent || guance.State(old.state) == guance.StateProblem
		marks = append(marks, old.mark(e.Problem, Superseded, fmt.Sprintf("entry %d of the problem took its place before it was sent", it.seq), now))
	}
	if unsent && e.State == guance.StateRecovered && !p.waits() && !p.open {
		return append(marks, it.mark(e.Problem, Superseded, "the problem ended before it was sent", now))
	}
	s.push(p, it)
	return marks
}

// addRemark takes an event that does not say whether the problem is there, such as an acknowledgement. It takes the place of an unsent
// remark right before it and of nothing else: a state must not be lost to it.
func (s *schedule) addRemark(p *problem, it item, key string, now time.Time) (marks []Mark) {
	if last := s.problems.last(p); last != nil && !last.begun && guance.State(last.state) == guance.StateNeither {
		old := s.problems.pop(p)
		s.count(&old, -1)
		marks = append(marks, old.mark(key, Superseded, fmt.Sprintf("entry %d of the problem took its place before it was sent", it.seq), now))
	}
	s.push(p, it)
	return marks
}

func (s *schedule) push(p *problem, it item) {
	s.problems.push(p, it)
	s.count(&it, 1)
}

func (s *schedule) count(it *item, n int) {
	s.pending += n
	s.levels[min(max(it.level, 0), int8(guance.LevelFatal))] += n
}

// limit returns how many attempts may be in flight, of at most n.
func (s *schedule) limit(n int) int {
	if s.breaker.down() {
		return 1
	}
	return n
}

// ready returns whether something may be sent at now, and if not, when that may change without another event or answer; the zero
// time is never.
func (s *schedule) ready(now time.Time) (bool, time.Time) {
	s.wakeUp(now)
	if s.due.worst() != nil {
		if now.Before(s.breaker.probe) {
			return false, s.breaker.probe
		}
		return true, time.Time{}
	}
	if p := s.byTurn.first(); p != nil {
		at := moment(s.until(p))
		if at.Before(s.breaker.probe) {
			at = s.breaker.probe
		}
		return false, at
	}
	return false, time.Time{}
}

func (s *schedule) wakeUp(now time.Time) {
	for p := s.byTurn.first(); p != nil && s.until(p) <= now.UnixNano(); p = s.byTurn.first() {
		s.wake(p)
	}
}

// forgive has everything that backs off start afresh: the target was down, and that is why it failed.
func (s *schedule) forgive() {
	for p := s.byTurn.first(); p != nil; p = s.byTurn.first() {
		s.problems.grow(p).tries = 0
		s.wake(p)
	}
}

// wake ends the wait of a problem that is in byTurn.
func (s *schedule) wake(p *problem) { s.put(p, due) }

// until returns when a problem that backs off or is set aside may be tried again; 0 of any other.
func (s *schedule) until(p *problem) int64 { return s.problems.tail(p).notBefore }

// A ticket is an entry on its way to the sink, or to its end.
type ticket struct {
	problem *problem
	item    item
}

// next chooses the entry to send at now and takes it in flight, until a call of answered and, if that settles it, of settle.
func (s *schedule) next(now time.Time) (ticket, bool) {
	if ok, _ := s.ready(now); !ok {
		return ticket{}, false
	}
	s.sends++
	p := s.due.worst()
	if s.sends%agedShare == 0 {
		p = s.due.oldest()
	}
	s.put(p, inFlight)
	p.first.begun = true
	p.apply(p.first.mark("", 0, "", now))
	return ticket{p, p.first}, true
}

// answered takes what became of an attempt and returns the outcome to record, after which settle ends the entry, or 0 if it is to be sent
// again later.
func (s *schedule) answered(t ticket, v verdict, now time.Time) (Outcome, string) {
	p := t.problem
	switch {
	case v.outcome == Delivered, v.outcome == Dead: // a refusal is an answer, too
		if s.breaker.alive() {
			s.forgive()
		}
		return v.outcome, v.reason
	case v.outcome != 0:
		return v.outcome, v.reason
	case v.handedBack:
		s.again(p, now)
		return 0, ""
	case v.throttled:
		// The pause of the lane is what makes it wait.
		s.again(p, now)
		return 0, ""
	}
	first := &p.first
	// A failure counts against an entry only if the target worked since the entry's last one: an outage must not kill anything, an
	// entry that fails while others go through is poison.
	if s.breaker.lives != p.lives {
		first.failed++
	}
	if int(first.failed) >= s.maxAttempts {
		return Dead, fmt.Sprintf("failed %d times while the target took other events, last: %s", first.failed, v.reason)
	}
	p.lives = s.breaker.lives
	tail := s.problems.grow(p)
	tail.tries = min(tail.tries+1, 100)
	s.breaker.failed(p.id, now, s.jitter)
	s.again(p, now.Add(s.jitter.backoff(int(tail.tries))))
	return 0, ""
}

// again gives the entry in flight back, to be sent at the given time.
func (s *schedule) again(p *problem, at time.Time) {
	s.problems.grow(p).notBefore = at.UnixNano()
	s.put(p, later)
}

// setAside gives the entry in flight back because the store cannot read it. It stands in the way of its problem and of nothing else, does
// not grow too old, and is looked at again now and then, as somebody may have mended the store: to settle it as dead would take what
// cannot be read.
func (s *schedule) setAside(p *problem, now time.Time) {
	s.problems.grow(p).notBefore = now.Add(asideFor).UnixNano()
	s.put(p, aside)
}

// settle ends the entry in flight, once its outcome is durable.
func (s *schedule) settle(t ticket, m Mark) {
	p := t.problem
	p.apply(m)
	s.count(&p.first, -1)
	s.problems.drop(p)
	p.lives = s.breaker.lives
	if p.tail != 0 {
		s.problems.grow(p).tries = 0
	}
	s.put(p, due)
}

// expired takes up to limit entries that are too old, and neither in flight nor set aside, on their way to their end: each is to be settled as dead.
func (s *schedule) expired(now time.Time, limit int) (tickets []ticket) {
	s.wakeUp(now)
	for p := s.eldest(); p != nil && len(tickets) < limit; p = s.eldest() {
		if now.UnixNano()-p.first.accepted <= int64(s.maxAge) {
			break
		}
		s.put(p, inFlight)
		tickets = append(tickets, ticket{p, p.first})
	}
	return tickets
}

// expiry returns when the oldest entry that expired may take is too old; the zero time if there is none.
func (s *schedule) expiry() time.Time {
	if p := s.eldest(); p != nil {
		return moment(p.first.accepted).Add(s.maxAge)
	}
	return time.Time{}
}

// oldest returns when the oldest entry was accepted; the zero time if there is none.
func (s *schedule) oldest() time.Time {
	var ns int64
	if p := s.eldest(); p != nil {
		ns = p.first.accepted
	}
	for p := range s.away {
		if at := p.first.accepted; ns == 0 || at < ns {
			ns = at
		}
	}
	return moment(ns)
}

// eldest returns the problem with the oldest entry of all that are neither in flight nor set aside, or nil.
func (s *schedule) eldest() *problem { return elder(s.due.oldest(), s.byAge.first()) }

// put brings a problem into a stage, or into its place there after its entries have changed, and forgets one that has nothing to send.
func (s *schedule) put(p *problem, to stage) {
	switch p.stage {
	case due:
		s.due.remove(p)
	case later:
		s.byTurn.remove(p)
		s.byAge.remove(p)
	case aside:
		s.byTurn.remove(p)
	}
	p.stage = to
	switch {
	case !p.waits():
		to = due // and from there nowhere
	case to == later:
		s.byTurn.insert(p)
		s.byAge.insert(p)
	case to == aside:
		s.byTurn.insert(p)
	}
	if to == inFlight || to == aside {
		s.away[p] = struct{}{}
	} else {
		delete(s.away, p)
	}
	if to != due {
		return
	}
	if p.tail != 0 {
		s.problems.grow(p).notBefore = 0
		s.problems.trim(p)
	}
	if !p.waits() {
		s.problems.remove(p)
		return
	}
	p.rank = s.problems.rate(p, s.every)
	s.due.insert(p)
}
