package watch

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// words are reports in one line.
func words(reports []Report) string {
	var list []string
	for _, r := range reports {
		mark := "+"
		if r.Over {
			mark = "-"
		}
		list = append(list, mark+r.Key)
	}
	return strings.Join(list, " ")
}

// A step is a moment of a test, with what is to be reported then.
type step struct {
	at   time.Duration
	f    Figures
	want string
}

func lane(name string, pending int, taken uint64, dead int) Lane {
	return Lane{Name: name, Pending: pending, Taken: taken, Dead: dead}
}

func lanes(l ...Lane) Figures { return Figures{Lanes: l} }

// Each trouble is said once, and once that it is over.
func TestPolicy(t *testing.T) {
	const m, h = time.Minute, time.Hour
	settings := Settings{Lane: "oncall", Stuck: 10 * m, Silence: 2 * h, Full: 80}
	held := lane("a", 5, 0, 0)
	held.Idle = true
	heard := func(at time.Duration, unrouted uint64) Figures {
		return Figures{LastWebhook: at, Unrouted: unrouted}
	}
	for name, test := range map[string]struct {
		adopted []string
		steps   []step
	}{
		"dead letters": {nil, []step{
			{0, lanes(lane("a", 0, 0, 0)), ""},
			{m, lanes(lane("a", 0, 0, 1)), "+dead/a"},
			{2 * m, lanes(lane("a", 0, 0, 1)), ""},
			{3 * m, lanes(lane("a", 0, 0, 2)), ""},         // it has grown within the hour
			{62 * m, lanes(lane("a", 0, 0, 2)), "+dead/a"}, // and is said again
			{63 * m, lanes(lane("a", 0, 0, 0)), "-dead/a"},
			{64 * m, lanes(lane("a", 0, 0, 0)), ""},
		}},
		"a lane gets nothing through": {nil, []step{
			{0, lanes(lane("a", 1, 7, 0)), ""},
			{9 * m, lanes(lane("a", 3, 7, 0)), ""},
			{10 * m, lanes(lane("a", 3, 7, 0)), "+stuck/a"},
			{11 * m, lanes(lane("a", 3, 7, 0)), ""},
			{12 * m, lanes(lane("a", 2, 8, 0)), "-stuck/a"},
			{13 * m, lanes(lane("a", 2, 8, 0)), ""},
			{22 * m, lanes(lane("a", 2, 8, 0)), "+stuck/a"},
			{23 * m, lanes(lane("a", 0, 8, 0)), "-stuck/a"},
		}},
		"a lane that goes on": {nil, []step{
			{0, lanes(lane("a", 9, 1, 0)), ""}, {9 * m, lanes(lane("a", 9, 2, 0)), ""},
			{18 * m, lanes(lane("a", 9, 3, 0)), ""},
		}},
		"a lane that is held": {nil, []step{
			{0, lanes(held), ""}, {20 * m, lanes(held), ""},
			{21 * m, lanes(lane("a", 5, 0, 0)), ""}, {30 * m, lanes(lane("a", 5, 0, 0)), "+stuck/a"},
		}},
		"the lane of the watch": {nil, []step{
			{0, lanes(lane("oncall", 1, 0, 0)), ""}, {20 * m, lanes(lane("oncall", 1, 0, 0)), ""},
		}},
		"unrouted": {nil, []step{
			{0, heard(1, 0), ""}, {m, heard(1, 1), "+unrouted"}, {50 * m, heard(1, 2), ""},
			{61 * m, heard(1, 2), "+unrouted"}, {109 * m, heard(1, 2), ""},
			{110 * m, heard(1, 2), "-unrouted"}, {111 * m, heard(1, 2), ""},
		}},
		"silence": {nil, []step{
			{h, heard(0, 0), ""}, {2 * h, heard(0, 0), "+silence"}, {3 * h, heard(0, 0), ""},
			{4 * h, heard(4*h, 0), "-silence"}, {5 * h, heard(4*h, 0), ""},
			{6 * h, heard(4*h, 0), "+silence"},
		}},
		"a full store": {nil, []step{
			{0, Figures{Full: 79}, ""}, {m, Figures{Full: 80}, "+full"}, {2 * m, Figures{Full: 75}, ""},
			{3 * m, Figures{Full: 69}, "-full"},
		}},
		"what an earlier process has said": {[]string{"dead/a", "stuck/a", "stuck/b", "silence"}, []step{
			{0, lanes(lane("a", 1, 0, 0), lane("b", 0, 0, 0)), "-dead/a -stuck/b"},
			{m, lanes(lane("a", 1, 0, 0)), ""},
			{2 * m, Figures{LastWebhook: 2 * m, Lanes: []Lane{lane("a", 1, 1, 0)}}, "-silence -stuck/a"},
		}},
		"what an earlier process has not routed": {[]string{"unrouted"}, []step{
			{m, heard(1, 0), ""}, {59 * m, heard(1, 0), ""}, {60 * m, heard(1, 0), "-unrouted"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPolicy()
			for _, key := range test.adopted {
				p.Adopt(key, 0)
			}
			for _, s := range test.steps {
				reports := p.Judge(s.at, &settings, &s.f)
				if got := words(reports); got != s.want {
					t.Fatalf("after %v: got %q, want %q", s.at, got, s.want)
				}
				if again := p.Judge(s.at, &settings, &s.f); words(again) != s.want {
					t.Fatalf("after %v: %q is not said again although nobody took it", s.at, s.want)
				}
				for _, r := range reports {
					p.Reported(r, s.at)
				}
			}
		})
	}
}

// That the lane of the watch is stuck shows in LaneStuck alone.
func TestBlind(t *testing.T) {
	p, s := NewPolicy(), &Settings{Lane: "oncall", Stuck: 10 * time.Minute, Full: 100}
	for i, want := range []bool{false, false, true, false} {
		f := lanes(lane("oncall", 1, uint64(i/3), 0))
		if reports := p.Judge(time.Duration(i)*5*time.Minute, s, &f); len(reports) > 0 ||
			p.LaneStuck() != want {
			t.Errorf("step %d: %v, lane stuck %v, want %v", i, reports, p.LaneStuck(), want)
		}
	}
}

// The texts have the figures.
func TestTexts(t *testing.T) {
	p := NewPolicy()
	s := &Settings{Lane: "x", Stuck: 1, Silence: 2 * time.Hour, Full: 80}
	reports := p.Judge(3*time.Hour, s, &Figures{
		Lanes: []Lane{lane("a", 0, 0, 3)}, Unrouted: 4, Full: 90, What: "10 events",
	})
	text := fmt.Sprint(reports)
	for _, want := range []string{"3 dead letters in lane a", "nothing has come from Guance for 2h0m0s",
		"full to 90%", "Of 10 events.", "4 alerts"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
}
