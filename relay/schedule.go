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
	problems map[problemID]*problem
	heaps    [heaps]problemHeap
	away     map[*problem]struct{} // in flight or set aside, and so not in byAge
	sends    int
	pending  int
	levels   [guance.LevelFatal + 1]int // pending by level
}

func newSchedule(p policy, j jitter) *schedule {
	s := &schedule{policy: p, jitter: j, problems: make(map[problemID]*problem), away: make(map[*problem]struct{})}
	for i := range s.heaps {
		s.heaps[i].slot = i
	}
	return s
}

// knows reports whether the schedule holds the problem already, and so needs no record of it.
func (s *schedule) knows(key string) bool { return s.problems[idOf(key)] != nil }

// add takes an entry that was read from the store. The marks that it returns must be made durable together: a trigger and
// its recovery that cancel each other would otherwise leave a trigger alone after a crash between the two.
func (s *schedule) add(e *Entry, record Record, now time.Time) []Mark {
	id := idOf(e.Problem)
	p := s.problems[id]
	if p == nil {
		p = &problem{id: id, lives: s.breaker.lives}
		p.remember(record)
		s.problems[id] = p
	}
	defer s.place(p)
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
	for _, old := range p.supersede() {
		s.count(&old, -1)
		unsent = unsent || guance.State(old.state) == guance.StateProblem
		marks = append(marks, old.mark(e.Problem, Superseded, fmt.Sprintf("entry %d of the problem took its place before it was sent", it.seq), now))
	}
	if unsent && e.State == guance.StateRecovered && len(p.queue) == 0 && !p.open {
		return append(marks, it.mark(e.Problem, Superseded, "the problem ended before it was sent", now))
	}
	s.push(p, it)
	return marks
}

// addRemark takes an event that does not say whether the problem is there, such as an acknowledgement. It takes the place of an unsent
// remark right before it and of nothing else: a state must not be lost to it.
func (s *schedule) addRemark(p *problem, it item, key string, now time.Time) (marks []Mark) {
	if last := len(p.queue) - 1; last >= 0 && !p.queue[last].begun && guance.State(p.queue[last].state) == guance.StateNeither {
		old := p.queue[last]
		s.count(&old, -1)
		p.queue = p.queue[:last]
		marks = append(marks, old.mark(key, Superseded, fmt.Sprintf("entry %d of the problem took its place before it was sent", it.seq), now))
	}
	s.push(p, it)
	return marks
}

func (s *schedule) push(p *problem, it item) {
	p.queue = append(p.queue, it)
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
	if s.heaps[byRank].first() != nil {
		if now.Before(s.breaker.probe) {
			return false, s.breaker.probe
		}
		return true, time.Time{}
	}
	if p := s.heaps[byTurn].first(); p != nil {
		at := moment(p.notBefore)
		if at.Before(s.breaker.probe) {
			at = s.breaker.probe
		}
		return false, at
	}
	return false, time.Time{}
}

func (s *schedule) wakeUp(now time.Time) {
	for p := s.heaps[byTurn].first(); p != nil && p.notBefore <= now.UnixNano(); p = s.heaps[byTurn].first() {
		s.wake(p)
	}
}

// forgive has everything that backs off start afresh: the target was down, and that is why it failed.
func (s *schedule) forgive() {
	for p := s.heaps[byTurn].first(); p != nil; p = s.heaps[byTurn].first() {
		p.tries = 0
		s.wake(p)
	}
}

// wake ends the wait of a problem that is in byTurn.
func (s *schedule) wake(p *problem) {
	p.notBefore, p.aside = 0, false
	delete(s.away, p)
	s.place(p)
}

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
	p := s.heaps[byRank].first()
	if s.sends%agedShare == 0 {
		p = s.heaps[byWait].first()
	}
	s.take(p)
	first := &p.queue[0]
	first.begun = true
	p.apply(first.mark("", 0, "", now))
	s.place(p)
	return ticket{p, *first}, true
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
	first := &p.queue[0]
	// A failure counts against an entry only if the target worked since the entry's last one: an outage must not kill anything, an
	// entry that fails while others go through is poison.
	if s.breaker.lives != p.lives {
		first.failed++
	}
	if int(first.failed) >= s.maxAttempts {
		return Dead, fmt.Sprintf("failed %d times while the target took other events, last: %s", first.failed, v.reason)
	}
	p.lives = s.breaker.lives
	p.tries = min(p.tries+1, 100)
	s.breaker.failed(p.id, now, s.jitter)
	s.again(p, now.Add(s.jitter.backoff(int(p.tries))))
	return 0, ""
}

// again gives the entry in flight back, to be sent at the given time.
func (s *schedule) again(p *problem, at time.Time) {
	p.notBefore = at.UnixNano()
	s.release(p)
}

// setAside gives the entry in flight back because the store cannot read it. It stands in the way of its problem and of nothing else, does
// not grow too old, and is looked at again now and then, as somebody may have mended the store: to settle it as dead would take what
// cannot be read.
func (s *schedule) setAside(p *problem, now time.Time) {
	p.busy, p.aside = false, true
	p.notBefore = now.Add(asideFor).UnixNano()
	s.place(p)
}

// settle ends the entry in flight, once its outcome is durable.
func (s *schedule) settle(t ticket, m Mark) {
	p := t.problem
	p.apply(m)
	s.count(&p.queue[0], -1)
	p.drop()
	p.notBefore, p.tries, p.lives = 0, 0, s.breaker.lives
	s.release(p)
}

// expired takes up to limit entries that are too old, and neither in flight nor set aside, on their way to their end: each is to be settled as dead.
func (s *schedule) expired(now time.Time, limit int) (tickets []ticket) {
	s.wakeUp(now)
	for p := s.heaps[byAge].first(); p != nil && len(tickets) < limit; p = s.heaps[byAge].first() {
		if now.UnixNano()-p.queue[0].accepted <= int64(s.maxAge) {
			break
		}
		s.take(p)
		tickets = append(tickets, ticket{p, p.queue[0]})
		s.place(p)
	}
	return tickets
}

// expiry returns when the oldest entry that expired may take is too old; the zero time if there is none.
func (s *schedule) expiry() time.Time {
	if p := s.heaps[byAge].first(); p != nil {
		return moment(p.queue[0].accepted).Add(s.maxAge)
	}
	return time.Time{}
}

// oldest returns when the oldest entry was accepted; the zero time if there is none.
func (s *schedule) oldest() time.Time {
	var ns int64
	if p := s.heaps[byAge].first(); p != nil {
		ns = p.queue[0].accepted
	}
	for p := range s.away {
		if at := p.queue[0].accepted; ns == 0 || at < ns {
			ns = at
		}
	}
	return moment(ns)
}

func (s *schedule) take(p *problem) {
	p.busy = true
	s.away[p] = struct{}{}
}

func (s *schedule) release(p *problem) {
	p.busy = false
	delete(s.away, p)
	s.place(p)
}

// place puts a problem into the heaps it belongs to, and forgets one that has nothing to send.
func (s *schedule) place(p *problem) {
	waits := len(p.queue) > 0
	if waits {
		p.rate(s.every)
	}
	idle := waits && !p.busy
	due := idle && p.notBefore == 0
	s.heaps[byRank].place(p, due)
	s.heaps[byWait].place(p, due)
	s.heaps[byTurn].place(p, idle && !due)
	s.heaps[byAge].place(p, idle && !p.aside)
	if !waits && !p.busy {
		delete(s.problems, p.id)
	}
}
