package relaytest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A History is what happened to the entries of one lane. All times must be of one clock.
type History struct {
	// Accepted are the entries in the order of acceptance.
	Accepted []Accepted
	// Attempts are the requests. Check sorts them by Start and keeps the order of those that start
	// at the same time.
	Attempts []Attempt
	// Settled are the recorded outcomes, those of one entry in the order of recording. Check reads
	// Seq or ID, Problem, Outcome, Reason and At.
	Settled []store.Settlement
	// Ends is what the target shows at the end, by problem key, where it is known: a target may
	// handle a request later than it answers. If it shows nothing, use StateRecovered.
	Ends map[string]guance.State
	// Unfinished says that the run ended before the lane had settled everything. Entries may be
	// pending, and their problems need not have converged.
	Unfinished bool
}

// An Accepted is an entry that a lane accepted.
//
// A test that sees sequence numbers, such as one that intercepts the store, sets Seq. A sender does
// not see them: it leaves Seq zero in all of them. Then ID names the entry, here, in attempts and
// in settlements; their sequence numbers are ignored, the order of the slice counts, and a later
// entry with the same ID is a duplicate.
type Accepted struct {
	Seq     uint64
	ID      string // as relay.EventID
	Problem string
	State   guance.State
	Level   guance.Level
	// Time is the time of the event according to Guance; zero if it gives none.
	Time time.Time
	// At is when it was stored, or when the webhook was answered if only that is known.
	At time.Time
	// Sticky says that the lane did not want the event, and got it because it held the problem, see
	// [store.Entry]. The body of an Issue or Incident is not sticky: the lane that has its problem
	// wants it.
	Sticky bool
	// Unsure says that the sender got no answer, as the process died. It may have an outcome or
	// none.
	Unsure bool
}

// Told returns what a sender knows of an event that was accepted at a time: all but Seq. The sender
// is the source without a name.
func Told(e *guance.Event, problem string, at time.Time) Accepted {
	return Accepted{ID: relay.EventID("", e), Problem: problem, State: e.State(), Level: e.Level(),
		Time: e.Time(), At: at}
}

// Settled reads the outcomes of the problems of accepted from a store, for [History.Settled]. The
// store must not have deleted any by age or number.
func Settled(
	ctx context.Context, db store.Store, lane string, accepted []Accepted,
) ([]store.Settlement, error) {
	var all []store.Settlement
	seen := make(map[string]bool)
	for _, a := range accepted {
		if seen[a.Problem] {
			continue
		}
		seen[a.Problem] = true
		settled, err := db.History(ctx, lane, a.Problem)
		if err != nil {
			return nil, fmt.Errorf("relaytest: the history of %q in lane %q: %w", a.Problem, lane,
				err)
		}
		all = append(all, settled...)
	}
	return all, nil
}

// Rules are the settings of the lane. A nil *Rules and a zero field mean the defaults of
// relay.SinkOptions.
type Rules struct {
	// Every says that the lane sends each event: none may be superseded.
	Every bool
	// PerMinute is the number of attempts allowed in any Window; zero means 120, and negative no
	// limit.
	PerMinute int
	// Window is the time in which PerMinute counts; zero means 60 s.
	Window time.Duration
	// Late bounds which events count as late. An event that is older than the newest of its problem
	// by up to Late was overtaken on its way, and is superseded. Zero means 10 min.
	Late time.Duration
	// MaxAge is the age at which an entry may die although it was only throttled; zero means 72 h.
	MaxAge time.Duration
	// AgedShare: one send in so many may go to the entry that waited longest; zero means 8.
	AgedShare int
	// InFlight is how many attempts may begin after an entry was accepted, because the lane chose
	// them before it read the entry, or with it and the disk was faster for them. Zero means twice
	// [relay.DefaultConcurrency]. A process that reads its entries late, or a sink that sends
	// several requests for one delivery, needs more.
	InFlight int
}

func (r *Rules) withDefaults() Rules {
	var d Rules
	if r != nil {
		d = *r
	}
	d.PerMinute = cmp.Or(d.PerMinute, 120)
	d.Window = cmp.Or(d.Window, time.Minute)
	d.Late = cmp.Or(d.Late, 10*time.Minute)
	d.MaxAge = cmp.Or(d.MaxAge, 72*time.Hour)
	d.AgedShare = cmp.Or(d.AgedShare, 8)
	d.InFlight = cmp.Or(d.InFlight, 2*relay.DefaultConcurrency)
	return d
}

// A Violation is a broken promise.
type Violation struct {
	Promise int    // its number in the documentation of package relay
	Problem string // the problem key; empty if no problem is meant
	Seq     uint64 // the entry, 0 if none is meant; in a history of a sender its place, from 1
	Text    string
}

// Error names the promise, the problem and the entry.
func (v *Violation) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "promise %d is broken", v.Promise)
	if v.Problem != "" {
		fmt.Fprintf(&b, " for problem %q", v.Problem)
	}
	if v.Seq != 0 {
		fmt.Fprintf(&b, " by entry %d", v.Seq)
	}
	return b.String() + ": " + v.Text
}

// Check tests promises 2 to 6. It returns the first *[Violation] that it finds, by promise and then
// by time, or nil. Any other error means that the history contradicts itself and was not tested.
// Check changes nothing.
//
// Promise 2, nothing vanishes. Each entry has one outcome. Only dead may be followed by another, as
// a dead letter can be replayed; then the last one counts. Dead and ignored have a reason. A
// superseded entry was late, or its problem has a newer event with a state in the lane, or it is
// sticky. The target took what is delivered. Nothing is sent or settled that was not accepted, or
// sent again after it was delivered. A sticky entry is sent if it ends or changes what the target
// shows, and otherwise superseded. This is not tested if it was replayed, or if an older event of
// the problem died.
//
// Promise 3, never a stale state after a newer one. No attempt of a problem begins after an attempt
// of a later entry has begun, or while one of another entry is in flight. The same entry may be
// sent again. A superseded entry was never sent.
//
// Promise 4, it converges. The target shows what it took last. If the answer of an attempt is
// unknown, it may show that too. It should show the last event of the problem with a state, leaving
// out late, ignored and dead events and those superseded by a dead one. It should show nothing if
// that event is sticky and was superseded before the lane sent anything. The two agree in state
// and, for a problem, in level. Showing nothing counts as a recovery. The target may also show a
// dead entry that is newer. Ends must agree in state as well.
//
// Promise 5, the budget is kept. In no half-open span of one Window do more than PerMinute attempts
// begin. No entry younger than MaxAge is dead that was only ever throttled.
//
// Promise 6, the worst news travels first. It is tested for an entry with StateProblem whose
// problem, when it was accepted, had nothing pending and nothing shown. The time from then to the
// next attempt of the problem, or to the end of the history, counts. Of n attempts that begin in
// this time at most n/AgedShare + 1 + InFlight may be of lower rank. An attempt has the same or a
// higher rank if its problem is not shown yet and has, in this entry or a later one, a worse level,
// or the same level and an earlier acceptance. If later events of the waiting problem arrive, the
// lowest of their levels and the latest of their numbers count. A recovery ends the test.
func (h *History) Check(rules *Rules) error {
	c, err := h.index(rules.withDefaults())
	if err != nil {
		return fmt.Errorf("relaytest: the history contradicts itself and was not tested: %w", err)
	}
	for _, promise := range []func(*checker) *Violation{
		(*checker).vanished, (*checker).stale, (*checker).resent, (*checker).misplaced,
		(*checker).diverged, (*checker).overspent, (*checker).delayed,
	} {
		if v := promise(c); v != nil {
			return v
		}
	}
	return nil
}

// Timeline returns what happened to a problem, one line for each step, in order of time.
func (h *History) Timeline(problem string) string {
	type line struct {
		at   time.Time
		text string
	}
	var lines []line
	for _, a := range h.Accepted {
		if a.Problem == problem {
			lines = append(lines, line{a.At, fmt.Sprintf("seq %d accepted: %v %v, of %s", a.Seq,
				a.State, a.Level, a.Time.UTC().Format(clock))})
		}
	}
	for _, a := range h.Attempts {
		if a.Problem == problem {
			text := fmt.Sprintf("seq %d on the wire: %v %v, %v", a.Seq, a.State, a.Level, a.Answer)
			if !a.End.IsZero() {
				text += fmt.Sprintf(" after %v", a.End.Sub(a.Start))
			}
			lines = append(lines, line{a.Start, text})
		}
	}
	for _, s := range h.Settled {
		if s.Problem == problem {
			lines = append(lines,
				line{s.At, strings.TrimSuffix(fmt.Sprintf("seq %d recorded: %v, %s", s.Seq,
					s.Outcome, s.Reason), ", ")})
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.at.Compare(b.at) })
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%s %s\n", l.at.UTC().Format(clock), l.text)
	}
	return b.String()
}

// A checker is a history with its parts joined.
type checker struct {
	Rules
	unfinished bool
	ends       map[string]guance.State
	accepted   []*entry // in order
	attempts   []*attempt
	problems   map[string]*problem
	keys       []string // of problems, in order of first acceptance
	orphans    []string // attempts and settlements of entries that were never accepted
}

// An entry is an accepted entry with its attempts and settlements.
type entry struct {
	Accepted
	late     bool // it came after a newer event of the problem
	maybe    bool // it is late if ignored events count
	attempts []*attempt
	settled  []store.Settlement
}

// An attempt is an attempt with its entry and its place in the order of time.
type attempt struct {
	Attempt
	entry *entry
	place int
}

// A problem has the entries and attempts of one problem key.
type problem struct {
	entries  []*entry
	attempts []*attempt
}

// outcome returns the last outcome; 0 if e is pending.
func (e *entry) outcome() store.Outcome {
	if len(e.settled) == 0 {
		return 0
	}
	return e.settled[len(e.settled)-1].Outcome
}

func (e *entry) stateful() bool { return e.State != guance.StateNeither }

// neverWas reports whether e was not accepted after all: nothing happened to it in a finished run.
func (e *entry) neverWas() bool { return e.Unsure && len(e.settled) == 0 && len(e.attempts) == 0 }

// index joins the three parts of a history.
func (h *History) index(rules Rules) (*checker, error) {
	c := &checker{Rules: rules, unfinished: h.Unfinished, ends: h.Ends,
		problems: make(map[string]*problem)}
	told := len(h.Accepted) > 0
	for _, a := range h.Accepted {
		told = told && a.Seq == 0
	}
	bySeq, byID := make(map[uint64]*entry), make(map[string]*entry)
	for _, a := range h.Accepted {
		if a.ID != "" && byID[a.ID] != nil && told {
			continue // a duplicate
		}
		switch {
		case told && a.ID == "":
			return nil, fmt.Errorf("an accepted entry of problem %q has neither sequence number "+
				"nor ID", a.Problem)
		case told:
			a.Seq = uint64(len(c.accepted) + 1)
		case a.Seq == 0:
			return nil, fmt.Errorf("entry %q has no sequence number and others do", a.ID)
		case bySeq[a.Seq] != nil:
			return nil, fmt.Errorf("two entries have the sequence number %d", a.Seq)
		}
		e := &entry{Accepted: a}
		bySeq[a.Seq] = e
		if a.ID != "" {
			byID[a.ID] = e
		}
		c.accepted = append(c.accepted, e)
	}
	slices.SortFunc(c.accepted, func(a, b *entry) int { return cmp.Compare(a.Seq, b.Seq) })
	find := func(seq uint64, id string) *entry {
		if seq == 0 || told {
			return byID[id]
		}
		return bySeq[seq]
	}
	for _, e := range c.accepted {
		s := c.problems[e.Problem]
		if s == nil {
			s = &problem{}
			c.problems[e.Problem] = s
			c.keys = append(c.keys, e.Problem)
		}
		s.entries = append(s.entries, e)
	}

	for i := range h.Attempts {
		a := &attempt{Attempt: h.Attempts[i]}
		if a.Start.IsZero() || !a.End.IsZero() && a.End.Before(a.Start) {
			return nil, fmt.Errorf("attempt %v ends before it begins, or never begins", a.Attempt)
		}
		c.attempts = append(c.attempts, a)
	}
	slices.SortStableFunc(c.attempts, func(a, b *attempt) int { return a.Start.Compare(b.Start) })
	for i, a := range c.attempts {
		a.place = i
		a.entry = find(a.Seq, a.ID)
		if a.entry == nil {
			c.orphans = append(c.orphans, fmt.Sprintf("%v (%s) was sent and never accepted",
				a.Attempt, a.ID))
			continue
		}
		if a.Problem != a.entry.Problem {
			return nil, fmt.Errorf("entry %d is of problem %q, and was sent as of %q", a.entry.Seq,
				a.entry.Problem, a.Problem)
		}
		a.entry.attempts = append(a.entry.attempts, a)
		s := c.problems[a.Problem]
		s.attempts = append(s.attempts, a)
	}

	for _, s := range h.Settled {
		e := find(s.Seq, s.ID)
		if e == nil {
			c.orphans = append(c.orphans, fmt.Sprintf("%v was recorded of entry %d (%s) of "+
				"problem %q, which was never accepted", s.Outcome, s.Seq, s.ID, s.Problem))
			continue
		}
		if s.Problem != e.Problem {
			return nil, fmt.Errorf("entry %d is of problem %q, and was settled as of %q", e.Seq,
				e.Problem, s.Problem)
		}
		if s.Outcome == 0 {
			return nil, errors.New("a settlement has no outcome")
		}
		e.settled = append(e.settled, s)
	}
	for _, s := range c.problems {
		if !c.unfinished {
			s.entries = slices.DeleteFunc(s.entries, (*entry).neverWas)
		}
		c.markLate(s)
	}
	return c, nil
}

// markLate finds the events that are older than one that was accepted before them. Events that are
// ignored, or dead because the lane was full, may count or not: a lane need not remember their
// times.
func (c *checker) markLate(s *problem) {
	if c.Every {
		return
	}
	var newest, newestAll time.Time
	overtaken := func(t, by time.Time) bool {
		return !t.IsZero() && t.Before(by) && by.Sub(t) <= c.Late
	}
	for _, e := range s.entries {
		if !e.stateful() {
			continue
		}
		if e.late = overtaken(e.Time, newest); e.late {
			continue
		}
		e.maybe = overtaken(e.Time, newestAll) && e.outcome() == store.Superseded
		if e.Time.After(newestAll) {
			newestAll = e.Time
		}
		if e.Time.After(newest) && e.outcome() != store.Ignored && !e.laneFull() {
			newest = e.Time
		}
	}
}
