package schedule

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
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
		add := func(e *store.Entry, r store.Record) {
			if _, cancelled := b.Add(e, r); cancelled != nil {
				flying = append(flying, *cancelled)
			}
		}
		for range 50 + r.IntN(150) {
			b.now = b.now.Add(time.Duration(r.IntN(int(3 * time.Second))))
			switch p := fmt.Sprint(r.IntN(40)); r.IntN(8) {
			case 0:
				add(b.recovery(p, 0), store.Record{Open: r.IntN(2) == 0, Shown: guance.LevelError,
					Doubt: r.IntN(3) == 0})
			case 1:
				add(b.entry(p, guance.StateNeither, guance.LevelNone, 0), store.Record{})
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
				e := b.fault(p, guance.Level(1+r.IntN(5)), 0)
				if r.IntN(8) == 0 { // a dead letter that is replayed has an old number
					e.Kept += time.Hour
				}
				add(e, store.Record{})
			}
		}
		// A forecast does not tell what will be sent a second time.
		for x := range b.problems.extras.all() {
			x.doubt = false
		}
		for p := range b.problems.all() {
			p.first.doubt = false
		}
		c := conditions(b.now)
		c.Limit, c.Took = []int{100, 1, 3}[seed/4%3], []time.Duration{slot / 10, 5 * slot / 2}[seed/2%2]
		c.Single = seed%7 == 0
		if _, down := b.Probe(); down || c.Single { // then what is in flight ends first
			for _, tk := range flying {
				b.answer(tk, Result{HandedBack: true})
			}
			flying = nil
		}
		c.InFlight = len(flying)
		compare(b, seed, c, flying)
	}
}

// compare plays what a schedule does with what the forecast says. The target takes everything.
func compare(b *bench, seed uint64, c Conditions, flying []Ticket) {
	forecast := b.Forecast(c, 1<<20)
	if got, _ := b.Pending(); len(forecast) != got {
		b.Fatalf("seed %d: %d entries in the forecast, and %d are pending", seed, len(forecast), got)
	}
	for n := range 6 {
		if first := b.Forecast(c, n); !slices.Equal(first, forecast[:min(n, len(forecast))]) {
			b.Fatalf("seed %d: the first %d entries are %+v, want %+v", seed, n, first, forecast)
		}
	}
	type answer struct {
		Ticket
		at time.Time
	}
	var answers []answer
	slices.SortFunc(flying, func(a, b Ticket) int { return cmp.Compare(a.Seq(), b.Seq()) })
	for i, tk := range flying {
		answers = append(answers, answer{tk, c.Now.Add(c.Took / 2)})
		if f := forecast[i]; f.Seq != tk.Seq() || !f.At.Equal(c.Now) || f.Reason != InFlight {
			b.Fatalf("seed %d: %+v, want entry %d in flight", seed, f, tk.Seq())
		}
	}
	bucket, single := c.Budget, c.Single
	for i, want := range forecast[len(flying):] {
		for {
			for len(answers) > 0 && !answers[0].at.After(b.now) {
				b.answer(answers[0].Ticket, delivered)
				answers, single = answers[1:], false
			}
			limit := b.Limit(c.Limit)
			if single {
				limit = 1
			}
			ok, at := b.Ready(b.now)
			if ok {
				at = bucket.next(b.now)
			}
			if ok && len(answers) < limit && !at.After(b.now) {
				break
			}
			full := len(answers) >= limit
			if len(answers) > 0 && (full || at.IsZero() || answers[0].at.Before(at)) {
				at = answers[0].at
			}
			if at.IsZero() {
				b.Fatalf("seed %d: nothing is left, want entry %d", seed, want.Seq)
			}
			b.now = at
		}
		tk, _ := b.Next(b.now)
		bucket.Tokens--
		if tk.Seq() != want.Seq || b.now.Sub(want.At).Abs() > time.Millisecond {
			b.Fatalf("seed %d: the %dth is entry %d at %v, forecast was %d at %v (%+v)", seed, i,
				tk.Seq(), b.now, want.Seq, want.At, want)
		}
		if p := tk.problem.first; want.State != guance.State(p.state) ||
			want.Level != guance.Level(p.level) || want.Failed != tk.Attempt()-1 {
			b.Fatalf("seed %d: entry %d is %+v", seed, tk.Seq(), want)
		}
		answers = append(answers, answer{tk, b.now.Add(c.Took)})
	}
}

// A second sending is ranked as one in the forecast too, once its time has come.
func TestForecastRanksARepeat(t *testing.T) {
	b := newBench(t, Policy{})
	b.accept(b.recovery("r", 0), store.Record{Open: true, Doubt: true})
	b.answer(b.send(1), delivered)
	for i := range tripAfter {
		b.accept(b.fault(fmt.Sprint(i), guance.LevelWarning, 0), store.Record{})
		tk, _ := b.Next(b.now)
		b.answer(tk, failure)
	}
	for i := range 100 { // as low, and younger
		b.accept(b.entry(fmt.Sprint("remark", i), guance.StateNeither, guance.LevelNone, 0),
			store.Record{})
	}
	compare(b, 0, conditions(b.now), nil)
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

// The time of the next token, and what is left in the bucket.
func TestBucketNext(t *testing.T) {
	const second = time.Second
	slow := Bucket{At: now, Burst: 3, Rate: 1, Full: 1}
	raised := Bucket{At: now, Burst: 3, Rate: 0.1, Full: 1, Step: 0.4, Raised: now, Every: 5 * second}
	tokens := func(n float64) Bucket {
		b := slow
		b.Tokens = n
		return b
	}
	changed := func(change func(b *Bucket)) Bucket {
		b := raised
		change(&b)
		return b
	}
	early := tokens(0.5)
	early.At = now.Add(9 * second)
	tests := map[string]struct {
		bucket   Bucket
		at, want time.Duration
		tokens   float64 // then
		rate     float64
	}{
		"empty":                 {slow, 0, second, 0, 1},
		"half a token":          {tokens(0.5), 0, second / 2, 0.5, 1},
		"one token":             {tokens(1), 0, 0, 1, 1},
		"nearly one":            {tokens(0.99999), 0, time.Millisecond, 0.99999, 1},
		"in debt":               {tokens(-2), 0, 3 * second, -2, 1},
		"it filled up":          {slow, 60 * second, 60 * second, 3, 1},
		"it filled some":        {slow, 1500 * time.Millisecond, 1500 * time.Millisecond, 1.5, 1},
		"half filled":           {slow, second / 2, second, 0.5, 1},
		"earlier than its time": {early, 0, 9500 * time.Millisecond, 0.5, 1},
		// 0.5 tokens in the first five seconds, then 0.5 a second.
		"it gets faster meanwhile": {raised, 0, 6 * second, 0, 0.1},
		"it got faster":            {raised, 5 * second, 6 * second, 0.5, 0.5},
		"not yet":                  {raised, 5*second - 1, 6 * second, 0.5, 0.1},
		"at full speed":            {raised, 15 * second, 15 * second, 3, 1},
		"a step beyond full speed": {changed(func(b *Bucket) { b.Step = 5 }), 6 * second, 6 * second,
			1.5, 1},
		"no steps": {changed(func(b *Bucket) { b.Every = 0 }), 0, 10 * second, 0, 0.1},
		"full speed makes no steps": {changed(func(b *Bucket) { b.Rate = 1 }), 7 * second / 10, second,
			0.7, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := test.bucket
			got := b.next(now.Add(test.at)).Sub(now)
			if (got - test.want).Abs() > time.Microsecond {
				t.Errorf("the next token comes after %v, want %v", got, test.want)
			}
			if math.Abs(b.Tokens-test.tokens) > 1e-6 || b.Rate != test.rate {
				t.Errorf("then it has %v tokens and rate %v, want %v and %v", b.Tokens, b.Rate,
					test.tokens, test.rate)
			}
		})
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
		"a pause that is over": {do: func(b *bench, c *Conditions) {
			fault(b, "a", guance.LevelWarning)
			c.From = b.now.Add(-time.Minute)
		}, want: []string{"1 turn 0s"}},
		"what is quarantined does not expire": {do: func(b *bench, c *Conditions) {
			c.From = b.now.Add(48 * time.Hour)
			fault(b, "a", guance.LevelWarning)
			b.Quarantine(b.send(1), b.now)
		}, want: []string{"1 backing off quarantined 48h0m0s"}},
		"a repeat of a target that is down keeps its time": {do: func(b *bench, _ *Conditions) {
			b.accept(b.recovery("r", 0), store.Record{Open: true, Doubt: true})
			b.answer(b.send(1), delivered)
			for i := range tripAfter {
				fault(b, fmt.Sprint(i), guance.LevelWarning)
				tk, _ := b.Next(b.now)
				b.answer(tk, failure)
			}
		}, want: []string{"2 backing off 250ms", "3 backing off 1.25s", "4 backing off 2.25s",
			"5 backing off 3.25s", "6 backing off 4.25s", "1 repeat 1m0s"}},
		"in flight elsewhere": {do: func(b *bench, c *Conditions) {
			fault(b, "a", guance.LevelWarning)
			c.InFlight, c.Limit = 5, 1 // the lanes of one account
		}, want: []string{"1 turn 50ms"}},
		"alone, beside one in flight": {do: func(b *bench, c *Conditions) {
			fault(b, "a", guance.LevelWarning)
			c.Single, c.InFlight = true, 1
		}, want: []string{"1 turn 50ms"}},
		"alone after a 429": {do: func(b *bench, c *Conditions) {
			for i := range 3 {
				fault(b, fmt.Sprint(i), guance.LevelWarning)
			}
			c.Single, c.InFlight, c.Took, c.Budget.Tokens, c.Budget.Burst = true, 2, slot, 3, 3
		}, want: []string{"1 turn 500ms", "2 turn 1.5s", "3 turn 1.5s"}},
		"it expires as its turn comes": {policy: Policy{MaxAge: time.Minute},
			do: func(b *bench, c *Conditions) {
				fault(b, "a", guance.LevelWarning)
				c.From = b.now.Add(time.Minute)
			}, want: []string{"1 turn 1m0s"}},
		"what is behind one that expires": {policy: Policy{MaxAge: time.Minute, EveryEvent: true},
			do: func(b *bench, c *Conditions) {
				fault(b, "a", guance.LevelWarning)
				b.now = b.now.Add(time.Minute)
				c.Now = b.now
				fault(b, "a", guance.LevelWarning)
				c.From = b.now.Add(time.Second)
			}, want: []string{"1 turn expires 0s", "2 behind 1s"}},
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
