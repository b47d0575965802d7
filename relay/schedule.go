package relay

import (
	"cmp"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

const (
	// agedShare: one send in so many goes to whatever has waited longest, so that nothing starves. A new critical problem
	// therefore waits for the worse or older news of its level, one aged send in every eight, and what is in flight.
	agedShare = 8
	// lateWindow: an event that is older than the newest of its problem by no more than this was overtaken on its way here
	// and is stale. A larger difference is a clock or a replayed file, and then the order of arrival is the better witness.
	lateWindow = 10 * time.Minute
)

// A schedule decides which entry of a lane goes next. It is a state machine without clock, I/O or goroutine: what happened
// and the time come in, marks to make durable come out.
type schedule struct {
	every    bool // each event is wanted: no superseding
	problems map[string]*problem
	ready    rankHeap // may be sent now, worst news first
	aged     ageHeap  // the same problems, longest waiting first
	waiting  timeHeap // backing off
	sends    int
	pending  int
}

// A problem is one problem's unsettled entries, oldest first; only the first can have been on the wire.
type problem struct {
	key       string
	queue     []*Entry
	record    Record
	newest    time.Time // newest event time accepted
	busy      bool      // the first entry is in flight
	attempts  int       // failed attempts of the first entry
	notBefore time.Time
	at        [3]int // places in the heaps plus one; 0 is absent
}

func newSchedule(every bool) *schedule {
	return &schedule{every: every, problems: make(map[string]*problem)}
}

// known reports whether the schedule already holds the problem, and so needs no record of it.
func (s *schedule) known(key string) bool { return s.problems[key] != nil }

// add takes an entry that was read from the store. The marks that it returns must be made durable together: a trigger and
// its recovery that cancel each other would otherwise leave a trigger alone after a crash between the two.
func (s *schedule) add(e *Entry, record Record) []Mark {
	p := s.problems[e.Problem]
	if p == nil {
		p = &problem{key: e.Problem, record: record, newest: record.Time}
		s.problems[e.Problem] = p
	}
	defer s.place(p)
	if s.every {
		s.push(p, e)
		return nil
	}
	if !e.Begun && e.Seq < p.record.Seq {
		return []Mark{superseded(e, "a newer event of the problem has already been sent")}
	}
	if e.State == guance.StateNeither {
		s.push(p, e)
		return nil
	}
	if late := p.newest.Sub(e.Time); !e.Begun && !e.Time.IsZero() && late > 0 && late <= lateWindow {
		return []Mark{superseded(e, "it arrived after a newer event of the problem")}
	}
	if e.Time.After(p.newest) {
		p.newest = e.Time
	}
	var marks []Mark
	kept := p.queue[:0]
	for _, old := range p.queue {
		if old.Begun { // it may have been on the wire: it stays in front
			kept = append(kept, old)
			continue
		}
		marks = append(marks, superseded(old, "a newer event of the problem took its place"))
		s.pending--
	}
	clear(p.queue[len(kept):])
	p.queue = kept
	if len(marks) > 0 && e.State == guance.StateRecovered && len(p.queue) == 0 && !p.record.Open {
		return append(marks, superseded(e, "the problem recovered before it was sent"))
	}
	s.push(p, e)
	return marks
}

func superseded(e *Entry, reason string) Mark { return e.mark(Superseded, reason) }

func (e *Entry) mark(o Outcome, reason string) Mark {
	return Mark{Seq: e.Seq, Problem: e.Problem, State: e.State, Level: e.Level, Time: e.Time, Outcome: o, Reason: reason}
}

func (s *schedule) push(p *problem, e *Entry) {
	p.queue = append(p.queue, e)
	s.pending++
}

// next chooses the entry to send at now and takes it in flight.
func (s *schedule) next(now time.Time) *Entry {
	s.wakeUp(now)
	if len(s.ready) == 0 {
		return nil
	}
	s.sends++
	p := s.ready[0]
	if s.sends%agedShare == 0 {
		p = s.aged[0]
	}
	p.busy = true
	s.place(p)
	e := p.queue[0]
	e.Begun = true
	p.record = p.record.Apply(e.mark(0, ""))
	return e
}

// any reports whether something could be sent at now.
func (s *schedule) any(now time.Time) bool {
	s.wakeUp(now)
	return len(s.ready) > 0
}

// wake returns when the next problem has waited long enough.
func (s *schedule) wake() (time.Time, bool) {
	if len(s.waiting) == 0 {
		return time.Time{}, false
	}
	return s.waiting[0].notBefore, true
}

func (s *schedule) wakeUp(now time.Time) {
	for len(s.waiting) > 0 && !s.waiting[0].notBefore.After(now) {
		p := s.waiting[0]
		p.notBefore = time.Time{}
		s.place(p)
	}
}

// settle ends the entry in flight.
func (s *schedule) settle(e *Entry) {
	p := s.problems[e.Problem]
	p.queue = slices.Delete(p.queue, 0, 1)
	p.busy, p.attempts, p.notBefore = false, 0, time.Time{}
	s.pending--
	s.place(p)
}

// retry gives the entry in flight back, to be sent again at the given time.
func (s *schedule) retry(e *Entry, at time.Time, failed bool) {
	p := s.problems[e.Problem]
	p.busy, p.notBefore = false, at
	if failed {
		p.attempts++
	}
	s.place(p)
}

// attempts returns how often the entry in flight has failed.
func (s *schedule) attempts(e *Entry) int { return s.problems[e.Problem].attempts }

// place puts a problem into the heaps it belongs to.
func (s *schedule) place(p *problem) {
	idle := !p.busy && len(p.queue) > 0
	due := idle && p.notBefore.IsZero()
	s.ready.place(p, due)
	s.aged.place(p, due)
	s.waiting.place(p, idle && !due)
	if len(p.queue) == 0 && !p.busy {
		delete(s.problems, p.key)
	}
}

// rank orders problems: new ones by level, then recoveries of what was sent, then updates and repeats by level.
func (p *problem) rank() int {
	e := p.queue[0]
	switch {
	case e.State == guance.StateProblem && !p.record.Open:
		return int(e.Level) + 100
	case e.State == guance.StateRecovered:
		return 50
	default:
		return int(e.Level)
	}
}

type (
	rankHeap []*problem
	ageHeap  []*problem
	timeHeap []*problem
)

func (h *rankHeap) place(p *problem, in bool) {
	place((*[]*problem)(h), p, 0, in, func(a, b *problem) bool {
		return cmp.Or(cmp.Compare(b.rank(), a.rank()), cmp.Compare(a.queue[0].Seq, b.queue[0].Seq)) < 0
	})
}

func (h *ageHeap) place(p *problem, in bool) {
	place((*[]*problem)(h), p, 1, in, func(a, b *problem) bool { return a.queue[0].Seq < b.queue[0].Seq })
}

func (h *timeHeap) place(p *problem, in bool) {
	place((*[]*problem)(h), p, 2, in, func(a, b *problem) bool { return a.notBefore.Before(b.notBefore) })
}
