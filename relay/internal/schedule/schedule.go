// Package schedule decides the order of sending: which entry of a lane goes next, and when.
//
// A [Schedule] takes each entry that was accepted ([Schedule.Add]) and says what newer state
// replaces it. [Schedule.Next] chooses the entry to send. [Schedule.Answered] takes how the attempt
// ended, and [Schedule.Settle] removes the entry once its outcome is durable. The rank of a problem
// is in rank.go.
//
// The package has no clock, no I/O and no goroutine. Times are those of the store's clock.
package schedule

import (
	"fmt"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

const (
	// agedShare: one send in eight goes to the oldest entry, so that no entry waits for ever.
	agedShare = 8
	// lateWindow: an event that is older than the newest of its problem by at most this was
	// overtaken on its way, and is superseded. A larger difference is a wrong clock or a replayed
	// file. Then the order of arrival decides.
	lateWindow = 10 * time.Minute
	// countFor is how long an entry is tried after its first failure that counts. The target takes
	// other events in that time, so it will not take this one.
	countFor = 6 * time.Hour
	// RepeatAfter is how long after its delivery a recovery is sent a second time, if an earlier
	// answer of the problem was lost. A queue in front of the target may handle the earlier
	// request after the recovery.
	RepeatAfter = time.Minute
	// QuarantineFor is how long an entry that the store cannot read waits for the next try.
	QuarantineFor = time.Hour
)

// A Policy holds the settings of a lane that its schedule needs.
type Policy struct {
	EveryEvent  bool          // each event is sent; none is superseded
	MaxAttempts int           // this many failures that count make an entry dead
	MaxAge      time.Duration // an entry that was kept longer ago is dead
}

// A Schedule holds the pending entries of one lane. It is not safe for concurrent use.
type Schedule struct {
	policy   Policy
	jitter   Jitter
	breaker  breaker
	problems *problems
	due      dueHeap               // may be sent now
	byTurn   problemHeap           // backing off or quarantined, next first
	byAge    [levels]problemHeap   // backing off, by the highest level, oldest entry first
	stuck    problemHeap           // failed stubborn times in a row or quarantined, oldest first
	exempt   map[*problem]struct{} // in flight or quarantined: not expired
	sends    int
	pending  int
	byLevel  [levels]int // pending
}

// New returns an empty schedule.
func New(p Policy, j Jitter) *Schedule {
	ps := newProblems()
	s := &Schedule{
		policy: p, jitter: j, problems: ps, exempt: make(map[*problem]struct{}),
		byTurn: problemHeap{problems: ps, order: byTurn},
		stuck:  problemHeap{problems: ps, order: stuck},
	}
	for i := range s.due.ranks {
		s.due.ranks[i] = problemHeap{problems: ps, order: byArrival}
	}
	for i := range s.byAge {
		s.byAge[i] = problemHeap{problems: ps, order: byAge}
	}
	return s
}

// Holds reports whether a pending entry has this problem key. [Schedule.Add] needs the record of a
// problem only if the schedule does not hold it. After a sticky entry the schedule may no longer
// hold a problem that the target shows. Then the next Add needs the record again.
func (s *Schedule) Holds(problem string) bool { return s.problems.find(idOf(problem)) != nil }

// Add takes an entry that was read from the store, and the record of its problem. The marks that it
// returns end superseded entries. Make them durable together: if a crash kept only one mark of a
// trigger and its recovery, the trigger would stay pending alone.
//
// A sticky entry with a state supersedes what was not sent, as any newer state does. It is sent
// itself only if it ends or changes what the target will show. If it is not sent, it is superseded
// too, and cancels nothing that was sent.
//
// cancelled is a delivered recovery that was to be sent a second time. A newer state cancels that.
// It is in flight until [Schedule.Settle], and the next entry of its problem waits for it.
func (s *Schedule) Add(e *store.Entry, r store.Record) (marks []store.Mark, cancelled *Ticket) {
	id := idOf(e.Problem)
	p := s.problems.find(id)
	if p == nil {
		p = s.problems.insert(id)
		p.successes = s.breaker.successes
		s.problems.remember(p, r)
	}
	defer func() { s.put(p, p.stage) }()
	it := itemOf(e)
	if it.begun {
		s.push(p, it)
		return nil, nil
	}
	if it.seq < p.sent && !s.policy.EveryEvent {
		m := it.superseded(e.Problem, "a newer event of the problem was already sent")
		return []store.Mark{m}, nil
	}
	if s.policy.EveryEvent || e.State == guance.StateNeither {
		return s.addBehind(p, it, e), nil
	}
	if isLate(it.time, p.newest) {
		m := it.superseded(e.Problem, "it arrived after a newer event of the problem")
		return []store.Mark{m}, nil
	}
	p.newest = max(p.newest, it.time)
	unsent := false // a trigger that was never sent
	for _, old := range s.problems.supersede(p) {
		s.count(&old, -1)
		unsent = unsent || guance.State(old.state) == guance.StateProblem
		marks = append(marks, old.superseded(e.Problem, replacedBy(it)))
	}
	if reason := s.refuse(p, e, unsent); reason != "" {
		return append(marks, it.superseded(e.Problem, reason)), nil
	}
	x := s.problems.extra(p)
	if unsent && e.State == guance.StateRecovered && !p.waits() && !p.open && !x.doubt {
		return append(marks, it.superseded(e.Problem, endedUnsent)), nil
	}
	if x.repeat && p.stage != inFlight && p.stage != quarantined {
		s.put(p, inFlight)
		p.first.doubt = true
		cancelled = &Ticket{p, p.first}
	}
	s.push(p, it)
	return marks, cancelled
}

// Late reports whether an event was overtaken on its way: a newer one of its problem was begun or
// settled.
func (s *Schedule) Late(e *store.Entry, r store.Record) bool {
	return !s.policy.EveryEvent && isLate(nanos(e.Time), nanos(r.Time))
}

func isLate(at, newest int64) bool {
	late := newest - at
	return at != 0 && late > 0 && late <= int64(lateWindow)
}

// addBehind takes an entry that supersedes no state: any entry where every event is sent, and
// elsewhere an event without a state, such as an acknowledgement. That supersedes an unsent event
// without a state right before it. If it superseded a state, the state would be lost.
func (s *Schedule) addBehind(p *problem, it item, e *store.Entry) (marks []store.Mark) {
	if reason := s.refuse(p, e, false); reason != "" {
		return []store.Mark{it.superseded(e.Problem, reason)}
	}
	last := s.problems.last(p)
	if !s.policy.EveryEvent && last != nil &&
		!last.begun && guance.State(last.state) == guance.StateNeither {
		old := s.problems.pop(p)
		s.count(&old, -1)
		marks = append(marks, old.superseded(e.Problem, replacedBy(it)))
	}
	s.push(p, it)
	return marks
}

func replacedBy(it item) string {
	return fmt.Sprintf("entry %d of the problem replaced it before it was sent", it.seq)
}

func (s *Schedule) push(p *problem, it item) {
	s.problems.push(p, it)
	s.count(&it, 1)
}

func (s *Schedule) count(it *item, n int) {
	s.pending += n
	s.byLevel[level(it)] += n
}

// Limit returns how many attempts may be in flight, at most n.
func (s *Schedule) Limit(n int) int {
	if s.breaker.down() {
		return 1
	}
	return n
}

// Ready reports whether an entry may be sent at now. If not, it returns the time at which one may,
// or the zero time if that needs another entry or answer.
func (s *Schedule) Ready(now time.Time) (bool, time.Time) {
	s.endWaits(now)
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

// endWaits makes due what waits until now or earlier.
func (s *Schedule) endWaits(now time.Time) {
	for p := s.byTurn.first(); p != nil && s.until(p) <= now.UnixNano(); p = s.byTurn.first() {
		s.put(p, due)
	}
}

// resetBackoff makes every problem that failed due at once: the failures were those of a target
// that was down. A recovery that is to be sent a second time keeps its time.
func (s *Schedule) resetBackoff() {
	for x := range s.problems.extras.all() {
		x.tries = 0
	}
	for _, r := range slices.Concat(s.byTurn.refs, s.stuck.refs) {
		p := s.problems.at(r)
		switch p.stage {
		case later, quarantined:
			if !s.problems.extra(p).repeat {
				s.put(p, due)
			}
		case due: // it has the low rank of a problem that fails
			s.put(p, due)
		}
	}
}

// until returns when a problem that backs off or is quarantined may be tried again; 0 of any other.
func (s *Schedule) until(p *problem) int64 { return s.problems.extra(p).notBefore }

// Next chooses the entry to send at now. It is in flight until [Schedule.Answered] or
// [Schedule.Quarantine].
func (s *Schedule) Next(now time.Time) (Ticket, bool) {
	if ok, _ := s.Ready(now); !ok {
		return Ticket{}, false
	}
	s.sends++
	p := s.due.worst()
	if s.sends%agedShare == 0 {
		p = s.due.oldest()
	}
	t := s.take(p)
	p.first.begun, t.item.begun = true, true
	s.problems.apply(p, t.Mark("", 0, ""))
	return t, true
}

// take takes the first entry of a problem in flight.
func (s *Schedule) take(p *problem) Ticket {
	s.put(p, inFlight)
	p.first.doubt = guance.State(p.first.state) == guance.StateProblem && s.problems.extra(p).doubt
	return Ticket{p, p.first}
}

// Answered takes the result of an attempt. It returns the mark that ends the entry, without problem
// key. Make it durable, then call [Schedule.Settle]. If the Outcome of the mark is 0, the entry is
// sent again later.
func (s *Schedule) Answered(t Ticket, r Result, now time.Time) store.Mark {
	p := t.problem
	state := guance.State(p.first.state)
	if r.AnswerLost && state == guance.StateProblem && !s.policy.EveryEvent {
		s.problems.setDoubt(p, true)
		p.first.doubt = true
	}
	switch {
	case r.Outcome == store.Delivered, r.Outcome == store.Dead: // a refusal is an answer, too
		if s.breaker.succeeded() {
			s.resetBackoff()
		}
	case r.Failed():
		s.breaker.failed(p.id, now, s.jitter)
	}
	x := s.problems.extra(p)
	switch {
	case s.IsRepeat(t):
		reason := ""
		if r.Outcome != store.Delivered {
			reason = "delivered, then sent a second time because an earlier answer was lost; " +
				"the second answer: " + r.Reason
		}
		return p.first.mark("", store.Delivered, reason)
	case r.Outcome == store.Delivered && state == guance.StateRecovered && x.doubt &&
		!s.policy.EveryEvent:
		x = s.problems.ensureExtra(p)
		x.reset()
		x.repeat = true
		s.postpone(p, now.Add(RepeatAfter))
		return store.Mark{}
	case r.Outcome != 0:
		return p.first.mark("", r.Outcome, r.Reason)
	case !r.Failed():
		s.postpone(p, now) // after a 429 the budget's pause makes it wait
		return store.Mark{}
	}
	return s.failed(p, r, now)
}

// failed takes a failure of the entry in flight.
func (s *Schedule) failed(p *problem, r Result, now time.Time) store.Mark {
	first, x := &p.first, s.problems.ensureExtra(p)
	x.tries, x.row = min(x.tries+1, 100), min(x.row+1, 100)
	// A failure counts only if the target took something since the last failure of the entry. So an
	// outage kills no entry, and an entry that fails while others are delivered dies.
	if s.breaker.successes != p.successes {
		p.successes = s.breaker.successes
		first.failed++
		if x.counting == 0 {
			x.counting = now.UnixNano()
		}
		since := now.Sub(moment(x.counting))
		if int(first.failed) >= s.policy.MaxAttempts || since >= countFor {
			return first.mark("", store.Dead, fmt.Sprintf(
				"failed %d times within %v while the target took other events, last: %s",
				first.failed, since.Round(time.Second), r.Reason))
		}
	}
	s.postpone(p, now.Add(s.jitter.backoff(int(x.tries))))
	return store.Mark{}
}

// postpone puts the entry in flight back, to be sent at the given time.
func (s *Schedule) postpone(p *problem, at time.Time) {
	s.problems.ensureExtra(p).notBefore = at.UnixNano()
	s.put(p, later)
}

// Quarantine puts the entry in flight back because the store cannot read it. It is tried again
// after [QuarantineFor], as the store may be repaired. Only later entries of its problem wait for
// it. It does not expire: a dead letter needs an entry that can be read.
func (s *Schedule) Quarantine(t Ticket, now time.Time) {
	x := s.problems.ensureExtra(t.problem)
	x.notBefore, x.row = now.Add(QuarantineFor).UnixNano(), max(x.row, stubborn)
	s.put(t.problem, quarantined)
}

// Settle removes the entry in flight, once its outcome is durable.
func (s *Schedule) Settle(t Ticket, m store.Mark) {
	p := t.problem
	s.problems.apply(p, m)
	s.count(&p.first, -1)
	s.problems.drop(p)
	p.successes = s.breaker.successes
	if p.extra != 0 {
		x := s.problems.ensureExtra(p)
		x.reset()
		if p.first.seq > x.now { // it was sent
			x.now = 0
		}
	}
	s.put(p, due)
}

// Expired takes up to limit entries in flight that are older than the maximum age.
// [Schedule.ExpiredMark] says how each ends.
func (s *Schedule) Expired(now time.Time, limit int) (tickets []Ticket) {
	s.endWaits(now)
	for p := s.eldest(); p != nil && len(tickets) < limit; p = s.eldest() {
		if now.UnixNano()-p.first.kept <= int64(s.policy.MaxAge) {
			break
		}
		tickets = append(tickets, s.take(p))
	}
	return tickets
}

// ExpiredMark returns the mark that ends an entry of [Schedule.Expired].
func (s *Schedule) ExpiredMark(t Ticket, problem, reason string) store.Mark {
	if !s.IsRepeat(t) {
		return t.Mark(problem, store.Dead, reason)
	}
	t.item.doubt = true // it was delivered, and not sent a second time
	return t.Mark(problem, store.Delivered, "")
}

// Expiry returns when the next entry expires, or the zero time if none can.
func (s *Schedule) Expiry() time.Time {
	if p := s.eldest(); p != nil {
		return moment(p.first.kept).Add(s.policy.MaxAge)
	}
	return time.Time{}
}

// eldest returns the problem with the oldest entry that can expire, or nil.
func (s *Schedule) eldest() *problem {
	eldest := s.due.oldest()
	for i := range s.byAge {
		eldest = elder(eldest, s.byAge[i].first())
	}
	return eldest
}
