package relaytest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/store"
)

// start is the zero of every tale.
var start = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time {
	return start.Add(time.Duration(seconds * float64(time.Second)))
}

// A tale is a history that is written down line by line.
type tale struct{ relaytest.History }

const (
	info     = guance.LevelInfo
	warning  = guance.LevelWarning
	critical = guance.LevelCritical
	ok       = guance.LevelNone // a recovery
)

func state(l guance.Level) guance.State {
	switch l {
	case ok:
		return guance.StateRecovered
	case info:
		return guance.StateNeither
	}
	return guance.StateProblem
}

// takes: the relay accepted an event of the moment.
func (h *tale) takes(seq uint64, problem string, l guance.Level, s float64) *relaytest.Accepted {
	h.Accepted = append(h.Accepted, relaytest.Accepted{Seq: seq, ID: fmt.Sprint("e", seq),
		Problem: problem, State: state(l), Level: l, Time: at(s), At: at(s)})
	return &h.Accepted[len(h.Accepted)-1]
}

func (h *tale) of(seq uint64) relaytest.Accepted {
	for _, a := range h.Accepted {
		if a.Seq == seq {
			return a
		}
	}
	return relaytest.Accepted{Seq: seq, Problem: "unheard of"}
}

// sends: an entry was on the wire for a tenth of a second.
func (h *tale) sends(seq uint64, s float64, answer relaytest.Answer) *relaytest.Attempt {
	e := h.of(seq)
	h.Attempts = append(h.Attempts, relaytest.Attempt{Seq: seq, Problem: e.Problem, State: e.State,
		Level: e.Level, Start: at(s), End: at(s + .1), Answer: answer})
	return &h.Attempts[len(h.Attempts)-1]
}

func (h *tale) settles(seq uint64, s float64, o store.Outcome) {
	h.Settled = append(h.Settled, store.Settlement{Entry: store.Entry{Seq: seq,
		Problem: h.of(seq).Problem}, Outcome: o, Reason: "a reason", At: at(s)})
}

// delivers: an entry was sent, taken and recorded.
func (h *tale) delivers(seq uint64, s float64) {
	h.sends(seq, s, relaytest.Taken)
	h.settles(seq, s+.1, store.Delivered)
}

func judge(
	t *testing.T, h *relaytest.History, rules *relaytest.Rules,
) (promise int, v *relaytest.Violation) {
	t.Helper()
	err := h.Check(rules)
	if err == nil {
		return 0, &relaytest.Violation{}
	}
	v, found := errors.AsType[*relaytest.Violation](err)
	if !found {
		t.Fatalf("the history is refused: %v", err)
	}
	return v.Promise, v
}

// Each history is legal, or breaks one promise in the way its name says.
func TestHistories(t *testing.T) {
	for _, tc := range []struct {
		name    string
		promise int    // 0: none is broken
		seq     uint64 // that breaks it
		says    string
		rules   relaytest.Rules
		tell    func(h *tale)
	}{
		// Legal ones.
		{name: "nothing happened", tell: func(*tale) {}},
		{name: "a problem and its recovery", tell: func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.delivers(1, 1)
			h.takes(2, "p", ok, 60)
			h.delivers(2, 61)
		}},
		{name: "an answer lost in a crash, sent again", tell: func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.sends(1, 1, relaytest.Unknown).End = time.Time{}
			h.sends(1, 5, relaytest.Taken)
			h.settles(1, 5, store.Delivered)
		}},
		{name: "a mark lost in a crash, sent again", tell: func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.sends(1, 1, relaytest.Taken)
			h.sends(1, 5, relaytest.Taken)
			h.settles(1, 5, store.Delivered)
		}},
		{name: "newer events take the place of older ones", tell: func(h *tale) {
			h.takes(1, "p", warning, 0)
			h.takes(2, "p", info, 1)
			h.takes(3, "p", critical, 2)
			h.settles(1, 2, store.Superseded)
			h.settles(2, 2, store.Superseded)
			h.delivers(3, 3)
		}},
		{name: "a pair that cancels", tell: func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.takes(2, "p", ok, 1)
			h.settles(1, 1, store.Superseded)
			h.settles(2, 1, store.Superseded)
		}},
		{name: "a late event", tell: func(h *tale) {
			h.takes(1, "p", ok, 100)
			h.delivers(1, 101)
			h.takes(2, "p", critical, 102).Time = at(90)
			h.settles(2, 102, store.Superseded)
		}},
		{name: "an old event that is too old to be late", tell: func(h *tale) {
			h.takes(1, "p", ok, 1000)
			h.delivers(1, 1001)
			h.takes(2, "p", critical, 1002).Time = at(0)
			h.delivers(2, 1003)
		}},
		{name: "an event that is late after an ignored one", tell: func(h *tale) {
			h.takes(1, "p", ok, 0)
			h.delivers(1, 1)
			h.takes(2, "p", warning, 20)
			h.settles(2, 20, store.Ignored)
			h.takes(3, "p", critical, 21).Time = at(15)
			h.settles(3, 21, store.Superseded)
		}},
		{name: "a pair that cancels, late only after an ignored one", tell: func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.takes(2, "p", ok, 20)
			h.settles(2, 20, store.Ignored)
			h.takes(3, "p", ok, 21).Time = at(15)
			h.settles(1, 21, store.Superseded)
			h.settles(3, 21, store.Superseded)
		}},
		{name: "a dead letter that was replayed", tell: func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.sends(1, 1, relaytest.Refused)
			h.settles(1, 1.1, store.Dead)
			h.sends(1, 500, relaytest.Taken)
			h.settles(1, 500.1, store.Delivered)
		}},
		{name: "a recovery that is dead leaves the problem shown", tell: func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.delivers(1, 1)
			h.takes(2, "p", ok, 2)
			h.sends(2, 3, relaytest.Refused)
			h.settles(2, 3.1, store.Dead)
		}},
		{name: "a recovery that is dead and may have arrived", tell: func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.delivers(1, 1)
			h.takes(2, "p", ok, 2)
			h.sends(2, 3, relaytest.Unknown)
			h.settles(2, 3.1, store.Dead)
		}},
		{name: "a recovery gives its place to one that is dead", tell: func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.delivers(1, 1)
			h.takes(2, "p", ok, 2)
			h.takes(3, "p", ok, 3)
			h.settles(2, 3, store.Superseded)
			h.sends(3, 4, relaytest.Refused)
			h.settles(3, 4, store.Dead)
		}},
		{name: "ignored when it was accepted, and ignored by the sink", tell: func(h *tale) {
			h.takes(1, "p", warning, 0)
			h.settles(1, 0, store.Ignored)
			h.takes(2, "p", warning, 1)
			h.sends(2, 1, relaytest.Unsent)
			h.settles(2, 1.1, store.Ignored)
		}},
		{name: "stopped before the end", tell: func(h *tale) {
			h.Unfinished = true
			h.takes(1, "p", critical, 0)
			h.delivers(1, 1)
			h.takes(2, "p", ok, 2)
		}},
		{name: "unsure and kept, unsure and not kept", tell: func(h *tale) {
			h.takes(1, "p", critical, 0).Unsure = true
			h.delivers(1, 1)
			h.takes(2, "p", ok, 2).Unsure = true
		}},
		{name: "throttled to death of old age", tell: func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.sends(1, 10, relaytest.Throttled)
			h.settles(1, 73*3600, store.Dead)
		}},
		{name: "dead and never sent", tell: func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.settles(1, 1, store.Dead)
		}},
		{name: "every event of a lane that wants them", rules: relaytest.Rules{Every: true},
			tell: func(h *tale) {
				h.takes(1, "p", ok, 100)
				h.takes(2, "p", critical, 101).Time = at(90)
				h.delivers(1, 102)
				h.delivers(2, 103)
			}},
		{name: "as many as allowed in a minute, from one to the next",
			rules: relaytest.Rules{PerMinute: 3}, tell: func(h *tale) {
				for i := range uint64(9) {
					h.takes(i+1, fmt.Sprint("p", i), critical, 0)
					h.delivers(i+1, float64(i)*20)
				}
			}},
		{name: "more than allowed in a minute, and not on the wire",
			rules: relaytest.Rules{PerMinute: 3}, tell: func(h *tale) {
				for i := range uint64(9) {
					h.takes(i+1, fmt.Sprint("p", i), critical, 0)
					h.sends(i+1, float64(i), relaytest.Unsent)
					h.settles(i+1, float64(i)+.1, store.Ignored)
				}
			}},

		// Promise 2.
		{name: "an entry without an outcome", promise: 2, seq: 1,
			says: "no outcome after 1 attempts", tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.sends(1, 1, relaytest.Taken)
			}},
		{name: "two outcomes", promise: 2, seq: 1, says: "two outcomes, delivered and then dead",
			tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.delivers(1, 1)
				h.settles(1, 2, store.Dead)
			}},
		{name: "an outcome of nothing", promise: 2, says: "superseded was recorded of entry 7",
			tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.delivers(1, 1)
				h.settles(7, 2, store.Superseded)
			}},
		{name: "an event that nobody sent", promise: 2, says: "was sent and never accepted",
			tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.delivers(1, 1)
				h.sends(7, 2, relaytest.Taken)
			}},
		{name: "delivered to nobody", promise: 2, seq: 1, says: "took none of its 1 attempts",
			tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.sends(1, 1, relaytest.Unknown)
				h.settles(1, 1, store.Delivered)
			}},
		{name: "superseded by nothing", promise: 2, seq: 1, says: "no newer event",
			tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.settles(1, 1, store.Superseded)
				h.takes(2, "q", critical, 0)
				h.delivers(2, 1)
			}},
		{name: "superseded by what was ignored", promise: 2, seq: 1, says: "no newer event",
			tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.takes(2, "p", warning, 1)
				h.settles(2, 1, store.Ignored)
				h.settles(1, 1, store.Superseded)
			}},
		{name: "superseded by what has no state", promise: 2, seq: 1, says: "no newer event",
			tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.takes(2, "p", info, 1)
				h.settles(1, 1, store.Superseded)
				h.delivers(2, 2)
			}},
		{name: "superseded where every event is wanted", promise: 2, seq: 1,
			says: "wants every event", rules: relaytest.Rules{Every: true}, tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.takes(2, "p", ok, 1)
				h.settles(1, 1, store.Superseded)
				h.delivers(2, 2)
			}},
		{name: "dead without a reason", promise: 2, seq: 1, says: "without a reason",
			tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.settles(1, 1, store.Dead)
				h.Settled[0].Reason = ""
			}},
		{name: "a fifth outcome", promise: 2, seq: 1, says: "none of the four",
			tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.settles(1, 1, 5)
			}},
		{name: "sent again once delivered", promise: 2, seq: 1, says: "sent again",
			tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.delivers(1, 1)
				h.sends(1, 60, relaytest.Taken)
			}},
		{name: "unsure, sent, and forgotten", promise: 2, seq: 1, says: "no outcome",
			tell: func(h *tale) {
				h.takes(1, "p", critical, 0).Unsure = true
				h.sends(1, 1, relaytest.Taken)
			}},

		// Promise 3.
		{name: "a recovery overtakes its trigger", promise: 3, seq: 1,
			says: "after the newer entry 2", tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.takes(2, "p", ok, 1)
				h.delivers(2, 2)
				h.delivers(1, 3)
			}},
		{name: "a trigger is tried again after its recovery", promise: 3, seq: 1,
			says: "after the newer entry 2", tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.sends(1, 1, relaytest.Unknown)
				h.takes(2, "p", ok, 2)
				h.delivers(2, 3)
				h.sends(1, 4, relaytest.Taken)
				h.settles(1, 5, store.Delivered)
			}},
		{name: "a crash sends what was delivered before", promise: 3, seq: 1,
			says: "after the newer entry 2", tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.delivers(1, 1)
				h.takes(2, "p", ok, 2)
				h.delivers(2, 3)
				h.sends(1, 10, relaytest.Taken)
				h.sends(2, 11, relaytest.Taken)
			}},
		{name: "a dead letter is replayed after newer news", promise: 3, seq: 1,
			says: "after the newer entry 2", tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.sends(1, 1, relaytest.Refused)
				h.settles(1, 1, store.Dead)
				h.takes(2, "p", ok, 2)
				h.delivers(2, 3)
				h.sends(1, 10, relaytest.Refused)
				h.settles(1, 11, store.Dead)
			}},
		{name: "the superseded was on the wire", promise: 3, seq: 1, says: "was on the wire",
			tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.sends(1, 1, relaytest.Unknown)
				h.takes(2, "p", ok, 2)
				h.settles(1, 2, store.Superseded)
				h.delivers(2, 3)
			}},
		{name: "two of one problem at once", promise: 3, seq: 2, says: "in flight until",
			tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.takes(2, "p", ok, 1)
				h.sends(1, 2, relaytest.Taken).End = at(9)
				h.settles(1, 9, store.Delivered)
				h.delivers(2, 3)
			}},
		{name: "two of one problem at once, the first of them tried again", promise: 3, seq: 2,
			says: "while entry 1 was in flight until 03:00:09", tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.takes(2, "p", ok, 1)
				h.sends(1, 2, relaytest.Unknown).End = at(9)
				h.sends(1, 3, relaytest.Taken)
				h.settles(1, 3, store.Delivered)
				h.delivers(2, 4)
			}},

		// Promise 4.
		{name: "a recovery is cancelled with a repeat", promise: 4, seq: 3,
			says: "shows problem at level critical (entry 1), and last said was recovered (entry " +
				"3)", tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.delivers(1, 1)
				h.takes(2, "p", critical, 2)
				h.takes(3, "p", ok, 3)
				h.settles(2, 3, store.Superseded)
				h.settles(3, 3, store.Superseded)
			}},
		{name: "a level that never arrives", promise: 4, seq: 2, says: "level warning (entry 2), " +
			"and last said was problem at level critical", tell: func(h *tale) {
			h.takes(1, "p", warning, 0)
			h.takes(2, "p", critical, 1)
			h.settles(1, 1, store.Superseded)
			h.sends(2, 2, relaytest.Taken).Level = warning
			h.settles(2, 2, store.Delivered)
		}},
		{name: "a mapping that resolves what is critical", promise: 4, seq: 1,
			says: "shows recovered", tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.sends(1, 1, relaytest.Taken).State = guance.StateRecovered
				h.settles(1, 1, store.Delivered)
			}},
		{name: "an event that is too old to be late, dropped as late", promise: 2, seq: 2,
			says: "no newer event", tell: func(h *tale) {
				h.takes(1, "p", ok, 1000)
				h.delivers(1, 1001)
				h.takes(2, "p", critical, 1002).Time = at(0)
				h.settles(2, 1002, store.Superseded)
			}},
		{name: "a late event that was shown", promise: 4, seq: 1, says: "shows problem",
			tell: func(h *tale) {
				h.takes(1, "p", ok, 100)
				h.delivers(1, 101)
				h.takes(2, "p", critical, 102).Time = at(90)
				h.delivers(2, 103)
			}},
		{name: "a dead trigger that may have arrived, older than the last word", promise: 4, seq: 2,
			says: "shows problem", tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.sends(1, 1, relaytest.Unknown)
				h.settles(1, 2, store.Dead)
				h.takes(2, "p", ok, 3)
				h.settles(2, 3, store.Superseded)
			}},

		// Promise 5.
		{name: "one too many in a minute that is none of the clock's", promise: 5, seq: 5,
			says: "4 attempts within 59s, allowed are 3", rules: relaytest.Rules{PerMinute: 3},
			tell: func(h *tale) {
				for i, s := range []float64{0, 31, 50, 70, 90} {
					h.takes(uint64(i)+1, fmt.Sprint("p", i), critical, 0)
					h.delivers(uint64(i)+1, s)
				}
			}},
		{name: "retries that are not counted", promise: 5, seq: 1, says: "4 attempts",
			rules: relaytest.Rules{PerMinute: 3}, tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				for s := range 3 {
					h.sends(1, float64(s), relaytest.Unknown)
				}
				h.delivers(1, 4)
			}},
		{name: "throttled to death", promise: 5, seq: 1, says: "throttled, 2 times",
			tell: func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.sends(1, 1, relaytest.Throttled)
				h.sends(1, 60, relaytest.Throttled)
				h.settles(1, 61, store.Dead)
			}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var h tale
			tc.tell(&h)
			promise, v := judge(t, &h.History, &tc.rules)
			if promise != tc.promise || v.Seq != tc.seq || !strings.Contains(v.Text, tc.says) {
				t.Errorf("Check says %v, want promise %d, entry %d, %q\n%s", v, tc.promise, tc.seq,
					tc.says, h.Timeline("p"))
			}
		})
	}
}

// behind tells of a critical problem that is sent after n others of which each is what tell makes
// it.
func behind(n int, tell func(h *tale, seq uint64, problem string, s float64)) *tale {
	var h tale
	h.takes(1000, "page", critical, 99)
	for i := range n {
		tell(&h, uint64(i)+1, fmt.Sprint("p", i), 100+float64(i))
	}
	h.delivers(1000, 100+float64(n))
	return &h
}

// Promise 6: the bound is exact, and it counts what is of lower rank alone.
func TestWorstNewsFirst(t *testing.T) {
	lesser := func(h *tale, seq uint64, problem string, s float64) {
		h.takes(seq, problem, warning, 0)
		h.delivers(seq, s)
	}
	shown := func(l guance.Level) func(h *tale, seq uint64, problem string, s float64) {
		return func(h *tale, seq uint64, problem string, s float64) {
			h.takes(seq, problem, critical, 0)
			h.delivers(seq, float64(seq)/2)
			h.takes(seq+500, problem, l, 80)
			h.delivers(seq+500, s)
		}
	}
	for _, tc := range []struct {
		name  string
		tell  func(h *tale, seq uint64, problem string, s float64)
		rules relaytest.Rules
		most  int // that may go before
	}{
		{"lesser problems", lesser, relaytest.Rules{PerMinute: -1, InFlight: 8}, 10},
		// twice 32 in flight, one, and every eighth
		{"lesser problems, by the default", lesser, relaytest.Rules{PerMinute: -1}, 74},
		{"lesser problems, nothing in flight", lesser, relaytest.Rules{PerMinute: -1, InFlight: 1},
			2},
		{"lesser problems, every other send aged", lesser,
			relaytest.Rules{PerMinute: -1, InFlight: 8, AgedShare: 2}, 18},
		{"recoveries", shown(ok), relaytest.Rules{PerMinute: -1, InFlight: 8}, 10},
		{"repeats", shown(critical), relaytest.Rules{PerMinute: -1, InFlight: 8}, 10},
		{"what has no state", func(h *tale, seq uint64, problem string, s float64) {
			h.takes(seq, problem, info, 0)
			h.delivers(seq, s)
		}, relaytest.Rules{PerMinute: -1, InFlight: 8}, 10},
		{"older problems as bad", func(h *tale, seq uint64, problem string, s float64) {
			h.takes(seq, problem, critical, 0)
			h.delivers(seq, s)
		}, relaytest.Rules{PerMinute: -1, InFlight: 8}, 99},
		{"newer problems as bad", func(h *tale, seq uint64, problem string, s float64) {
			h.takes(seq+2000, problem, critical, 99)
			h.delivers(seq+2000, s)
		}, relaytest.Rules{PerMinute: -1, InFlight: 8}, 10},
		{"worse problems", func(h *tale, seq uint64, problem string, s float64) {
			h.takes(seq+2000, problem, guance.LevelFatal, 99)
			h.delivers(seq+2000, s)
		}, relaytest.Rules{PerMinute: -1, InFlight: 8}, 99},
	} {
		for _, n := range []int{tc.most, tc.most + 1} {
			if n == 100 {
				continue
			}
			h := behind(n, tc.tell)
			promise, v := judge(t, &h.History, &tc.rules)
			if want := map[bool]int{true: 6}[n > tc.most]; promise != want {
				t.Errorf("%d %s before a critical problem: Check says %v, want promise %d", n,
					tc.name, v, want)
			}
			if promise == 6 && (v.Problem != "page" || v.Seq != 1000) {
				t.Errorf("%d %s: Check names %q, entry %d", n, tc.name, v.Problem, v.Seq)
			}
		}
	}
}

// What is not judged by promise 6: no news, news that is not ready, news that is taken back.
func TestWorstNewsFirstIsFair(t *testing.T) {
	for _, tc := range []struct {
		name    string
		promise int
		// of problem "page", before which 20 lesser ones go from 100 s to 119 s
		tell func(h *tale)
	}{
		{"new and ready, at last", 6, func(h *tale) {
			h.takes(1000, "page", critical, 99)
			h.delivers(1000, 120)
		}},
		{"new, ready and starved", 6, func(h *tale) {
			h.Unfinished = true
			h.takes(1000, "page", critical, 99)
		}},
		{"new again after a recovery", 6, func(h *tale) {
			h.takes(900, "page", critical, 1)
			h.delivers(900, 2)
			h.takes(901, "page", ok, 3)
			h.delivers(901, 4)
			h.takes(1000, "page", critical, 99)
			h.delivers(1000, 120)
		}},
		{"it is shown", 0, func(h *tale) {
			h.takes(900, "page", warning, 1)
			h.delivers(900, 2)
			h.takes(1000, "page", critical, 99)
			h.delivers(1000, 120)
		}},
		{"it may be shown", 0, func(h *tale) {
			h.takes(900, "page", warning, 1)
			h.sends(900, 2, relaytest.Unknown)
			h.settles(900, 3, store.Dead)
			h.takes(1000, "page", critical, 99)
			h.delivers(1000, 120)
		}},
		{"an older event of it is not settled", 0, func(h *tale) {
			h.takes(900, "page", info, 1)
			h.takes(1000, "page", critical, 99)
			h.delivers(900, 119.5)
			h.delivers(1000, 120)
		}},
		{"it recovered while it waited", 0, func(h *tale) {
			h.takes(1000, "page", critical, 99)
			h.takes(1001, "page", ok, 110)
			h.settles(1000, 110, store.Superseded)
			h.settles(1001, 110, store.Superseded)
		}},
		{"it became less while it waited", 0, func(h *tale) {
			h.takes(1000, "page", critical, 99)
			h.takes(1001, "page", warning, 110)
			h.settles(1000, 110, store.Superseded)
			h.delivers(1001, 120)
		}},
		{"it is dead of old age, unsent", 0, func(h *tale) {
			h.takes(1000, "page", critical, 99)
			h.settles(1000, 120, store.Dead)
		}},
		{"nobody knows whether it was accepted", 0, func(h *tale) {
			h.Unfinished = true
			h.takes(1000, "page", critical, 99).Unsure = true
		}},
	} {
		var h tale
		for i := range 20 {
			h.takes(uint64(i)+1, fmt.Sprint("p", i), warning, 0)
			h.delivers(uint64(i)+1, 100+float64(i))
		}
		tc.tell(&h)
		if promise, v := judge(t, &h.History, &relaytest.Rules{PerMinute: -1,
			InFlight: 8}); promise != tc.promise {
			t.Errorf("%s: Check says %v, want promise %d\n%s", tc.name, v, tc.promise,
				h.Timeline("page"))
		}
	}
}

// A history that cannot be is refused, and not judged.
func TestHistoryThatContradictsItself(t *testing.T) {
	for _, tc := range []struct {
		says string
		tell func(h *tale)
	}{
		{"two entries have the sequence number 1", func(h *tale) {
			h.takes(1, "p", critical,
				0)
			h.takes(1, "q", ok, 1)
		}},
		{"ends before it begins", func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.sends(1, 1,
				relaytest.Taken).End = at(0)
		}},
		{`was sent as of "q"`, func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.sends(1, 1,
				relaytest.Taken).Problem = "q"
		}},
		{`was settled as of "q"`, func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.delivers(1,
				1)
			h.Settled[0].Problem = "q"
		}},
		{"has no outcome", func(h *tale) { h.takes(1, "p", critical, 0); h.settles(1, 1, 0) }},
		{"has no sequence number and others do", func(h *tale) {
			h.takes(1, "p", critical,
				0)
			h.takes(0, "q", critical, 0)
		}},
		{"neither sequence number nor ID", func(h *tale) { h.takes(0, "p", critical, 0).ID = "" }},
	} {
		var h tale
		tc.tell(&h)
		err := h.Check(nil)
		if _, violation := errors.AsType[*relaytest.Violation](err); err == nil || violation ||
			!strings.Contains(err.Error(), tc.says) {
			t.Errorf("Check says %v, want a refusal with %q", err, tc.says)
		}
	}
}

// A sender knows no sequence numbers: the same story is told by ids, in attempts that have a
// store's numbers.
func TestHistoryOfASender(t *testing.T) {
	tell := func() *tale {
		var h tale
		h.takes(0, "p", critical, 0).ID = "a"
		h.takes(0, "p", critical, 1).ID = "a" // sent again: a duplicate
		h.takes(0, "p", ok, 2).ID = "b"
		for i, id := range []string{"a", "b"} {
			e := h.Accepted[2*i]
			h.Attempts = append(h.Attempts, relaytest.Attempt{Seq: 71 + uint64(i), ID: id,
				Problem: "p", State: e.State, Level: e.Level, Start: at(5 + float64(i)),
				Answer: relaytest.Taken})
			h.Settled = append(h.Settled, store.Settlement{Entry: store.Entry{Seq: 71 + uint64(i),
				ID: id, Problem: "p"}, Outcome: store.Delivered, At: at(6 + float64(i))})
		}
		return &h
	}
	h := tell()
	if promise, v := judge(t, &h.History, nil); promise != 0 {
		t.Errorf("Check says %v of a sender's history that is legal", v)
	}
	before := tell()
	if diff := cmp.Diff(before, h, cmp.AllowUnexported(tale{})); diff != "" {
		t.Errorf("Check changed the history: %s", diff)
	}
	h.Attempts[0].Start = at(9)
	if promise, v := judge(t, &h.History, nil); promise != 3 || v.Seq != 1 {
		t.Errorf("Check says %v, want promise 3 broken by the sender's first event", v)
	}
}

func TestStory(t *testing.T) {
	var h tale
	h.takes(1, "p", critical, 0)
	h.takes(2, "q", critical, 0)
	h.sends(1, 1, relaytest.Throttled)
	h.delivers(1, 31)
	const want = `03:00:00.000 seq 1 accepted: problem critical, of 03:00:00.000
03:00:01.000 seq 1 on the wire: problem critical, throttled after 100ms
03:00:31.000 seq 1 on the wire: problem critical, taken after 100ms
03:00:31.100 seq 1 recorded: delivered, a reason
`
	if diff := cmp.Diff(want, h.Timeline("p")); diff != "" {
		t.Error(diff)
	}
}

// What the target shows at the end counts, whatever it answered; a recovery that was taken twice is
// no violation.
func TestCheckJudgesWhatTheTargetShowsAtTheEnd(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	sec := func(n int) time.Time { return at.Add(time.Duration(n) * time.Second) }
	h := &relaytest.History{
		Accepted: []relaytest.Accepted{
			{Seq: 1, Problem: "p", State: guance.StateProblem, Level: guance.LevelCritical,
				At: sec(0)},
			{Seq: 2, Problem: "p", State: guance.StateRecovered, At: sec(20)},
		},
		Attempts: []relaytest.Attempt{
			{Seq: 1, Problem: "p", State: guance.StateProblem, Level: guance.LevelCritical,
				Start: sec(1), End: sec(2), Answer: relaytest.Taken},
			{Seq: 2, Problem: "p", State: guance.StateRecovered, Start: sec(21), End: sec(22),
				Answer: relaytest.Taken},
			{Seq: 2, Problem: "p", State: guance.StateRecovered, Start: sec(81), End: sec(82),
				Answer: relaytest.Taken},
		},
		Settled: []store.Settlement{
			{Entry: store.Entry{Seq: 1, Problem: "p"}, Outcome: store.Delivered, At: sec(3)},
			{Entry: store.Entry{Seq: 2, Problem: "p"}, Outcome: store.Delivered, At: sec(83)},
		},
	}
	for ends, sound := range map[guance.State]bool{guance.StateRecovered: true,
		guance.StateProblem: false} {
		h.Ends = map[string]guance.State{"p": ends}
		var v *relaytest.Violation
		if err := h.Check(nil); (err == nil) != sound || !sound &&
			(!errors.As(err, &v) || v.Promise != 4) {
			t.Errorf("the target ends with %v: %v", ends, err)
		}
	}
}

// What may have arrived excuses what the target shows at the end, and what is not at its end is not
// judged.
func TestCheckExcusesWhatMayHaveArrived(t *testing.T) {
	for _, tc := range []struct {
		name string
		ends guance.State
		seq  uint64 // that breaks promise 4
		says string // "": none does
		tell func(h *tale)
	}{
		{"the recovery is not settled", guance.StateProblem, 0, "", func(h *tale) {
			h.Unfinished = true
			h.takes(1, "p", critical, 0)
			h.delivers(1, 1)
			h.takes(2, "p", ok, 2)
			h.sends(2, 3, relaytest.Unknown)
		}},
		{"neither is it settled, and it arrived", guance.StateRecovered, 0, "", func(h *tale) {
			h.Unfinished = true
			h.takes(1, "p", critical, 0)
			h.delivers(1, 1)
			h.takes(2, "p", ok, 2)
			h.sends(2, 3, relaytest.Unknown)
		}},
		{"a dead recovery arrived", guance.StateRecovered, 0, "", func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.delivers(1, 1)
			h.takes(2, "p", ok, 2)
			h.sends(2, 3, relaytest.Unknown)
			h.settles(2, 4, store.Dead)
		}},
		{"a dead recovery did not arrive", guance.StateProblem, 0, "", func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.delivers(1, 1)
			h.takes(2, "p", ok, 2)
			h.sends(2, 3, relaytest.Unknown)
			h.settles(2, 4, store.Dead)
		}},
		{"a dead problem and nothing else", guance.StateProblem, 0, "", func(h *tale) {
			h.takes(1, "p", critical, 0)
			h.sends(1, 1, relaytest.Unknown)
			h.settles(1, 2, store.Dead)
		}},
		{"a dead problem arrived after its recovery", guance.StateProblem, 2,
			"last said was recovered (entry 2)", func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.sends(1, 1, relaytest.Unknown)
				h.settles(1, 2, store.Dead)
				h.takes(2, "p", ok, 3)
				h.delivers(2, 4)
			}},
		{"a dead recovery excuses no problem", guance.StateProblem, 0, "last said was nothing",
			func(h *tale) {
				h.takes(1, "p", ok, 0)
				h.sends(1, 1, relaytest.Unknown)
				h.settles(1, 2, store.Dead)
			}},
		{"what was ignored was never said", guance.StateProblem, 0,
			"the target shows problem at the end, and last said was nothing", func(h *tale) {
				h.takes(1, "p", critical, 0)
				h.settles(1, 1, store.Ignored)
			}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var h tale
			tc.tell(&h)
			h.Ends = map[string]guance.State{"p": tc.ends}
			promise, v := judge(t, &h.History, nil)
			if want := map[bool]int{true: 0, false: 4}[tc.says == ""]; promise != want ||
				v.Seq != tc.seq || !strings.Contains(v.Text, tc.says) {
				t.Errorf("Check says %v, want promise %d and %q", v, want, tc.says)
			}
		})
	}
}
