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

// A History is what happened to the entries of one lane, which is one destination with one budget. Times must be of one clock.
type History struct {
	// Accepted are the entries in the order in which they were accepted.
	Accepted []Accepted
	// Attempts are the requests on the wire. They are put in the order of Start; those of one instant stay in the order given.
	Attempts []Attempt
	// Settled are the recorded outcomes, those of one entry in the order recorded. Only Seq or ID, Problem, Outcome, Reason and At
	// are read.
	Settled []store.Settlement
	// Ends is what the target shows at the end of each problem of which that is known, whatever it answered: it may have handled a request
	// later than it seemed. To show nothing is to show a recovery.
	Ends map[string]guance.State
	// Unfinished says that the run was stopped before the lane had settled everything: an entry may be pending, and a problem with
	// such an entry need not have converged.
	Unfinished bool
}

// An Accepted is an entry that a lane had to take.
//
// Who sees sequence numbers, such as a wrapped store, sets Seq. A sender sees none: it leaves Seq zero in all of them, and then ID
// names the entry here, in attempts and in settlements; sequence numbers there are not read, the order is that of the slice, and
// what has the ID of an earlier one is its duplicate.
type Accepted struct {
	Seq     uint64
	ID      string // as relay.EventID
	Problem string
	State   guance.State
	Level   guance.Level
	// Time is when Guance says that it happened; zero if it does not say.
	Time time.Time
	// At is when it was kept; the moment of the answer if only that is known.
	At time.Time
	// Unsure says that the sender never learned whether it was accepted, as the process died over it. It may have an outcome or none.
	Unsure bool
}

// Told returns what a sender knows of an event that a relay accepted at a time. It has no sequence number.
func Told(e *guance.Event, problem string, at time.Time) Accepted {
	return Accepted{ID: relay.EventID(e), Problem: problem, State: e.State(), Level: e.Level(), Time: e.Time(), At: at}
}

// Settled returns the outcomes that the store has of the problems of accepted, each once, for [History.Settled]. The store must
// not have forgotten any, as stores may.
func Settled(ctx context.Context, db store.Store, lane string, accepted []Accepted) ([]store.Settlement, error) {
	var all []store.Settlement
	seen := make(map[string]bool)
	for _, a := range accepted {
		if seen[a.Problem] {
			continue
		}
		seen[a.Problem] = true
		settled, err := db.History(ctx, lane, a.Problem)
		if err != nil {
			return nil, fmt.Errorf("relaytest: the history of %q in lane %q: %w", a.Problem, lane, err)
		}
		all = append(all, settled...)
	}
	return all, nil
}

// Rules are what a lane was told to keep. A nil *Rules and a zero field mean the defaults of relay.SinkOptions.
type Rules struct {
	// Every says that the lane wants each event: nothing may be superseded.
	Every bool
	// PerMinute is the number of attempts allowed in any Window; zero means 120, and negative no limit.
	PerMinute int
	// Window is the span in which they are counted; zero means 60 s.
	Window time.Duration
	// Late is how much older than the newest event of its problem an event may be to count as overtaken on its way, and so as stale;
	// zero means 10 min. An older one is taken at its word.
	Late time.Duration
	// MaxAge is the age at which an entry may be given up although it was only ever throttled; zero means 72 h.
	MaxAge time.Duration
	// AgedShare: one send in so many may go to whatever waited longest, whatever its level; zero means 8.
	AgedShare int
	// InFlight is how many sends may begin after an entry was accepted that were chosen before the lane knew of it, or together with it and
	// passed the disk sooner; zero means twice [relay.DefaultConcurrency], a full lane of each. A process that reads its entries late, or a
	// sink that sends several requests for one delivery, needs more.
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

// A Violation is a promise that was not kept.
type Violation struct {
	Promise int    // its number in the comment of package relay
	Problem string // the problem key; empty if it is not about one
	Seq     uint64 // the entry, 0 if it is not about one; for a sender's history its place, from 1
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

// Check decides promises 2 to 6 and returns the first *[Violation] that it finds, in the order of the promises and for each
// in the order of acceptance or of the wire; nil if there is none. Another error means that the history contradicts itself, and
// that nothing was decided. Check changes nothing.
//
// Promise 2, nothing vanishes. Each entry has one outcome. Only dead is followed by another, as a dead letter can be replayed, and
// then the last counts. Dead and ignored have a reason. A superseded problem has a newer event with a state in its lane, or was late;
// what was delivered was taken. Nothing is sent or settled that was not accepted, or sent again once it was delivered.
//
// Promise 3, never a stale state after a newer one. No attempt of a problem begins once an attempt of a later entry has, or while
// one of another entry goes on. The same entry may be sent again. What was superseded was never on the wire.
//
// Promise 4, it converges. What the target shows is what it took last; an attempt whose answer is unknown leaves both possible. What
// Guance last said is the last event of the problem with a state, save what was late, ignored or dead, or gave its place to what is dead.
// The two agree in state and, for a problem, in level; to show nothing is to show a recovery. A dead entry newer than what was last said
// may show instead. Where Ends says what the target shows, that has to agree in state as well.
//
// Promise 5, the budget is kept. No half-open span of one Window holds the beginnings of more than PerMinute attempts. No entry younger
// than MaxAge is dead that was only ever throttled.
//
// Promise 6, the worst news travels first. It is judged for an entry with a state of problem whose problem had nothing unsettled and
// nothing shown when it was accepted, up to the problem's next attempt, or to the end of the history. Of n attempts in this time at most
// n/AgedShare + 1 + InFlight may be of lower rank. An attempt is not of lower rank if it tells the target of a problem that it does not
// show yet, at a worse level, or at the same and accepted earlier, or if it stands in the way of such news of its own problem. Where
// later events of the problem arrive while it waits, the lowest level and the latest place count, and a recovery ends the matter.
func (h *History) Check(rules *Rules) error {
	c, err := h.index(rules.withDefaults())
	if err != nil {
		return fmt.Errorf("relaytest: the history contradicts itself, nothing was decided: %w", err)
	}
	for _, promise := range []func(*checker) *Violation{
		(*checker).vanished, (*checker).stale, (*checker).resent, (*checker).diverged, (*checker).overspent, (*checker).delayed,
	} {
		if v := promise(c); v != nil {
			return v
		}
	}
	return nil
}

// Story tells what happened to a problem, one line for each thing in the order of time, for a message to a human.
func (h *History) Story(problem string) string {
	type line struct {
		at   time.Time
		text string
	}
	var lines []line
	for _, a := range h.Accepted {
		if a.Problem == problem {
			lines = append(lines, line{a.At, fmt.Sprintf("seq %d accepted: %v %v, of %s", a.Seq, a.State, a.Level, a.Time.UTC().Format(clock))})
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
			lines = append(lines, line{s.At, strings.TrimSuffix(fmt.Sprintf("seq %d recorded: %v, %s", s.Seq, s.Outcome, s.Reason), ", ")})
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.at.Compare(b.at) })
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%s %s\n", l.at.UTC().Format(clock), l.text)
	}
	return b.String()
}

// A checker is a history in a form that can be asked.
type checker struct {
	Rules
	unfinished bool
	ends       map[string]guance.State
	accepted   []*entry // in order
	attempts   []*attempt
	problems   map[string]*story
	keys       []string // of problems, in order of first acceptance
	strays     []string // what was sent or settled without being accepted
}

// An entry is what happened to one accepted entry.
type entry struct {
	Accepted
	late     bool // a newer event of the problem came before it
	maybe    bool // it is late if what was ignored before it counts
	attempts []*attempt
	settled  []store.Settlement
}

// An attempt knows its entry and its place on the wire.
type attempt struct {
	Attempt
	entry *entry
	place int
}

// A story is one problem.
type story struct {
	entries  []*entry
	attempts []*attempt
}

// outcome is the last outcome recorded; 0 is pending.
func (e *entry) outcome() store.Outcome {
	if len(e.settled) == 0 {
		return 0
	}
	return e.settled[len(e.settled)-1].Outcome
}

func (e *entry) stateful() bool { return e.State != guance.StateNeither }

// neverWas reports, of a run that came to its end, that an entry of which the sender was not sure was not accepted.
func (e *entry) neverWas() bool { return e.Unsure && len(e.settled) == 0 && len(e.attempts) == 0 }

// index joins the three parts of a history.
func (h *History) index(rules Rules) (*checker, error) {
	c := &checker{Rules: rules, unfinished: h.Unfinished, ends: h.Ends, problems: make(map[string]*story)}
	told := len(h.Accepted) > 0
	for _, a := range h.Accepted {
		told = told && a.Seq == 0
	}
	bySeq, byID := make(map[uint64]*entry), make(map[string]*entry)
	for _, a := range h.Accepted {
		if a.ID != "" && byID[a.ID] != nil && told {
			continue // the sender was answered twice for one event
		}
		switch {
		case told && a.ID == "":
			return nil, fmt.Errorf("an accepted entry of problem %q has neither sequence number nor ID", a.Problem)
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
			s = &story{}
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
			c.strays = append(c.strays, fmt.Sprintf("%v (%s) was sent and never accepted", a.Attempt, a.ID))
			continue
		}
		if a.Problem != a.entry.Problem {
			return nil, fmt.Errorf("entry %d is of problem %q, and was sent as of %q", a.entry.Seq, a.entry.Problem, a.Problem)
		}
		a.entry.attempts = append(a.entry.attempts, a)
		s := c.problems[a.Problem]
		s.attempts = append(s.attempts, a)
	}

	for _, s := range h.Settled {
		e := find(s.Seq, s.ID)
		if e == nil {
			c.strays = append(c.strays, fmt.Sprintf("%v was recorded of entry %d (%s) of problem %q, which was never accepted", s.Outcome, s.Seq, s.ID, s.Problem))
			continue
		}
		if s.Problem != e.Problem {
			return nil, fmt.Errorf("entry %d is of problem %q, and was settled as of %q", e.Seq, e.Problem, s.Problem)
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

// markLate finds the events that are older than one that was accepted before them. Whether what was ignored makes another late is
// open: a lane that knows of it only as settled need not remember its time.
func (c *checker) markLate(s *story) {
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
		if e.Time.After(newest) && e.outcome() != store.Ignored {
			newest = e.Time
		}
	}
}
