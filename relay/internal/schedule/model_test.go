package schedule

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// model is a slow and simple schedule: it searches lists. It reads only decisions from the real
// one, and compares each with its own. It has a store that deletes nothing, and a target that
// handles requests at once or late.
type model struct {
	t        *rapid.T
	s        *Schedule
	now      time.Time
	seq      uint64
	entries  []*store.Entry // unsettled, in sequence
	records  map[string]store.Record
	outcomes map[uint64]store.Outcome
	sent     map[string]uint64 // the newest entry on the wire
	shows    map[string]shown
	late     []lateRequest
	unsure   map[string]bool     // what it shows is not promised
	last     map[string]lastWord // what was said last
	died     map[string]bool     // a state died, and none was delivered since

	// What a crash takes.
	flying      []flight
	wait        map[string]time.Time // backing off, or sent a second time, not before
	tries       map[string]int       // failures in a row
	rows        map[string]int       // the same, whatever others do
	unread      map[string]bool      // it waits because the store could not read the first entry
	urgent      map[string]uint64    // an operator sends this entry now
	counted     map[uint64]int       // failures that count, of an entry
	repeats     map[string]bool      // the first entry is a recovery that was taken once
	doubt       map[string]bool      // an answer was lost
	successes   int                  // answers that were no failures
	successesAt map[string]int       // successes when a failure would not have counted
	streak      int                  // failures in a row
	failedBy    string               // whose was the last
	probe       time.Time            // no attempt before, while the target counts as down
	sends       int
}

// A flight is an attempt, or the end of a recovery that is not sent a second time.
type flight struct {
	Ticket
	over bool
}

// shown is what the target shows of a problem. StateNeither: it has never shown it.
type shown struct {
	state guance.State
	level guance.Level
	late  bool // by a request that was handled late: the level is not promised
}

// A lastWord is the newest state that was not overtaken. If the lane did not want it, it decides
// the level of what the target shows, and whether the target shows it is as before.
type lastWord struct {
	*store.Entry
	shown  bool // the target showed the problem, or will do so by what was begun
	unsure bool // shown is not known: a state had died, or the last recovery may be undone
}

// A lateRequest is a trigger that the target has received and not handled.
type lateRequest struct {
	problem string
	level   guance.Level
	at      time.Time // zero until a recovery was taken
}

const (
	modelAttempts = 6
	modelMaxAge   = time.Hour
)

func (m *model) restart() {
	m.s = New(Policy{MaxAttempts: modelAttempts, MaxAge: modelMaxAge}, func(n int64) int64 {
		return n - 1
	})
	m.wait, m.tries, m.repeats, m.successesAt = make(map[string]time.Time), make(map[string]int),
		make(map[string]bool), make(map[string]int)
	m.flying, m.streak, m.failedBy, m.probe, m.successes, m.sends = nil, 0, "", time.Time{}, 0, 0
	m.counted, m.doubt = make(map[uint64]int), make(map[string]bool)
	m.rows, m.urgent = make(map[string]int), make(map[string]uint64)
	m.unread = make(map[string]bool)
	for problem, r := range m.records {
		m.doubt[problem] = r.Doubt
	}
	for _, e := range slices.Clone(m.entries) {
		m.counted[e.Seq] = e.Failed
		m.add(e)
	}
}

func (m *model) crash(t *rapid.T) {
	for _, f := range m.flying {
		if e := m.entry(f.item.seq); !f.over {
			m.lose(t, e)
		}
	}
	m.restart()
}

// lose may make the target handle a request later.
func (m *model) lose(t *rapid.T, e *store.Entry) {
	if e.State == guance.StateProblem && rapid.Bool().Draw(t, "handled late") {
		m.late = append(m.late, lateRequest{problem: e.Problem, level: e.Level})
	}
}

// takes makes the target handle a request now. It handles earlier ones within a minute from now.
func (m *model) takes(t *rapid.T, e *store.Entry) {
	if e.State == guance.StateNeither {
		return
	}
	m.shows[e.Problem] = shown{state: e.State, level: e.Level}
	for i := range m.late {
		if l := &m.late[i]; e.State == guance.StateRecovered && l.problem == e.Problem && l.at.IsZero() {
			l.at = m.now.Add(time.Duration(rapid.IntRange(0, 59).Draw(t, "seconds later")) * time.Second)
		}
	}
}

// pass moves the time on.
func (m *model) pass(to time.Time) {
	m.now = to
	m.late = slices.DeleteFunc(m.late, func(l lateRequest) bool {
		due := !l.at.IsZero() && !l.at.After(m.now)
		if due {
			m.shows[l.problem] = shown{guance.StateProblem, l.level, true}
		}
		return due
	})
}

func (m *model) entry(seq uint64) *store.Entry {
	return m.entries[slices.IndexFunc(m.entries, func(e *store.Entry) bool { return e.Seq == seq })]
}

func (m *model) add(e *store.Entry) {
	record := m.records[e.Problem]
	if e.Begun && e.State == guance.StateProblem { // as a lane does
		record.Doubt = true
		m.doubt[e.Problem] = true
	}
	if m.queue(e.Problem)[0] == e {
		m.successesAt[e.Problem] = m.successes
	}
	m.says(e)
	want := m.ended(e)
	marks, over := m.s.Add(e, record)
	var got []uint64
	for _, mark := range marks {
		got = append(got, mark.Seq)
		if mark.Outcome != store.Superseded {
			m.t.Fatalf("entry %d ends as %v", mark.Seq, mark.Outcome)
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		m.t.Fatalf("entry %d supersedes %v, want %v", e.Seq, got, want)
	}
	for _, mark := range marks {
		if m.outcomes[mark.Seq] != 0 {
			m.t.Fatalf("entry %d ends a second time", mark.Seq)
		}
		m.settle(mark)
	}
	cancels := m.repeats[e.Problem] && e.State != guance.StateNeither && m.outcomes[e.Seq] == 0 &&
		!e.Begun && !m.flies(m.queue(e.Problem)[0].Seq) && !m.quarantined(e.Problem)
	if cancels != (over != nil) {
		m.t.Fatalf("entry %d cancels that a recovery is sent a second time: %v, want %v", e.Seq,
			over != nil, cancels)
	}
	if over != nil {
		m.flying = append(m.flying, flight{*over, true})
	}
}

// before returns the entries of a problem that are older than e, those that were begun or others.
func (m *model) before(e *store.Entry, begun bool) (old []*store.Entry) {
	for _, o := range m.queue(e.Problem) {
		if o.Seq < e.Seq && o.Begun == begun {
			old = append(old, o)
		}
	}
	return old
}

// overtaken reports whether the sender made a newer state before, by ten minutes at most.
func (m *model) overtaken(e *store.Entry) bool {
	newest := m.records[e.Problem].Time
	for _, o := range m.queue(e.Problem) {
		if o.Seq < e.Seq && o.State != guance.StateNeither && o.Time.After(newest) {
			newest = o.Time
		}
	}
	return !e.Time.IsZero() && newest.After(e.Time) && newest.Sub(e.Time) <= 10*time.Minute
}

// says updates the last word. It reads what the target shows, and no record but for the doubt.
func (m *model) says(e *store.Entry) {
	if e.Begun || e.State == guance.StateNeither || m.overtaken(e) {
		return
	}
	w := lastWord{Entry: e, shown: m.shows[e.Problem].state == guance.StateProblem,
		unsure: m.died[e.Problem] || m.doubt[e.Problem] && !m.records[e.Problem].Open}
	for _, o := range m.before(e, true) {
		if o.State != guance.StateNeither {
			// A recovery that will not be sent a second time may be undone.
			w.shown, w.unsure = o.State == guance.StateProblem, m.died[e.Problem] || m.over(o)
		}
	}
	m.last[e.Problem] = w
}

// ended returns the entries that are superseded by e or with it, in sequence.
func (m *model) ended(e *store.Entry) (ended []uint64) {
	if e.Begun {
		return nil
	}
	problem, unsent := e.Problem, m.before(e, false)
	if e.State != guance.StateNeither && m.overtaken(e) {
		return []uint64{e.Seq}
	}

	// What the target will show, as far as the lane can tell.
	open, levels := m.records[problem].Open, []guance.Level{m.records[problem].Shown}
	if levels[0] == guance.LevelNone {
		levels = nil
	}
	resolves, mayDie := false, false // a recovery that was begun
	for _, o := range m.before(e, true) {
		switch o.State {
		case guance.StateProblem:
			open, levels, mayDie = true, []guance.Level{o.Level}, false
		case guance.StateRecovered:
			open, levels, resolves = false, nil, !m.over(o)
			mayDie = resolves && !(m.repeats[problem] && o == m.queue(problem)[0])
		}
	}
	trigger := slices.ContainsFunc(unsent, func(o *store.Entry) bool {
		return o.State == guance.StateProblem
	})

	if e.State == guance.StateNeither {
		switch n := len(unsent); {
		case e.Sticky && !open && !trigger:
			return []uint64{e.Seq}
		case n > 0 && unsent[n-1].State == guance.StateNeither:
			return []uint64{unsent[n-1].Seq}
		}
		return nil
	}
	for _, o := range unsent {
		ended = append(ended, o.Seq)
	}
	var sent bool
	switch doubt := m.doubt[problem]; {
	case e.Sticky && e.State == guance.StateRecovered:
		sent = open || mayDie || doubt && !resolves
	case e.Sticky:
		sent = open && !slices.Contains(levels, e.Level)
	case e.State == guance.StateRecovered: // it goes with its trigger if the target has nothing
		sent = !trigger || doubt || m.records[problem].Open || len(m.before(e, true)) > 0
	default:
		sent = true
	}
	if !sent {
		ended = append(ended, e.Seq)
	}
	return ended
}

// over reports whether e is a recovery that will not be sent a second time, and has not ended yet.
func (m *model) over(e *store.Entry) bool {
	return slices.ContainsFunc(m.flying, func(f flight) bool {
		return f.over && f.item.seq == e.Seq
	})
}

func (m *model) flies(seq uint64) bool {
	return slices.ContainsFunc(m.flying, func(f flight) bool { return f.item.seq == seq })
}

func (m *model) settle(mark store.Mark) {
	e := m.entry(mark.Seq)
	if mark.Outcome == store.Superseded && e.Begun {
		m.t.Fatalf("entry %d was on the wire and is superseded", e.Seq)
	}
	m.describes(mark, e)
	m.outcomes[e.Seq] = mark.Outcome
	m.records[e.Problem] = m.records[e.Problem].Apply(mark)
	m.entries = slices.DeleteFunc(m.entries, func(other *store.Entry) bool { return other == e })
	if e.State != guance.StateNeither && mark.Outcome != store.Superseded {
		m.died[e.Problem] = mark.Outcome == store.Dead
	}
}

// describes compares what a mark says of its entry, besides the outcome and the doubt.
func (m *model) describes(mark store.Mark, e *store.Entry) {
	if mark.Seq != e.Seq || mark.Problem != e.Problem || mark.State != e.State ||
		mark.Level != e.Level || !mark.Time.Equal(e.Time) || mark.Failed != m.counted[e.Seq] {
		m.t.Fatalf("the mark is %+v, and the entry %+v failed %d times", mark, *e, m.counted[e.Seq])
	}
}

func (m *model) queue(problem string) (q []*store.Entry) {
	for _, e := range m.entries {
		if e.Problem == problem {
			q = append(q, e)
		}
	}
	return q
}

// rank computes the rank from the queue.
func (m *model) rank(q []*store.Entry) (class int, level guance.Level) {
	problem := q[0].Problem
	shown := m.records[problem].Shown
	if m.repeats[problem] { // the target has it
		shown, q = guance.LevelNone, q[1:]
	}
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
	if m.tries[problem] >= 3 {
		class -= 10
	}
	if m.urgent[problem] != 0 && !m.repeats[problem] {
		return 100, 0
	}
	return class, level
}

// due are the heads of the problems that may be sent now, best first.
func (m *model) due() (heads []*store.Entry) {
	if m.now.Before(m.probe) {
		return nil
	}
	for _, e := range m.entries {
		q := m.queue(e.Problem)
		if q[0] == e && !m.flies(e.Seq) && !m.wait[e.Problem].After(m.now) {
			heads = append(heads, e)
		}
	}
	slices.SortStableFunc(heads, func(a, b *store.Entry) int {
		ac, al := m.rank(m.queue(a.Problem))
		bc, bl := m.rank(m.queue(b.Problem))
		return (bc*100 + int(bl)) - (ac*100 + int(al))
	})
	return heads
}

// wakes returns when something may be sent without another event or answer; zero: never.
func (m *model) wakes() (first time.Time) {
	for _, e := range m.entries {
		if m.queue(e.Problem)[0] != e || m.flies(e.Seq) {
			continue
		}
		at := m.wait[e.Problem]
		if at.Before(m.probe) {
			at = m.probe
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

func (m *model) send(t *rapid.T) {
	heads := m.due()
	ok, at := m.s.Ready(m.now)
	if ok != (len(heads) > 0) {
		t.Fatalf("something is ready: %v, and %d problems are due", ok, len(heads))
	}
	if want := m.wakes(); !ok && !at.Equal(want) {
		t.Fatalf("the next is sent at %v, want %v", at, want)
	}
	if len(heads) == 0 {
		t.Skip("nothing is ready")
	}
	want := heads[0]
	if m.sends++; m.sends%8 == 0 {
		want = slices.MinFunc(heads, func(a, b *store.Entry) int { return int(a.Seq) - int(b.Seq) })
	}
	tk, _ := m.s.Next(m.now)
	if tk.item.seq != want.Seq {
		t.Fatalf("entry %d is sent, want %d", tk.item.seq, want.Seq)
	}
	if want.Seq < m.sent[want.Problem] {
		t.Fatalf("entry %d goes out after entry %d of its problem", want.Seq, m.sent[want.Problem])
	}
	m.sent[want.Problem] = want.Seq
	begins := tk.Mark(want.Problem, 0, "")
	if doubt := want.State == guance.StateProblem && m.doubt[want.Problem]; begins.Doubt != doubt {
		t.Fatalf("the mark that entry %d begins says doubt: %v, want %v", want.Seq, begins.Doubt, doubt)
	}
	m.describes(begins, want)
	if tk.Seq() != want.Seq || tk.Attempt() != begins.Failed+1 ||
		tk.Kept().UnixNano() != int64(want.Kept) {
		t.Fatalf("the ticket of entry %d says entry %d, attempt %d, kept %v", want.Seq, tk.Seq(),
			tk.Attempt(), tk.Kept())
	}
	want.Begun, want.Failed = true, m.counted[want.Seq]
	m.records[want.Problem] = m.records[want.Problem].Apply(begins)
	m.flying = append(m.flying, flight{Ticket: tk})
	if rapid.Bool().Draw(t, "arrives before anything else") {
		m.takes(t, want)
	}
}

func (m *model) answer(t *rapid.T) {
	if len(m.flying) == 0 {
		t.Skip("nothing is in flight")
	}
	m.answerWith(t, rapid.SampledFrom([]Result{
		delivered, delivered, failure, failure, answerLost, answerLost, throttled, refused,
		{Outcome: store.Delivered, AnswerLost: true}, {Outcome: store.Dead, AnswerLost: true},
	}).Draw(t, "answer"))
}

func (m *model) answerWith(t *rapid.T, r Result) {
	i := rapid.IntRange(0, len(m.flying)-1).Draw(t, "which")
	f := m.flying[i]
	m.flying = slices.Delete(m.flying, i, i+1)
	m.answered(t, f, r)
}

// outage makes some attempts fail, each as soon as it may begin.
func (m *model) outage(t *rapid.T) {
	for range rapid.IntRange(1, 30).Draw(t, "attempts") {
		ok, at := m.s.Ready(m.now)
		if !ok && at.IsZero() {
			return
		}
		if !ok {
			m.pass(at)
		}
		m.send(t)
		m.answerWith(t, failure)
	}
}

// quarantine makes the store fail to read an entry.
func (m *model) quarantine(t *rapid.T) {
	i := slices.IndexFunc(m.flying, func(f flight) bool { return !f.over })
	if i < 0 {
		t.Skip("nothing is in flight")
	}
	f := m.flying[i]
	m.flying = slices.Delete(m.flying, i, i+1)
	problem := m.entry(f.item.seq).Problem
	m.s.Quarantine(f.Ticket, m.now)
	m.wait[problem], m.unread[problem] = m.now.Add(QuarantineFor), true
	m.rows[problem] = max(m.rows[problem], 3)
}

func (m *model) quarantined(problem string) bool {
	return m.unread[problem] && m.wait[problem].After(m.now)
}

// backoff is how long the nth wait is at most.
func (m *model) backoff(n int) time.Duration {
	most := 500 * time.Millisecond
	for range n {
		most = min(2*most, 30*time.Second)
	}
	return min(most+250*time.Millisecond-1, 30*time.Second)
}

func (m *model) answered(t *rapid.T, f flight, r Result) {
	e := m.entry(f.item.seq)
	problem := e.Problem
	if f.over {
		m.ends(f, f.Mark(problem, store.Delivered, ""), true)
		return
	}
	taken, failed := r.Outcome == store.Delivered, r.Outcome == 0 && !r.Throttled
	if taken {
		m.takes(t, e)
	}
	if r.AnswerLost {
		m.lose(t, e)
		m.doubt[problem] = m.doubt[problem] || e.State == guance.StateProblem
	}
	m.hears(problem, r.Outcome != 0, failed)

	want, wait := store.Outcome(0), m.now
	switch {
	case m.repeats[problem]:
		want = store.Delivered
		m.unsure[problem] = m.unsure[problem] || !taken
	case taken && e.State == guance.StateRecovered && m.doubt[problem]:
		m.repeats[problem], m.tries[problem], wait = true, 0, m.now.Add(time.Minute)
		delete(m.rows, problem)
	case taken:
		want = store.Delivered
	case r.Outcome == store.Dead:
		want = store.Dead
	case failed:
		if m.successes != m.successesAt[problem] {
			m.successesAt[problem] = m.successes
			m.counted[e.Seq]++
		}
		if m.counted[e.Seq] >= modelAttempts {
			want = store.Dead
		}
		m.tries[problem]++
		m.rows[problem]++
		wait = m.now.Add(m.backoff(m.tries[problem]))
	}
	mark := m.s.Answered(f.Ticket, r, m.now)
	if mark.Outcome != want {
		t.Fatalf("the answer %+v makes entry %d %v, want %v", r, e.Seq, mark.Outcome, want)
	}
	if want == 0 {
		m.wait[problem], m.unread[problem] = wait, false
		return
	}
	mark.Problem = problem
	m.ends(f, mark, false)
}

// ends settles the first entry of a problem.
func (m *model) ends(f flight, mark store.Mark, stillInDoubt bool) {
	m.s.Settle(f.Ticket, mark)
	m.settle(mark)
	m.next(mark.Problem)
	if mark.State == guance.StateRecovered && mark.Outcome == store.Delivered {
		m.doubt[mark.Problem] = stillInDoubt
	}
	if m.records[mark.Problem].Doubt != m.doubt[mark.Problem] {
		m.t.Fatalf("after entry %d the store knows of doubt: %v, want %v", mark.Seq,
			!m.doubt[mark.Problem], m.doubt[mark.Problem])
	}
}

// next makes the next entry the first of a problem.
func (m *model) next(problem string) {
	delete(m.wait, problem)
	delete(m.tries, problem)
	delete(m.rows, problem)
	delete(m.repeats, problem)
	m.successesAt[problem] = m.successes
	if q := m.queue(problem); len(q) > 0 && q[0].Seq > m.urgent[problem] {
		delete(m.urgent, problem)
	}
}

// hears updates what an answer says about the target.
func (m *model) hears(problem string, alive, failed bool) {
	down := m.streak >= 5
	switch {
	case alive:
		if down { // what failed because of the target starts afresh
			clear(m.tries)
			maps.DeleteFunc(m.wait, func(waiting string, _ time.Time) bool { return !m.repeats[waiting] })
		}
		m.successes++
		m.streak, m.failedBy, m.probe = 0, "", time.Time{}
	case failed:
		if down || problem != m.failedBy {
			m.streak++
		}
		m.failedBy = problem
		if m.streak >= 5 {
			m.probe = m.now.Add(min(m.backoff(m.streak-4), 15*time.Second))
		}
	}
}

func (m *model) accept(t *rapid.T, problems int) {
	m.seq++
	e := &store.Entry{
		Seq: m.seq, Problem: fmt.Sprint("p", rapid.IntRange(0, problems-1).Draw(t, "problem")),
		Kept: time.Duration(m.now.UnixNano()),
		State: rapid.SampledFrom([]guance.State{guance.StateProblem, guance.StateProblem,
			guance.StateRecovered, guance.StateNeither}).Draw(t, "state"),
	}
	if e.State != guance.StateRecovered {
		e.Level = guance.Level(rapid.IntRange(1, 6).Draw(t, "level"))
	}
	if rapid.Bool().Draw(t, "timed") {
		e.Time = m.now.Add(-time.Duration(rapid.IntRange(0, 15).Draw(t, "minutes late")) * time.Minute)
	}
	e.Sticky = rapid.Bool().Draw(t, "sticky")
	m.entries = append(m.entries, e)
	m.add(e)
}

func (m *model) check(t *rapid.T) {
	m.forget()
	m.checkStats(t)
	if got := m.s.Oldest(); len(m.entries) > 0 {
		if want := int64(m.entries[0].Kept); got.UnixNano() != want {
			t.Fatalf("the oldest is of %v, want %v", got, moment(want))
		}
	}
	m.checkAges(t)
	for seq := uint64(1); seq <= m.seq; seq++ {
		pending := slices.ContainsFunc(m.entries, func(e *store.Entry) bool { return e.Seq == seq })
		if pending == (m.outcomes[seq] != 0) {
			t.Fatalf("entry %d: pending %v and %v", seq, pending, m.outcomes[seq])
		}
	}
}

// checkAges compares the oldest entries by the highest level of their problems, and the number of
// problems in doubt.
func (m *model) checkAges(t *rapid.T) {
	var want [levels]time.Time
	for _, e := range m.entries {
		queue := m.queue(e.Problem)
		level := int(e.Level)
		if queue[0] != e {
			continue
		}
		for _, other := range queue {
			if !m.s.policy.EveryEvent {
				level = max(level, int(other.Level))
			}
		}
		if kept := moment(int64(e.Kept)); want[level].IsZero() || kept.Before(want[level]) {
			want[level] = kept
		}
	}
	if got := m.s.OldestByLevel(); got != want {
		t.Fatalf("the oldest by level are %v, want %v", got, want)
	}
	doubts := 0
	for x := range m.s.problems.extras.all() {
		if x.doubt {
			doubts++
		}
	}
	if got := m.s.Unconfirmed(); got != doubts {
		t.Fatalf("%d problems are unconfirmed, want %d", got, doubts)
	}
}

func (m *model) settleAll(t *rapid.T) {
	for len(m.flying) > 0 {
		f := m.flying[0]
		m.flying = m.flying[1:]
		m.answered(t, f, delivered)
	}
	for len(m.entries) > 0 {
		ok, at := m.s.Ready(m.now)
		if !ok {
			if at.IsZero() {
				t.Fatalf("%d entries are pending and nothing will ever be ready", len(m.entries))
			}
			m.pass(at)
			continue
		}
		tk, _ := m.s.Next(m.now)
		m.answered(t, flight{Ticket: tk}, delivered)
	}
	if m.s.problems.len != 0 || m.s.stuck.Len() != 0 || m.s.byLevel != [7]int{} {
		t.Fatalf("%d problems, %d of them stuck, and levels %v are left of nothing", m.s.problems.len,
			m.s.stuck.Len(), m.s.byLevel)
	}
	m.pass(m.now.Add(time.Minute))
}

// forget removes what is remembered of problems that have no entry.
func (m *model) forget() {
	for _, problems := range []map[string]int{m.tries, m.rows} {
		maps.DeleteFunc(problems, func(p string, _ int) bool { return len(m.queue(p)) == 0 })
	}
	maps.DeleteFunc(m.urgent, func(p string, _ uint64) bool { return len(m.queue(p)) == 0 })
}

// waiting returns the entry that an operator may drop or send now, or nil.
func (m *model) waiting(problem string, seq uint64) *store.Entry {
	for i, e := range m.queue(problem) {
		if e.Seq == seq && (i > 0 || !m.flies(seq) && !m.repeats[problem]) {
			return e
		}
	}
	return nil
}

func (m *model) anyEntry(t *rapid.T) (problem string, seq uint64) {
	if len(m.entries) == 0 {
		t.Skip("nothing is pending")
	}
	e := rapid.SampledFrom(m.entries).Draw(t, "entry")
	return e.Problem, e.Seq + rapid.SampledFrom([]uint64{0, 0, 0, 1, 1000}).Draw(t, "wrong by")
}

func (m *model) drop(t *rapid.T) {
	problem, seq := m.anyEntry(t)
	e := m.waiting(problem, seq)
	mark, ok := m.s.DropMark(problem, seq, "why")
	if ok != (e != nil) {
		t.Fatalf("entry %d may be dropped: %v", seq, ok)
	}
	if !ok {
		return
	}
	doubt := e.State == guance.StateProblem && m.doubt[problem]
	if mark.Outcome != store.Dead || mark.Reason != "why" || mark.Doubt != doubt {
		t.Fatalf("the mark of the dropped entry %+v is %+v, want doubt: %v", *e, mark, doubt)
	}
	first := m.queue(problem)[0] == e
	m.s.Drop(mark)
	m.settle(mark)
	if first {
		m.next(problem)
	}
}

func (m *model) sendNow(t *rapid.T) {
	problem, seq := m.anyEntry(t)
	e := m.waiting(problem, seq)
	if ok := m.s.SendNow(problem, seq); ok != (e != nil) {
		t.Fatalf("entry %d may be sent now: %v", seq, ok)
	}
	if e == nil {
		return
	}
	m.urgent[problem] = max(m.urgent[problem], seq)
	if !m.repeats[problem] {
		delete(m.wait, problem)
	}
}

// expire ends what is too old.
func (m *model) expire(t *rapid.T) {
	less := time.Duration(rapid.IntRange(0, 60).Draw(t, "minutes less")) * time.Minute
	m.pass(m.now.Add(modelMaxAge - less))
	var old []*store.Entry
	for _, e := range m.entries {
		if m.expires(e) && m.age(e) > modelMaxAge {
			old = append(old, e)
		}
	}
	limit := rapid.IntRange(1, 3).Draw(t, "limit")
	tickets := m.s.Expired(m.now, limit)
	if len(tickets) != min(limit, len(old)) {
		t.Fatalf("%d entries expire, want %d of %d", len(tickets), limit, len(old))
	}
	for i, tk := range tickets {
		e := old[i]
		if tk.Seq() != e.Seq {
			t.Fatalf("entry %d expires, want %d", tk.Seq(), e.Seq)
		}
		want := store.Dead
		if m.repeats[e.Problem] {
			want = store.Delivered
			m.unsure[e.Problem] = true
		}
		mark := m.s.ExpiredMark(tk, e.Problem, "why")
		if mark.Outcome != want || mark.Reason != map[store.Outcome]string{store.Dead: "why"}[want] {
			t.Fatalf("the mark of the expired entry %+v is %+v, want %v", *e, mark, want)
		}
		m.ends(flight{Ticket: tk}, mark, want == store.Delivered)
	}
}

// expires reports whether an entry may expire when it is old enough.
func (m *model) expires(e *store.Entry) bool {
	return m.queue(e.Problem)[0] == e && !m.flies(e.Seq) && !m.quarantined(e.Problem)
}

func (m *model) age(e *store.Entry) time.Duration {
	return time.Duration(m.now.UnixNano()) - e.Kept
}

// checkStats compares what a schedule says of itself.
func (m *model) checkStats(t *rapid.T) {
	m.s.Ready(m.now) // ends the waits
	down := m.streak >= 5
	var byLevel [levels]int
	var expiry, stuckSince time.Time
	stuck := 0
	for _, e := range m.entries {
		byLevel[e.Level]++
		q, kept := m.queue(e.Problem), moment(int64(e.Kept))
		if m.expires(e) && expiry.IsZero() {
			expiry = kept.Add(modelMaxAge)
		}
		if down || q[0] == e && m.rows[e.Problem] >= 3 {
			if stuck++; stuckSince.IsZero() {
				stuckSince = kept
			}
		}
		m.checkWaiting(t, q, down)
	}
	if n, got := m.s.Pending(); n != len(m.entries) || got != byLevel {
		t.Fatalf("%d entries pending, %v, want %d, %v", n, got, len(m.entries), byLevel)
	}
	if n, since := m.s.Stuck(); n != stuck || !since.Equal(stuckSince) {
		t.Fatalf("%d entries stuck since %v, want %d since %v", n, since, stuck, stuckSince)
	}
	if got := m.s.Expiry(); !got.Equal(expiry) {
		t.Fatalf("the next expires at %v, want %v", got, expiry)
	}
	if at, got := m.s.Probe(); got != down || !at.Equal(m.probe) {
		t.Fatalf("the target is down: %v until %v, want %v until %v", got, at, down, m.probe)
	}
	if got, want := m.s.Limit(9), map[bool]int{true: 1, false: 9}[down]; got != want {
		t.Fatalf("%d attempts may be in flight, want %d", got, want)
	}
}

// checkWaiting compares why the entries of a problem are not sent.
func (m *model) checkWaiting(t *rapid.T, q []*store.Entry, down bool) {
	problem := q[0].Problem
	var want []Waiting
	for i, e := range q {
		w := Waiting{Seq: e.Seq, Failed: m.counted[e.Seq], Reason: Turn}
		wait := m.wait[problem]
		if !wait.After(m.now) {
			wait = time.Time{}
		}
		switch {
		case i > 0:
			w.Reason, w.After = Behind, q[i-1].Seq
		case m.flies(e.Seq):
			w.Reason = InFlight
		case m.repeats[problem]:
			w.Reason, w.Until = Repeat, wait
		case !wait.IsZero():
			w.Reason, w.Until = BackingOff, wait
		case down:
			w.Reason, w.Until = Down, m.probe
		}
		if got := m.s.InFlight(problem, e.Seq); got != (w.Reason == InFlight) {
			t.Fatalf("entry %d is in flight: %v", e.Seq, got)
		}
		want = append(want, w)
	}
	same := func(a, b Waiting) bool {
		equal := a.Until.Equal(b.Until)
		a.Until, b.Until = time.Time{}, time.Time{}
		return equal && a == b
	}
	if got := m.s.Waiting(problem); !slices.EqualFunc(got, want, same) {
		t.Fatalf("what waits is %+v, want %+v", got, want)
	}
	if !m.s.Holds(problem) {
		t.Fatalf("the schedule does not hold problem %s", problem)
	}
}

// history plays one history and compares.
func history(t *rapid.T) {
	m := &model{
		t: t, now: now, records: make(map[string]store.Record), outcomes: make(map[uint64]store.Outcome),
		unsure: make(map[string]bool),
		sent:   make(map[string]uint64), shows: make(map[string]shown),
		last: make(map[string]lastWord), died: make(map[string]bool),
	}
	m.restart()
	problems := rapid.SampledFrom([]int{1, 2, 6}).Draw(t, "problems")
	t.Repeat(map[string]func(*rapid.T){
		"accept": func(t *rapid.T) { m.accept(t, problems) },
		"send":   m.send,
		"answer": m.answer,
		"tell": func(t *rapid.T) { // the most frequent thing by far
			m.send(t)
			m.answer(t)
		},
		"wait": func(t *rapid.T) {
			seconds := rapid.SampledFrom([]int{1, 2, 5, 15, 40, 61}).Draw(t, "seconds")
			m.pass(m.now.Add(time.Duration(seconds) * time.Second))
		},
		"outage":     m.outage,
		"crash":      m.crash,
		"drop":       m.drop,
		"quarantine": m.quarantine,
		"send now":   m.sendNow,
		"expire":     m.expire,
		"":           m.check,
	})
	m.settleAll(t)
	for problem, w := range m.last {
		m.converged(problem, w)
	}
}

// converged checks that the target shows what the last word says:
//   - after a recovery, nothing;
//   - after a problem that the lane wants, the problem with its level;
//   - after a problem that the lane does not want, the problem with its level if the target showed
//     the problem or what was begun will make it do so, and nothing otherwise.
//
// It promises nothing of what is dead.
func (m *model) converged(problem string, w lastWord) {
	if m.unsure[problem] || m.outcomes[w.Seq] == store.Dead {
		return
	}
	shows := m.shows[problem]
	open := shows.state == guance.StateProblem
	wantOpen := w.State == guance.StateProblem
	switch sent := m.outcomes[w.Seq] == store.Delivered; {
	case !w.Sticky || sent && w.unsure:
	case m.died[problem] || wantOpen && w.unsure:
		return
	default:
		wantOpen = wantOpen && w.shown
	}
	if open != wantOpen || open && !shows.late && shows.level != w.Level {
		m.t.Fatalf("problem %s: the target shows %+v, and the last word was entry %d: %v at %v, "+
			"sticky %v, shown before %v (%v)", problem, shows, w.Seq, w.State, w.Level, w.Sticky,
			w.shown, m.outcomes[w.Seq])
	}
}

// Promises 2, 3, 4 and 6 for the schedule, with random events, answers, lost answers and crashes.
func TestScheduleModel(t *testing.T) {
	for range 8 { // a hundred histories each, unless a flag says otherwise
		rapid.Check(t, history)
	}
}
