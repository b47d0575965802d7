package schedule

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// slot is the time between two tokens in these tests.
const slot = time.Second

func conditions(now time.Time) Conditions {
	return Conditions{
		Now: now, Limit: 100, Took: slot / 10,
		Budget: Bucket{At: now, Tokens: 1, Burst: 1, Rate: 1 / slot.Seconds(), Full: 1 / slot.Seconds()},
	}
}

// A forecast is what the schedule then does, for schedules in many states: entries that wait, that
// back off, that are in flight, with queues, and a target that is down.
func TestForecastComesTrue(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 17))
		b := newBench(t, Policy{EveryEvent: seed%4 == 0, MaxAge: 48 * time.Hour, MaxAttempts: 1000})
		var flying []Ticket
		for range 50 + r.IntN(150) {
			b.now = b.now.Add(time.Duration(r.IntN(int(3 * time.Second))))
			switch p := fmt.Sprint(r.IntN(40)); r.IntN(8) {
			case 0:
				b.accept(b.recovery(p, 0), store.Record{Open: r.IntN(2) == 0, Shown: guance.LevelError})
			case 1:
				b.accept(b.entry(p, guance.StateNeither, guance.LevelNone, 0), store.Record{})
			case 2, 3:
				if tk, ok := b.Next(b.now); ok {
					flying = append(flying, tk)
				}
			case 4:
				if len(flying) > 0 {
					tk := flying[0]
					flying = flying[1:]
					switch {
					case r.IntN(5) == 0 && seed%3 == 0:
						b.Quarantine(tk, b.now)
					case r.IntN(3) > 0 || seed%5 == 0:
						b.answer(tk, failure)
					default:
						b.answer(tk, delivered)
					}
				}
			default:
				b.accept(b.fault(p, guance.Level(1+r.IntN(5)), 0), store.Record{})
			}
		}
		for _, tk := range flying { // what is in flight ends, so that both begin alike
			b.answer(tk, Result{HandedBack: true})
		}
		c := conditions(b.now)
		forecast := b.Forecast(c, 1<<20)
		if got, _ := b.Pending(); len(forecast) != got {
			t.Fatalf("seed %d: %d entries in the forecast, and %d are pending", seed, len(forecast), got)
		}
		if first := b.Forecast(c, 5); len(first) != min(5, len(forecast)) {
			t.Fatalf("seed %d: %d entries, want 5", seed, len(first))
		}
		bucket := c.Budget
		for i, want := range forecast {
			for {
				ok, at := b.Ready(b.now)
				if ok {
					at = bucket.next(b.now)
					if !at.After(b.now) {
						break
					}
				}
				if at.IsZero() {
					t.Fatalf("seed %d: nothing is left, want entry %d", seed, want.Seq)
				}
				b.now = at
			}
			tk, _ := b.Next(b.now)
			bucket.Tokens--
			if tk.Seq() != want.Seq || b.now.Sub(want.At).Abs() > time.Millisecond {
				t.Fatalf("seed %d: the %dth is entry %d at %v, forecast was %d at %v (%+v)", seed, i,
					tk.Seq(), b.now, want.Seq, want.At, want)
			}
			b.now = b.now.Add(c.Took)
			b.answer(tk, delivered)
		}
	}
}

// A bucket gives out what its rate allows, and gets faster.
func TestBucket(t *testing.T) {
	b := Bucket{At: now, Burst: 2, Rate: 0.5, Full: 1, Step: 0.25, Raised: now, Every: time.Minute}
	if got := b.next(now).Sub(now); got != 2*time.Second {
		t.Errorf("the first token comes after %v, want 2s", got)
	}
	sent, at := 0, now
	for at.Before(now.Add(4 * time.Minute)) {
		if then := b.next(at); then.After(at) {
			at = then
			continue
		}
		b.Tokens--
		sent++
	}
	if want := 30 + 45 + 60 + 60; sent < want-3 || sent > want+1 {
		t.Errorf("%d requests in four minutes, want %d", sent, want)
	}
}

// Why entries wait, and until when.
func TestForecastReasons(t *testing.T) {
	fault := func(b *bench, p string, l guance.Level) uint64 {
		e := b.fault(p, l, 0)
		b.accept(e, store.Record{})
		return e.Seq
	}
	tests := map[string]struct {
		policy Policy
		do     func(*bench, *Conditions)
		want   []string
	}{
		"turns in order of rank": {do: func(b *bench, _ *Conditions) {
			fault(b, "a", guance.LevelWarning)
			fault(b, "b", guance.LevelCritical)
		}, want: []string{"2 turn 0s", "1 turn 1s"}},
		"behind one in flight": {do: func(b *bench, _ *Conditions) {
			fault(b, "a", guance.LevelWarning)
			b.send(1)
			b.accept(b.recovery("a", 0), store.Record{})
		}, want: []string{"1 in flight 0s", "2 behind 50ms"}},
		"backing off": {do: func(b *bench, _ *Conditions) {
			fault(b, "a", guance.LevelWarning)
			b.answer(b.send(1), failure)
		}, want: []string{"1 backing off 250ms"}},
		"a pause": {do: func(b *bench, c *Conditions) {
			fault(b, "a", guance.LevelWarning)
			c.From = b.now.Add(time.Minute)
		}, want: []string{"1 turn 1m0s"}},
		"the target is down": {do: func(b *bench, _ *Conditions) {
			for i := range 6 {
				fault(b, fmt.Sprint(i), guance.LevelWarning)
			}
			for range tripAfter {
				tk, _ := b.Next(b.now)
				b.answer(tk, failure)
			}
		}, want: []string{"1 backing off 250ms", "2 backing off 1.25s", "3 backing off 2.25s",
			"4 backing off 3.25s", "5 backing off 4.25s", "6 down 5.25s"}},
		"quarantined": {policy: Policy{MaxAge: 24 * time.Hour}, do: func(b *bench, _ *Conditions) {
			fault(b, "a", guance.LevelWarning)
			b.Quarantine(b.send(1), b.now)
		}, want: []string{"1 backing off quarantined 1h0m0s"}},
		"it expires first": {policy: Policy{MaxAge: time.Minute}, do: func(b *bench, c *Conditions) {
			fault(b, "a", guance.LevelWarning)
			c.From = b.now.Add(time.Hour)
		}, want: []string{"1 turn expires 1m0s"}},
		"a repeat": {do: func(b *bench, _ *Conditions) {
			b.accept(b.recovery("a", 0), store.Record{Open: true, Doubt: true})
			b.answer(b.send(1), delivered)
		}, want: []string{"1 repeat 1m0s"}},
		"sent now": {do: func(b *bench, _ *Conditions) {
			fault(b, "a", guance.LevelWarning)
			fault(b, "b", guance.LevelCritical)
			fault(b, "c", guance.LevelWarning)
			if !b.SendNow("c", 3) || b.SendNow("c", 4) || b.SendNow("d", 1) {
				b.Error("SendNow takes what is not pending, or not what is")
			}
		}, want: []string{"3 turn 0s", "2 turn 1s", "1 turn 2s"}},
		"a queue where every event is sent": {policy: Policy{EveryEvent: true},
			do: func(b *bench, _ *Conditions) {
				for range 3 {
					fault(b, "a", guance.LevelWarning)
				}
			}, want: []string{"1 turn 0s", "2 behind 1s", "3 behind 2s"}},
	}
	words := map[Reason]string{Behind: "behind", InFlight: "in flight", Repeat: "repeat",
		BackingOff: "backing off", Down: "down", Turn: "turn"}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.policy.MaxAge == 0 {
				test.policy.MaxAge = 24 * time.Hour
			}
			b := newBench(t, test.policy)
			b.jitter = func(int64) int64 { return 0 }
			c := conditions(b.now)
			test.do(b, &c)
			got := b.Forecast(c, 100)
			if len(got) != len(test.want) {
				t.Fatalf("%d entries, want %d: %+v", len(got), len(test.want), got)
			}
			for i, f := range got {
				line := fmt.Sprint(f.Seq, " ", words[f.Reason])
				if f.Quarantined {
					line += " quarantined"
				}
				if f.Expires {
					line += " expires"
				}
				if line += " " + f.At.Sub(c.Now).String(); line != test.want[i] {
					t.Errorf("entry %d: %q, want %q", i, line, test.want[i])
				}
			}
		})
	}
}

// What an operator sends now ends its backoff, and loses its rank once it has ended.
func TestSendNow(t *testing.T) {
	b := newBench(t, Policy{MaxAge: time.Hour})
	b.accept(b.fault("a", guance.LevelWarning, 0), store.Record{})
	b.answer(b.send(1), failure)
	b.accept(b.fault("b", guance.LevelCritical, 0), store.Record{})
	if !b.SendNow("a", 1) {
		t.Fatal("SendNow of an entry that backs off")
	}
	tk := b.send(1)
	if b.SendNow("a", 1) {
		t.Error("SendNow of an entry in flight")
	}
	b.answer(tk, delivered)
	b.answer(b.send(2), delivered)
	if b.problems.len != 0 || b.problems.extras.len != 0 {
		t.Errorf("%d problems and %d extras are left", b.problems.len, b.problems.extras.len)
	}
}

// A page of the waiting room costs by its length: as much memory with a large backlog as with a
// small one.
func TestForecastCostsByThePage(t *testing.T) {
	var bytes [2]uint64
	for i, n := range []int{1_000, 100_000} {
		b := newBench(t, Policy{})
		for j := range n {
			b.accept(b.fault(fmt.Sprint(j), guance.Level(1+j%5), 0), store.Record{})
		}
		c := conditions(b.now)
		if got := len(b.Forecast(c, 50)); got != 50 {
			t.Fatalf("%d entries, want 50", got)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 10 {
			b.Forecast(c, 50)
		}
		runtime.ReadMemStats(&after)
		bytes[i] = after.TotalAlloc - before.TotalAlloc
	}
	if bytes[1] > 2*bytes[0] {
		t.Errorf("a page of 50 takes %d bytes of 1,000 entries, and %d of 100,000", bytes[0]/10,
			bytes[1]/10)
	}
}

// BenchmarkForecast is the first page of a million pending problems.
func BenchmarkForecast(b *testing.B) {
	s := New(Policy{MaxAge: time.Hour}, func(n int64) int64 { return n / 2 })
	for i := range 1_000_000 {
		s.Add(&store.Entry{
			Seq: uint64(i + 1), Problem: fmt.Sprint(i), State: guance.StateProblem,
			Level: guance.Level(1 + i%5), Kept: time.Duration(i + 1),
		}, store.Record{})
	}
	c := conditions(time.Unix(1, 0))
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if len(s.Forecast(c, n)) != n {
					b.Fatal("too few")
				}
			}
		})
	}
}
