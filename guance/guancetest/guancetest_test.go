package guancetest_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
)

func Example() {
	p := guancetest.NewProblem("disk usage", "host", "web001")
	for _, e := range []*guance.Event{
		p.Fault(guance.LevelWarning),
		p.Fault(guance.LevelCritical),
		p.Incident("working"),
		p.Recover(),
	} {
		fmt.Println(e.Kind(), e.State(), e.Level(), e.ProblemKey())
	}
	// Output:
	// fault problem warning 36d8bf1f46b00bd451c3743cc73066d4
	// fault problem critical 36d8bf1f46b00bd451c3743cc73066d4
	// incident neither critical 36d8bf1f46b00bd451c3743cc73066d4
	// recovery recovered none 36d8bf1f46b00bd451c3743cc73066d4
}

func ExampleStorm() {
	storm := guancetest.Storm{Seed: 1, Problems: 50, Events: 1000, Settle: true}
	states := map[string]guance.State{}
	duplicates := 0
	for d := range storm.Deliveries() {
		if d.Duplicate {
			duplicates++
			continue
		}
		if state := d.Event.State(); state != guance.StateNeither {
			states[d.Event.ProblemKey()] = state
		}
	}
	open := 0
	for _, state := range states {
		if state == guance.StateProblem {
			open++
		}
	}
	fmt.Println(duplicates > 0, open)
	// Output: true 0
}

// The rows are what the documents say about each event; see package guance.
func TestProblem(t *testing.T) {
	for _, test := range []struct {
		name  string
		event func(*guancetest.Problem) *guance.Event
		kind  guance.Kind
		state guance.State
		level guance.Level
		phase string
	}{
		{"fault", func(p *guancetest.Problem) *guance.Event { return p.Fault(guance.LevelFatal) },
			guance.KindFault, guance.StateProblem, guance.LevelFatal, "check"},
		{"no data", (*guancetest.Problem).NoData, guance.KindNoData, guance.StateProblem,
			guance.LevelNoData, "nodata"},
		{"recovery", (*guancetest.Problem).Recover, guance.KindRecovery, guance.StateRecovered,
			guance.LevelNone, "check"},
		{"data back", (*guancetest.Problem).DataBack, guance.KindNoData, guance.StateRecovered,
			guance.LevelNone, "nodata"},
		{"gone quiet", (*guancetest.Problem).RecoverNoDataAsOK, guance.KindNoData, guance.StateRecovered,
			guance.LevelNone, "nodata"},
		{"by hand", (*guancetest.Problem).RecoverByHand, guance.KindRecovery, guance.StateRecovered,
			guance.LevelNone, "check"},
		{"info", (*guancetest.Problem).Info, guance.KindInfo, guance.StateNeither, guance.LevelInfo,
			"check"},
		{"incident opened", func(p *guancetest.Problem) *guance.Event { return p.Incident("open") },
			guance.KindIncident, guance.StateProblem, guance.LevelCritical, "check"},
		{"incident closed", func(p *guancetest.Problem) *guance.Event { return p.Incident("closed") },
			guance.KindIncident, guance.StateRecovered, guance.LevelNone, "check"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := guancetest.NewProblem("latency", "service", "pay", "host", "web001")
			e := test.event(p)
			if e.Kind() != test.kind || e.State() != test.state || e.Level() != test.level {
				t.Errorf("got %s, %s, %s, want %s, %s, %s", e.Kind(), e.State(), e.Level(), test.kind,
					test.state, test.level)
			}
			if got, want := e.ProblemKey(), p.Ref(test.phase); got != want {
				t.Errorf("ProblemKey() = %s, want the ref of phase %s, %s", got, test.phase, want)
			}
			if len(e.Invalid) > 0 {
				t.Errorf("the event is not as documented: %q", e.Invalid)
			}
			if !e.Time().Equal(guancetest.Start) {
				t.Errorf("Time() = %v, want %v", e.Time(), guancetest.Start)
			}
		})
	}
}

func TestProblemRound(t *testing.T) {
	p := guancetest.NewProblem("latency", "host", "web001")
	first, repeat := p.Fault(guance.LevelError), p.Fault(guance.LevelError)
	over, again := p.Recover(), p.Fault(guance.LevelError)
	if first.FaultID != first.EventID || repeat.FaultID != first.EventID ||
		over.FaultID != first.EventID {
		t.Errorf("fault ids of one round are %q, %q, %q, want all %q", first.FaultID, repeat.FaultID,
			over.FaultID, first.EventID)
	}
	if again.FaultID != again.EventID || again.FaultID == first.FaultID {
		t.Errorf("the next round's fault id is %q, want its own event id %q", again.FaultID,
			again.EventID)
	}
	if got, want := over.FaultLasted(), 2*p.Interval; got != want {
		t.Errorf("the round lasted %v, want %v", got, want)
	}
	if first.EventID == repeat.EventID {
		t.Errorf("two events have the id %q", first.EventID)
	}
}

func TestProblemMisuse(t *testing.T) {
	for name, misuse := range map[string]func(){
		"odd tags":      func() { guancetest.NewProblem("m", strings.Fields("host")...) },
		"harmless info": func() { guancetest.NewProblem("m").Fault(guance.LevelInfo) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			misuse()
		})
	}
}

func TestStormIsDeterministic(t *testing.T) {
	storm := guancetest.Storm{Seed: 7, Events: 300}
	first, second := slices.Collect(storm.Deliveries()), slices.Collect(storm.Deliveries())
	other := guancetest.Storm{Seed: 8, Events: 300}
	differs := false
	i := 0
	for d := range other.Deliveries() {
		if !bytes.Equal(first[i].Event.Raw, second[i].Event.Raw) {
			t.Fatalf("delivery %d differs between two passes", i)
		}
		differs = differs || !bytes.Equal(first[i].Event.Raw, d.Event.Raw)
		i++
	}
	if i != 300 || !differs {
		t.Errorf("another seed made %d deliveries, differing: %t; want 300, differing", i, differs)
	}
}

func TestStormHasItAll(t *testing.T) {
	storm := guancetest.Storm{Problems: 20, Events: 2000}
	kinds := map[guance.Kind]int{}
	seen := map[string]bool{}
	latest := map[string]int64{}
	var repeats, duplicates, disorder int
	for d := range storm.Deliveries() {
		e := d.Event
		if d.Duplicate != seen[e.EventID] {
			t.Errorf("Duplicate = %t of event %s, want %t", d.Duplicate, e.EventID, seen[e.EventID])
		}
		if d.Duplicate {
			duplicates++
		}
		seen[e.EventID] = true
		kinds[e.Kind()]++
		if e.FaultID != "" && e.FaultID != e.EventID {
			repeats++
		}
		at := e.Time().Unix()
		if at < latest[e.ProblemKey()] {
			disorder++
			if !d.Late {
				t.Errorf("event %s is out of order and not Late", e.EventID)
			}
		}
		latest[e.ProblemKey()] = max(at, latest[e.ProblemKey()])
	}
	for what, n := range map[string]int{
		"faults": kinds[guance.KindFault], "recoveries": kinds[guance.KindRecovery],
		"no data": kinds[guance.KindNoData],
		"repeats": repeats, "duplicates": duplicates, "out of order": disorder,
	} {
		if n == 0 {
			t.Errorf("the storm has no %s", what)
		}
	}
}

func TestStormSettles(t *testing.T) {
	for seed := range uint64(100) {
		storm := guancetest.Storm{Seed: seed, Problems: 7, Events: 50 + int(seed), Settle: true}
		states := map[string]guance.State{}
		n := 0
		for d := range storm.Deliveries() {
			n++
			if state := d.Event.State(); !d.Duplicate && state != guance.StateNeither {
				states[d.Event.ProblemKey()] = state
			}
		}
		if n != storm.Events {
			t.Errorf("seed %d: %d deliveries, want %d", seed, n, storm.Events)
		}
		for key, state := range states {
			if state != guance.StateRecovered {
				t.Errorf("seed %d: problem %s ends as %s", seed, key, state)
			}
		}
	}
}
