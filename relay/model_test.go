package relay

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/guance-relay/guance-relay/guance"
)

// model is the schedule again, slow and obvious: lists that are searched from one end to the other. Beside it stand a store that forgets
// nothing and a target that shows what it was told.
type model struct {
	t        *rapid.T
	s        *schedule
	now      time.Time
	seq      uint64
	entries  []*Entry // unsettled, in sequence
	records  map[string]Record
	outcomes map[uint64]Outcome
	flying   []ticket
	wait     map[string]time.Time // backing off until
	tries    map[string]int       // failures in a row
	sent     map[string]uint64    // the newest entry on the wire
	shows    map[string]guance.State
	last     map[string]*Entry // what was said last
	sends    int
}

func (m *model) restart() {
	m.s = newSchedule(policy{maxAttempts: 1 << 30, maxAge: time.Hour}, func(n int64) int64 { return n - 1 })
	m.flying, m.wait, m.tries, m.sends = nil, make(map[string]time.Time), make(map[string]int), 0
	for _, e := range slices.Clone(m.entries) {
		m.add(e)
	}
}

func (m *model) add(e *Entry) {
	marks := m.s.add(e, m.records[e.Problem], m.now)
	for _, mark := range marks {
		if m.outcomes[mark.Seq] != 0 {
			m.t.Fatalf("entry %d ends a second time", mark.Seq)
		}
		m.settle(mark)
	}
}

func (m *model) settle(mark Mark) {
	i := slices.IndexFunc(m.entries, func(e *Entry) bool { return e.Seq == mark.Seq })
	e := m.entries[i]
	if mark.Outcome == Superseded && e.Begun {
		m.t.Fatalf("entry %d was on the wire and is superseded", e.Seq)
	}
	m.outcomes[e.Seq] = mark.Outcome
	m.records[e.Problem] = m.records[e.Problem].Apply(mark)
	m.entries = slices.Delete(m.entries, i, i+1)
}

func (m *model) queue(problem string) (q []*Entry) {
	for _, e := range m.entries {
		if e.Problem == problem {
			q = append(q, e)
		}
	}
	return q
}

// rank is the order of the package comment, read off the queue.
func (m *model) rank(q []*Entry) (class int, level guance.Level) {
	shown := m.records[q[0].Problem].Shown
	for _, e := range q {
		level = max(level, e.Level)
		switch {
		case e.State == guance.StateRecovered:
			class, shown = max(class, 2), guance.LevelNone
		case e.State == guance.StateProblem && shown == guance.LevelNone:
			class, shown = 3, e.Level
		case e.State == guance.StateProblem && shown != e.Level:
			class, shown = max(class, 1), e.Level
		}
	}
	if m.tries[q[0].Problem] >= stubborn {
		class -= 10
	}
	return class, level
}

// due are the heads of the problems that may be sent now, best first.
func (m *model) due() (heads []*Entry) {
	for _, e := range m.entries {
		q := m.queue(e.Problem)
		busy := slices.ContainsFunc(m.flying, func(t ticket) bool { return t.item.seq == q[0].Seq })
		if q[0] == e && !busy && !m.wait[e.Problem].After(m.now) {
			heads = append(heads, e)
		}
	}
	slices.SortStableFunc(heads, func(a, b *Entry) int {
		ac, al := m.rank(m.queue(a.Problem))
		bc, bl := m.rank(m.queue(b.Problem))
		return (bc*100 + int(bl)) - (ac*100 + int(al))
	})
	return heads
}

func (m *model) send(t *rapid.T) {
	if ok, _ := m.s.ready(m.now); !ok {
		if len(m.due()) > 0 && !m.now.Before(m.s.breaker.probe) {
			t.Fatalf("nothing is ready although entry %d is due", m.due()[0].Seq)
		}
		t.Skip("nothing is ready")
	}
	heads := m.due()
	if len(heads) == 0 {
		t.Fatal("something is ready and nothing is due")
	}
	want := heads[0]
	if m.sends++; m.sends%agedShare == 0 {
		want = slices.MinFunc(heads, func(a, b *Entry) int { return int(a.Seq) - int(b.Seq) })
	}
	tk, _ := m.s.next(m.now)
	if tk.item.seq != want.Seq {
		t.Fatalf("entry %d is sent, want %d", tk.item.seq, want.Seq)
	}
	if want.Seq < m.sent[want.Problem] {
		t.Fatalf("entry %d goes out after entry %d of its problem", want.Seq, m.sent[want.Problem])
	}
	m.sent[want.Problem] = want.Seq
	want.Begun = true
	m.records[want.Problem] = m.records[want.Problem].Apply(itemOf(want).markOf(want.Problem, 0, m.now))
	m.flying = append(m.flying, tk)
	if want.State != guance.StateNeither && rapid.Bool().Draw(t, "arrives before anything else") {
		m.shows[want.Problem] = want.State
	}
}

func (i item) markOf(problem string, o Outcome, at time.Time) Mark { return i.mark(problem, o, "", at) }

func (m *model) answer(t *rapid.T) {
	if len(m.flying) == 0 {
		t.Skip("nothing is in flight")
	}
	i := rapid.IntRange(0, len(m.flying)-1).Draw(t, "which")
	err := rapid.SampledFrom([]error{nil, nil, errors.New("503"), RetryAfter(errors.New("429"), 0), Permanent(errors.New("400"))}).Draw(t, "answer")
	m.answered(t, m.flying[i], err)
	m.flying = slices.Delete(m.flying, i, i+1)
}

func (m *model) answered(t *rapid.T, tk ticket, err error) {
	e := m.entries[slices.IndexFunc(m.entries, func(e *Entry) bool { return e.Seq == tk.item.seq })]
	if err == nil && e.State != guance.StateNeither {
		m.shows[e.Problem] = e.State
	}
	o, _ := m.s.answered(tk, judge(err), m.now)
	switch {
	case err == nil && o != Delivered, err != nil && judge(err).outcome == Dead && o != Dead:
		t.Fatalf("the answer %v makes entry %d %v", err, e.Seq, o)
	case o != 0:
		mark := tk.item.mark(e.Problem, o, "", m.now)
		m.s.settle(tk, mark)
		m.settle(mark)
		delete(m.wait, e.Problem)
		delete(m.tries, e.Problem)
	default:
		if !judge(err).throttled {
			m.tries[e.Problem]++
		}
		m.wait[e.Problem] = moment(m.s.until(tk.problem))
	}
	if o != 0 && !m.s.breaker.down() { // what failed because of the target is due again
		for problem := range m.wait {
			if p := m.s.problems.find(idOf(problem)); p == nil || m.s.until(p) == 0 {
				delete(m.wait, problem)
				delete(m.tries, problem)
			}
		}
	}
}

func (m *model) accept(t *rapid.T) {
	m.seq++
	e := &Entry{
		Seq: m.seq, Problem: fmt.Sprint("p", rapid.IntRange(0, 5).Draw(t, "problem")), Accepted: m.now,
		State: rapid.SampledFrom([]guance.State{guance.StateProblem, guance.StateProblem, guance.StateRecovered, guance.StateNeither}).Draw(t, "state"),
	}
	if e.State != guance.StateRecovered {
		e.Level = guance.Level(rapid.IntRange(1, 6).Draw(t, "level"))
	}
	if rapid.Bool().Draw(t, "timed") {
		e.Time = m.now.Add(-time.Duration(rapid.IntRange(0, 15).Draw(t, "minutes late")) * time.Minute)
	}
	m.entries = append(m.entries, e)
	m.add(e)
	if m.outcomes[e.Seq] == 0 && e.State != guance.StateNeither {
		m.last[e.Problem] = e
	}
	if m.outcomes[e.Seq] == Superseded && e.State == guance.StateRecovered && m.last[e.Problem] != nil && m.outcomes[m.last[e.Problem].Seq] == Superseded {
		m.last[e.Problem] = e // a pair that cancelled each other
	}
}

func (m *model) check(t *rapid.T) {
	if m.s.pending != len(m.entries) {
		t.Fatalf("%d entries pending, want %d", m.s.pending, len(m.entries))
	}
	if got := m.s.oldest(); len(m.entries) > 0 {
		if want := m.entries[0].Accepted; !got.Equal(want) {
			t.Fatalf("the oldest is of %v, want %v", got, want)
		}
	}
	for seq := uint64(1); seq <= m.seq; seq++ {
		pending := slices.ContainsFunc(m.entries, func(e *Entry) bool { return e.Seq == seq })
		if pending == (m.outcomes[seq] != 0) {
			t.Fatalf("entry %d: pending %v and %v", seq, pending, m.outcomes[seq])
		}
	}
}

func (m *model) settleAll(t *rapid.T) {
	for _, tk := range m.flying {
		m.answered(t, tk, nil)
	}
	m.flying = nil
	for len(m.entries) > 0 {
		ok, at := m.s.ready(m.now)
		if !ok {
			if at.IsZero() {
				t.Fatalf("%d entries are pending and nothing will ever be ready", len(m.entries))
			}
			m.now = at
			continue
		}
		tk, _ := m.s.next(m.now)
		m.answered(t, tk, nil)
	}
	if m.s.problems.len != 0 || m.s.levels != [7]int{} {
		t.Fatalf("%d problems and levels %v are left of nothing", m.s.problems.len, m.s.levels)
	}
}

// Promises 2, 3, 4 and 6 of the policy alone, against every order of events, answers and crashes that rapid comes up with.
func TestScheduleModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{
			t: t, now: now, records: make(map[string]Record), outcomes: make(map[uint64]Outcome),
			sent: make(map[string]uint64), shows: make(map[string]guance.State), last: make(map[string]*Entry),
		}
		m.restart()
		t.Repeat(map[string]func(*rapid.T){
			"accept": m.accept,
			"send":   m.send,
			"answer": m.answer,
			"wait": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
			},
			"crash": func(*rapid.T) { m.restart() },
			"":      m.check,
		})
		m.settleAll(t)
		for problem, e := range m.last {
			shows := m.shows[problem]
			if m.outcomes[e.Seq] == Dead || shows == e.State || shows == guance.StateNeither && e.State == guance.StateRecovered {
				continue
			}
			t.Fatalf("problem %s: the target shows %v, and the last word was entry %d: %v (%v)", problem, shows, e.Seq, e.State, m.outcomes[e.Seq])
		}
	})
}
