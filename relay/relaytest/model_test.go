package relaytest_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A model is the simplest relay that keeps the promises. It makes one step every half second, which
// is exactly 120 requests a minute. It shares no code with package relay.
type model struct {
	tale
	now      float64
	seq      uint64
	sends    int
	problems map[string]*modelProblem
	ignored  map[uint64]bool // by Deliver, always the same for an entry
}

type modelProblem struct {
	queue   []relaytest.Accepted // unsettled; the first may have been sent
	sent    bool                 // the first was
	open    bool
	newest  float64
	highest uint64 // newest that was sent or settled with a state
	dead    []relaytest.Accepted
}

const modelConcurrency = 1

// legalHistory draws what happens and runs the model through it.
func legalHistory(t *rapid.T) *tale {
	m := &model{problems: make(map[string]*modelProblem), ignored: make(map[uint64]bool)}
	for range rapid.IntRange(5, 60).Draw(t, "steps") {
		for range rapid.IntRange(0, 3).Draw(t, "arrivals") {
			m.arrive(t)
		}
		if rapid.IntRange(0, 15).Draw(t, "replay") == 0 {
			m.replay()
		}
		m.step(rapid.SampledFrom([]relaytest.Answer{
			relaytest.Taken, relaytest.Taken, relaytest.Taken, relaytest.Taken, relaytest.Unknown,
			relaytest.Refused, relaytest.Throttled,
		}).Draw(t, "answer"), rapid.Bool().Draw(t, "crash"))
	}
	for m.step(relaytest.Taken, false) { // after the last fault
	}
	return &m.tale
}

func (m *model) arrive(t *rapid.T) {
	key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "problem")
	level := rapid.SampledFrom([]guance.Level{ok, info, warning, critical,
		guance.LevelFatal}).Draw(t, "level")
	late := float64(rapid.SampledFrom([]int{0, 0, 0, 0, 3, 300}).Draw(t, "late"))
	m.seq++
	ignored := rapid.IntRange(0, 9).Draw(t, "ignored") == 0
	e := m.takes(m.seq, key, level, m.now)
	e.Time = at(m.now - late)
	p := m.problems[key]
	if p == nil {
		p = &modelProblem{newest: -1e9}
		m.problems[key] = p
	}
	if e.State == guance.StateNeither {
		m.ignored[e.Seq] = ignored
		p.queue = append(p.queue, *e)
		return
	}
	if ignored { // what has a state is ignored before it is sent
		m.settles(e.Seq, m.now, store.Ignored)
		return
	}
	if old := m.now - late; old < p.newest {
		m.settles(e.Seq, m.now, store.Superseded)
		return
	}
	p.newest = m.now - late
	kept := p.queue[:0:0]
	for i, old := range p.queue {
		if i == 0 && p.sent {
			kept = append(kept, old)
			continue
		}
		m.settles(old.Seq, m.now, store.Superseded)
		p.highest = max(p.highest, old.Seq)
	}
	if e.State == guance.StateRecovered && len(kept) == 0 && len(p.queue) > 0 && !p.open {
		m.settles(e.Seq, m.now, store.Superseded)
		p.highest = e.Seq
	} else {
		kept = append(kept, *e)
	}
	p.queue = kept
}

// replay revives a dead letter that is not stale.
func (m *model) replay() {
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		if p := m.problems[key]; p != nil && len(p.dead) > 0 {
			e := p.dead[0]
			p.dead = p.dead[1:]
			if len(p.queue) == 0 && p.highest <= e.Seq {
				p.queue, p.sent = append(p.queue, e), true
				return
			}
		}
	}
}

// step sends the entry of the highest rank, if there is one, and half a second passes.
func (m *model) step(answer relaytest.Answer, crash bool) bool {
	defer func() { m.now += .5 }()
	rank := func(p *modelProblem) int {
		if e := p.queue[0]; e.State == guance.StateProblem && !p.open {
			return int(e.Level)
		}
		return 0
	}
	var ready []*modelProblem
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		if p := m.problems[key]; p != nil && len(p.queue) > 0 {
			ready = append(ready, p)
		}
	}
	if len(ready) == 0 {
		return false
	}
	oldest := func(a, b *modelProblem) int { return cmp.Compare(a.queue[0].Seq, b.queue[0].Seq) }
	slices.SortFunc(ready, func(a, b *modelProblem) int {
		return cmp.Or(rank(b)-rank(a),
			oldest(a, b))
	})
	m.sends++
	if m.sends%8 == 0 {
		slices.SortFunc(ready, oldest)
	}
	p := ready[0]
	e := p.queue[0]
	if m.ignored[e.Seq] {
		answer = relaytest.Unsent
	}
	p.sent = true
	p.highest = max(p.highest, e.Seq)
	if e.State == guance.StateProblem && answer != relaytest.Unsent {
		p.open = true
	}
	a := m.tale.sends(e.Seq, m.now, answer)
	switch {
	case answer == relaytest.Unknown && crash:
		a.End = time.Time{}
		return true
	case answer == relaytest.Unknown || answer == relaytest.Throttled:
		return true
	case answer == relaytest.Taken && crash: // the outcome is not recorded
		return true
	}
	outcome := map[relaytest.Answer]store.Outcome{
		relaytest.Taken: store.Delivered, relaytest.Refused: store.Dead,
		relaytest.Unsent: store.Ignored,
	}[answer]
	m.settles(e.Seq, m.now+.1, outcome)
	if outcome == store.Dead {
		p.dead = append(p.dead, e)
	}
	if outcome == store.Delivered && e.State == guance.StateRecovered {
		p.open = false
	}
	p.queue, p.sent = p.queue[1:], false
	return true
}

var modelRules = relaytest.Rules{InFlight: modelConcurrency}

func TestLegalHistoriesPass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := legalHistory(t)
		if err := h.Check(&modelRules); err != nil {
			t.Fatalf("a legal history is refused: %v\n%s", err, timelines(h))
		}
	})
}

func timelines(h *tale) (all string) {
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		all += h.Timeline(key) + "\n"
	}
	return all
}

// A mutation changes a history and returns which promises that breaks; none if nothing can be
// changed.
type mutation struct {
	name  string
	spoil func(t *rapid.T, h *tale) (promises []int)
}

var mutations = []mutation{
	{"an outcome is lost", func(t *rapid.T, h *tale) []int {
		if len(h.Settled) == 0 {
			return nil
		}
		seq := rapid.SampledFrom(h.Settled).Draw(t, "which").Seq
		h.Settled = slices.DeleteFunc(h.Settled,
			func(s store.Settlement) bool { return s.Seq == seq })
		return []int{2}
	}},
	{"an outcome is recorded twice", func(t *rapid.T, h *tale) []int {
		final := slices.DeleteFunc(slices.Clone(h.Settled),
			func(s store.Settlement) bool { return s.Outcome == store.Dead })
		if len(final) == 0 {
			return nil
		}
		s := rapid.SampledFrom(final).Draw(t, "which")
		s.Outcome = rapid.SampledFrom([]store.Outcome{store.Delivered, store.Superseded,
			store.Ignored, store.Dead}).Draw(t, "as")
		h.Settled = append(h.Settled, s)
		return []int{2}
	}},
	{"an entry is invented", func(t *rapid.T, h *tale) []int {
		h.settles(1_000_000, 0, store.Delivered)
		h.Settled[len(h.Settled)-1].Problem = "a"
		return []int{2}
	}},
	{"an attempt is invented", func(t *rapid.T, h *tale) []int {
		h.sends(1_000_000, 1e6, relaytest.Taken).Problem = "a"
		return []int{2}
	}},
	{"what is delivered was never taken", func(t *rapid.T, h *tale) []int {
		s, ok := drawSettled(t, h, store.Delivered)
		if !ok {
			return nil
		}
		for i := range h.Attempts {
			if h.Attempts[i].Seq == s.Seq && h.Attempts[i].Answer == relaytest.Taken {
				h.Attempts[i].Answer = relaytest.Refused
			}
		}
		return []int{2}
	}},
	{"an entry is sent after it was settled", func(t *rapid.T, h *tale) []int {
		s, ok := drawSettled(t, h, store.Delivered)
		if !ok {
			return nil
		}
		h.sends(s.Seq, 1e6, relaytest.Taken)
		return []int{2, 3} // 3 if a newer entry was sent
	}},
	{"a stale entry is sent", func(t *rapid.T, h *tale) []int {
		var stale []uint64
		for _, a := range h.Attempts {
			if slices.ContainsFunc(h.Attempts,
				func(b relaytest.Attempt) bool { return b.Problem == a.Problem && b.Seq > a.Seq }) {
				stale = append(stale, a.Seq)
			}
		}
		if len(stale) == 0 {
			return nil
		}
		h.sends(rapid.SampledFrom(stale).Draw(t, "which"), 1e6, relaytest.Unknown)
		return []int{3}
	}},
	{"two attempts of a problem change places", func(t *rapid.T, h *tale) []int {
		for i := range h.Attempts {
			for j := i + 1; j < len(h.Attempts); j++ {
				a, b := &h.Attempts[i], &h.Attempts[j]
				if a.Problem == b.Problem && a.Seq != b.Seq {
					a.Start, a.End, b.Start, b.End = b.Start, b.End, a.Start, a.End
					return []int{3}
				}
			}
		}
		return nil
	}},
	{"a superseded entry is sent", func(t *rapid.T, h *tale) []int {
		s, ok := drawSettled(t, h, store.Superseded)
		if !ok {
			return nil
		}
		h.sends(s.Seq, 1e6, relaytest.Unknown)
		return []int{3}
	}},
	{"the target is told another state last", func(t *rapid.T, h *tale) []int {
		said := make(map[string]int)
		for i, a := range h.Attempts {
			if a.Answer == relaytest.Taken && a.State != guance.StateNeither {
				said[a.Problem] = i
			}
		}
		for _, i := range said {
			a := &h.Attempts[i]
			dead := slices.ContainsFunc(h.Settled,
				func(s store.Settlement) bool {
					return s.Problem == a.Problem &&
						s.Outcome == store.Dead
				})
			later := slices.ContainsFunc(h.Attempts[i+1:],
				func(b relaytest.Attempt) bool { return b.Problem == a.Problem })
			if dead || later {
				continue
			}
			if a.State == guance.StateProblem {
				a.State = guance.StateRecovered
			} else {
				a.State, a.Level = guance.StateProblem, critical
			}
			return []int{4}
		}
		return nil
	}},
	{"time runs twice as fast", func(t *rapid.T, h *tale) []int {
		for i := range h.Attempts {
			a := &h.Attempts[i]
			a.Start = start.Add(a.Start.Sub(start) / 2)
			if !a.End.IsZero() {
				a.End = start.Add(a.End.Sub(start) / 2)
			}
		}
		for i := range h.Settled {
			h.Settled[i].At = start.Add(h.Settled[i].At.Sub(start) / 2)
		}
		for i := range h.Accepted {
			h.Accepted[i].At = start.Add(h.Accepted[i].At.Sub(start) / 2)
		}
		if busiest(h.Attempts, time.Second) > 3 {
			return []int{5}
		}
		return nil
	}},
}

func drawSettled(t *rapid.T, h *tale, o store.Outcome) (store.Settlement, bool) {
	some := slices.DeleteFunc(slices.Clone(h.Settled),
		func(s store.Settlement) bool { return s.Outcome != o })
	if len(some) == 0 {
		return store.Settlement{}, false
	}
	return rapid.SampledFrom(some).Draw(t, "which"), true
}

// busiest counts, in a slow and simple way, the most attempts that begin within any span of time.
func busiest(attempts []relaytest.Attempt, span time.Duration) (most int) {
	for _, first := range attempts {
		n := 0
		for _, a := range attempts {
			if d := a.Start.Sub(first.Start); a.Answer != relaytest.Unsent && d >= 0 && d < span {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

func TestMutatedHistoriesAreCaught(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			spoilt := 0
			rapid.Check(t, func(t *rapid.T) {
				h := legalHistory(t)
				promises := m.spoil(t, h)
				if promises == nil {
					return
				}
				spoilt++
				rules := modelRules
				if slices.Contains(promises, 5) {
					rules.Window, rules.PerMinute = time.Second, 3
				}
				err := h.Check(&rules)
				if v, ok := err.(*relaytest.Violation); !ok ||
					!slices.Contains(promises, v.Promise) {
					t.Fatalf("Check says %v, want one of promises %v\n%s", err, promises,
						timelines(h))
				}
			})
			if spoilt < 10 {
				t.Errorf("only %d histories had anything to spoil", spoilt)
			}
		})
	}
}

// Check finds the same violations of promise 5 as counting each window.
func TestBudgetAgainstCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h tale
		for i, ms := range rapid.SliceOfN(rapid.IntRange(0, 20_000), 1, 60).Draw(t, "starts") {
			h.takes(uint64(i)+1, fmt.Sprint("p", i), critical, 0)
			// Half seconds make spans of exactly one window likely.
			h.delivers(uint64(i)+1, float64(ms/500)/2)
		}
		rules := relaytest.Rules{PerMinute: rapid.IntRange(1, 12).Draw(t, "allowed"),
			Window: 5 * time.Second, InFlight: 1000}
		most := busiest(h.Attempts, rules.Window)
		err := h.Check(&rules)
		if v, _ := err.(*relaytest.Violation); (most > rules.PerMinute) != (v != nil &&
			v.Promise == 5) {
			t.Fatalf("at most %d attempts in a window, allowed are %d, and Check says %v", most,
				rules.PerMinute, err)
		}
	})
}
