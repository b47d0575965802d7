package relay

import (
	"fmt"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

const (
	// agedShare: one send in so many goes to whatever has waited longest, so that nothing starves. Between the moment a new
	// problem is accepted and its first send, the lane therefore begins at most: one attempt for each new problem that is worse or,
	// at the same level, older; one aged send in every eight; and what was in flight already.
	agedShare = 8
	// lateWindow: an event that is older than the newest of its problem by no more than this was overtaken on its way here
	// and is stale. A larger difference is a clock or a replayed file, and then the order of arrival is the better witness.
	lateWindow = 10 * time.Minute
	// countFor is how long after its first failure that counts an entry may fail. An event that fails while others go through for six
	// hours will not be taken, and whoever waits for it should know.
	countFor = 6 * time.Hour
	// sayAgainAfter is how long after a recovery was taken it is sent once more, if an earlier answer of the problem was lost. A request
	// without an answer may stand in a queue in front of the target, which handles it after the recovery.
	sayAgainAfter = time.Minute
	// asideFor is how long an entry that the store cannot read is left alone before it is looked at again.
	asideFor = time.Hour
)

// A policy is what a schedule is told of its lane.
type policy struct {
	every       bool          // each event is wanted: no superseding
	maxAttempts int           // attempts that count before an entry is dead
	maxAge      time.Duration // after it was kept an entry is dead
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
	stuck    problemHeap           // failed stubborn times in a row or set aside, oldest entry first
	away     map[*problem]struct{} // in flight or set aside: too old means nothing to those
	sends    int
	pending  int
	levels   [guance.LevelFatal + 1]int // pending by level
}

func newSchedule(p policy, j jitter) *schedule {
	ps := newProblems()
	s := &schedule{
		policy: p, jitter: j, problems: ps, away: make(map[*problem]struct{}),
		byTurn: problemHeap{problems: ps, order: byTurn}, byAge: problemHeap{problems: ps, order: byAge}, stuck: problemHeap{problems: ps, order: stuck},
	}
	for i := range s.due.ranks {
		s.due.ranks[i] = problemHeap{problems: ps, order: byArrival}
	}
	return s
}

// knows reports whether the schedule holds the problem already, and so needs no record of it.
func (s *schedule) knows(key string) bool { return s.problems.find(idOf(key)) != nil }

// add takes an entry that was read from the store. The marks that it returns must be made durable together: a trigger and
// its recovery that cancel each other would otherwise leave a trigger alone after a crash between the two.
//
// over is a recovery that was sent and waited to be sent once more: the newer state cancels that. It is in flight until a call of settle, and the
// entry behind it is not sent before.
func (s *schedule) add(e *store.Entry, record store.Record) (marks []store.Mark, over *ticket) {
	id := idOf(e.Problem)
	p := s.problems.find(id)
	if p == nil {
		p = s.problems.insert(id)
		p.lives = s.breaker.lives
		s.problems.remember(p, record)
	}
	defer func() { s.put(p, p.stage) }()
	it := itemOf(e)
	if s.every || it.begun {
		s.push(p, it)
		return nil, nil
	}
	if it.seq < p.sent {
		return []store.Mark{it.mark(e.Problem, store.Superseded, "a newer event of the problem has already been sent")}, nil
	}
	if e.State == guance.StateNeither {
		return s.addRemark(p, it, e.Problem), nil
	}
	if late := p.newest - it.time; it.time != 0 && late > 0 && late <= int64(lateWindow) {
		return []store.Mark{it.mark(e.Problem, store.Superseded, "it arrived after a newer event of the problem")}, nil
	}
	p.newest = max(p.newest, it.time)
	unsent := false // a problem that was never sent
	for _, old := range s.problems.supersede(p) {
		s.count(&old, -1)
		unsent = unsent || guance.State(old.state) == guance.StateProblem
		marks = append(marks, old.mark(e.Problem, store.Superseded, fmt.Sprintf("entry %d of the problem took its place before it was sent", it.seq)))
	}
	t := s.problems.tail(p)
	if unsent && e.State == guance.StateRecovered && !p.waits() && !p.open && !t.doubt {
		return append(marks, it.mark(e.Problem, store.Superseded, "the problem ended before it was sent")), nil
	}
	if t.said && p.stage != inFlight && p.stage != aside {
		s.put(p, inFlight)
		over = &ticket{p, p.first}
		over.item.doubt = true
	}
	s.push(p, it)
	return marks, over
}

// addRemark takes an event that does not say whether the problem is there, such as an acknowledgement. It takes the place of an unsent
// remark right before it and of nothing else: a state must not be lost to it.
func (s *schedule) addRemark(p *problem, it item, key string) (marks []store.Mark) {
	if last := s.problems.last(p); last != nil && !last.begun && guance.State(last.state) == guance.StateNeither {
		old := s.problems.pop(p)
		s.count(&old, -1)
		marks = append(marks, old.mark(key, store.Superseded, fmt.Sprintf("entry %d of the problem took its place before it was sent", it.seq)))
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

// forgive has everything that failed start afresh: the target was down, and that is why it did. What is sent once more keeps its time.
func (s *schedule) forgive() {
	for t := range s.problems.tails.all() {
		t.tries = 0
	}
	for _, r := range slices.Concat(s.byTurn.refs, s.stuck.refs) {
		p := s.problems.at(r)
		switch p.stage {
		case later, aside:
			if !s.problems.tail(p).said {
				s.wake(p)
			}
		case due: // its rank was that of what fails
			s.put(p, due)
		}
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
	t := s.take(p)
	p.first.begun, t.item.begun = true, true
	s.problems.apply(p, t.item.mark("", 0, ""))
	return t, true
}

// take takes the first entry of a problem in flight.
func (s *schedule) take(p *problem) ticket {
	s.put(p, inFlight)
	p.first.doubt = guance.State(p.first.state) == guance.StateProblem && s.problems.tail(p).doubt
	return ticket{p, p.first}
}

// said reports whether the target took the entry before, and is sent it once more.
func (s *schedule) said(t ticket) bool { return s.problems.tail(t.problem).said }

// answered takes what became of an attempt and returns the mark to make, after which settle ends the entry. Its outcome is 0 if the entry is
// to be sent again later.
func (s *schedule) answered(t ticket, v verdict, now time.Time) store.Mark {
	p := t.problem
	state := guance.State(p.first.state)
	if v.lost && state == guance.StateProblem && !s.every {
		s.problems.grow(p).doubt = true
		p.first.doubt = true
	}
	switch {
	case v.outcome == store.Delivered, v.outcome == store.Dead: // a refusal is an answer, too
		if s.breaker.alive() {
			s.forgive()
		}
	case v.failed():
		s.breaker.failed(p.id, now, s.jitter)
	}
	tail := s.problems.tail(p)
	switch {
	case s.said(t):
		reason := ""
		if v.outcome != store.Delivered {
			reason = "the target took it, and was sent it once more, as an earlier answer was lost; the second answer: " + v.reason
		}
		return p.first.mark("", store.Delivered, reason)
	case v.outcome == store.Delivered && state == guance.StateRecovered && tail.doubt && !s.every:
		tail = s.problems.grow(p)
		tail.renew()
		tail.said = true
		s.again(p, now.Add(sayAgainAfter))
		return store.Mark{}
	case v.outcome != 0:
		return p.first.mark("", v.outcome, v.reason)
	case !v.failed():
		s.again(p, now) // the pause of the lane is what makes it wait, if the target was too busy
		return store.Mark{}
	}
	return s.failed(p, v, now)
}

// failed takes a failure of the entry in flight.
func (s *schedule) failed(p *problem, v verdict, now time.Time) store.Mark {
	first, tail := &p.first, s.problems.grow(p)
	tail.tries, tail.row = min(tail.tries+1, 100), min(tail.row+1, 100)
	// A failure counts against an entry only if the target worked since the entry's last one: an outage must not kill anything, an
	// entry that fails while others go through is poison.
	if s.breaker.lives != p.lives {
		p.lives = s.breaker.lives
		first.failed++
		if tail.counting == 0 {
			tail.counting = now.UnixNano()
		}
		since := now.Sub(moment(tail.counting))
		if int(first.failed) >= s.maxAttempts || since >= countFor {
			return first.mark("", store.Dead, fmt.Sprintf("failed %d times within %v while the target took other events, last: %s",
				first.failed, since.Round(time.Second), v.reason))
		}
	}
	s.again(p, now.Add(s.jitter.backoff(int(tail.tries))))
	return store.Mark{}
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
	t := s.problems.grow(p)
	t.notBefore, t.row = now.Add(asideFor).UnixNano(), max(t.row, stubborn)
	s.put(p, aside)
}

// settle ends the entry in flight, once its outcome is durable.
func (s *schedule) settle(t ticket, m store.Mark) {
	p := t.problem
	s.problems.apply(p, m)
	s.count(&p.first, -1)
	s.problems.drop(p)
	p.lives = s.breaker.lives
	if p.tail != 0 {
		s.problems.grow(p).renew()
	}
	s.put(p, due)
}

// expired takes up to limit entries that are too old, and neither in flight nor set aside, on their way to their end: tooOld says how each is to be settled.
func (s *schedule) expired(now time.Time, limit int) (tickets []ticket) {
	s.wakeUp(now)
	for p := s.eldest(); p != nil && len(tickets) < limit; p = s.eldest() {
		if now.UnixNano()-p.first.kept <= int64(s.maxAge) {
			break
		}
		tickets = append(tickets, s.take(p))
	}
	return tickets
}

// tooOld returns the mark of an entry that expired took.
func (s *schedule) tooOld(t ticket, reason string) store.Mark {
	if !s.said(t) {
		return t.item.mark("", store.Dead, reason)
	}
	t.item.doubt = true // the target has it, and was not sent it a second time
	return t.item.mark("", store.Delivered, "")
}

// expiry returns when the oldest entry that expired may take is too old; the zero time if there is none.
func (s *schedule) expiry() time.Time {
	if p := s.eldest(); p != nil {
		return moment(p.first.kept).Add(s.maxAge)
	}
	return time.Time{}
}

// oldest returns when the oldest entry was kept; the zero time if there is none.
func (s *schedule) oldest() time.Time {
	eldest := s.eldest()
	for p := range s.away {
		eldest = elder(eldest, p)
	}
	if eldest == nil {
		return time.Time{}
	}
	return moment(eldest.first.kept)
}

// eldest returns the problem with the oldest entry of all that are neither in flight nor set aside, or nil.
func (s *schedule) eldest() *problem { return elder(s.due.oldest(), s.byAge.first()) }

// stuckSince returns how many entries are stuck, and when the oldest of them was kept.
func (s *schedule) stuckSince() (n int, oldest time.Time) {
	if p := s.stuck.first(); p != nil {
		oldest = moment(p.first.kept)
	}
	return s.stuck.Len(), oldest
}

// isStuck reports whether the first entry of a problem failed several times in a row, or cannot be read.
func (s *schedule) isStuck(p *problem) bool { return s.problems.tail(p).row >= stubborn }

// repeats reports whether what waits for a time of its own, and will go next, is a recovery that was taken.
func (s *schedule) repeats() bool {
	p := s.byTurn.first()
	return p != nil && s.problems.tail(p).said
}

// put brings a problem into a stage, or into its place there after its entries have changed, and forgets one that has nothing to send.
func (s *schedule) put(p *problem, to stage) {
	s.stuck.remove(p)
	if s.move(p, to); p.waits() && s.isStuck(p) {
		s.stuck.insert(p)
	}
}

func (s *schedule) move(p *problem, to stage) {
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
