package relay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

func waiting(t testing.TB, r *relay.Relay, o *relay.WaitingOptions) *relay.WaitingPage {
	t.Helper()
	page, err := r.Waiting(t.Context(), "lane", o)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// The predicted time of sending against the actual one, over a storm with 429s: with a prediction
// after the last event, half of the errors are below a tenth of the wait. Of a 429 that comes after
// the prediction, the prediction cannot know.
func TestPredictionComesTrue(t *testing.T) {
	for name, late429 := range map[string]bool{"429s before": false, "and one after": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var mu sync.Mutex
				sent, said := make(map[uint64]time.Time), false
				sink := relay.SinkFunc(func(_ context.Context, d *relay.Delivery) error {
					time.Sleep(100 * time.Millisecond)
					mu.Lock()
					defer mu.Unlock()
					since := time.Since(start)
					busy := since > 70*time.Second && since < 80*time.Second ||
						since > 2*time.Minute && since < 2*time.Minute+10*time.Second
					if late429 && since > 8*time.Minute && !said {
						said, busy = true, true
					}
					if busy {
						return relay.RetryAfter(errors.New("too many requests"), 30*time.Second)
					}
					sent[d.Seq] = time.Now()
					return nil
				})
				r, _ := run(t, sink, &relay.SinkOptions{PerMinute: 120})
				random := rand.New(rand.NewPCG(1, 2))
				statuses := []string{"critical", "error", "warning", "info", "ok"}
				for i := range 2000 {
					accept(t, r, event(t, fmt.Sprint(i), fmt.Sprint("p", random.IntN(1200)),
						statuses[random.IntN(len(statuses))]))
					time.Sleep(80 * time.Millisecond)
				}
				page := waiting(t, r, &relay.WaitingOptions{Limit: 1000})
				if len(page.Entries) < 300 || page.Pending != len(page.Entries) {
					t.Fatalf("%d of %d entries", len(page.Entries), page.Pending)
				}
				time.Sleep(2 * time.Hour)
				var relative []float64
				for _, w := range page.Entries {
					if w.Why == relay.WaitInFlight {
						continue
					}
					mu.Lock()
					at, ok := sent[w.Seq]
					mu.Unlock()
					if !ok || w.At.IsZero() {
						t.Fatalf("entry %+v was not sent", w)
					}
					wait := at.Sub(page.At).Seconds()
					relative = append(relative, math.Abs(w.At.Sub(at).Seconds())/max(wait, 1))
				}
				slices.Sort(relative)
				n := len(relative)
				t.Logf("%d predictions: median error %.2f %%, 90th percentile %.2f %%, worst %.2f %%", n,
					100*relative[n/2], 100*relative[n*9/10], 100*relative[n-1])
				most := 0.1
				if late429 { // nobody can foresee it: the pause and the lower rate come on top
					most = 0.25
				}
				if relative[n/2] > most {
					t.Errorf("a median error of %.1f %%, want %.0f %% at most", 100*relative[n/2], 100*most)
				}
			})
		})
	}
}

// lines returns the entries of a page as "problem: why".
func lines(p *relay.WaitingPage) string {
	var all []string
	for _, w := range p.Entries {
		all = append(all, w.Problem+": "+string(w.Why))
	}
	return strings.Join(all, ", ")
}

// Why entries wait.
func TestWaitingReasons(t *testing.T) {
	slow := func(ctx context.Context, _ *relay.Delivery) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Second):
			return nil
		}
	}
	busy := func(context.Context, *relay.Delivery) error {
		return relay.RetryAfter(errors.New("too many requests"), time.Minute)
	}
	tests := map[string]struct {
		answer func(context.Context, *relay.Delivery) error
		opts   relay.SinkOptions
		do     func(*testing.T, *relay.Relay)
		after  time.Duration
		want   string
	}{
		"in flight, order, budget": {answer: slow, opts: relay.SinkOptions{Concurrency: 1},
			do: func(t *testing.T, r *relay.Relay) {
				accept(t, r, event(t, "1", "p", "critical"))
				time.Sleep(time.Second)
				accept(t, r, event(t, "2", "p", "ok"), event(t, "3", "q", "error"))
			}, want: "p: in flight, q: budget, p: order"},
		"a pause of the target": {answer: busy, do: func(t *testing.T, r *relay.Relay) {
			accept(t, r, event(t, "1", "p", "critical"), event(t, "2", "q", "error"))
		}, want: "p: pause, q: pause"},
		"a pause of an operator": {do: func(t *testing.T, r *relay.Relay) {
			if err := r.Pause(t.Context(), "lane", time.Hour, "li", ""); err != nil {
				t.Error(err)
			}
			accept(t, r, event(t, "1", "p", "warning"), event(t, "2", "q", "error"))
		}, want: "q: held, p: held"},
		"backoff": {answer: down, do: func(t *testing.T, r *relay.Relay) {
			accept(t, r, event(t, "1", "p", "critical"))
		}, after: 100 * time.Millisecond, want: "p: backoff"},
		"a target that is down": {answer: down, do: func(t *testing.T, r *relay.Relay) {
			for i := range 9 {
				accept(t, r, event(t, fmt.Sprint(i), fmt.Sprint("p", i), "critical"))
			}
			time.Sleep(time.Minute)
			accept(t, r, event(t, "new", "new", "fatal"))
		}, want: "new: probe"},
		"a repeat": {answer: func(_ context.Context, d *relay.Delivery) error {
			d.LostAnswer()
			return nil
		}, do: func(t *testing.T, r *relay.Relay) {
			accept(t, r, event(t, "1", "p", "critical"))
			time.Sleep(time.Second)
			accept(t, r, event(t, "2", "p", "ok"))
		}, want: "p: repeat"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, _ := run(t, &recorder{answer: test.answer}, &test.opts)
				time.Sleep(time.Minute) // the bucket fills
				test.do(t, r)
				time.Sleep(max(test.after, time.Millisecond))
				synctest.Wait()
				page := waiting(t, r, nil)
				got := lines(page)
				if got != test.want && !strings.Contains(got, test.want) {
					t.Errorf("got %q, want %q", got, test.want)
				}
				for _, w := range page.Entries {
					if w.At.IsZero() || w.Reason == "" || w.Says == "" || w.Accepted.IsZero() || w.Title != "t" {
						t.Errorf("entry %+v lacks something", w)
					}
				}
			})
		})
	}
}

// Pages, levels, and what cannot be read.
func TestWaitingPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := run(t, &recorder{}, nil)
		if err := r.Pause(t.Context(), "lane", time.Hour, "li", ""); err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			accept(t, r, event(t, fmt.Sprint(i), fmt.Sprint("p", i), []string{"critical", "info"}[i%2]))
		}
		synctest.Wait()
		var all []uint64
		for offset := 0; ; {
			page := waiting(t, r, &relay.WaitingOptions{Offset: offset, Limit: 7})
			for _, w := range page.Entries {
				all = append(all, w.Seq)
			}
			if offset = page.Next; offset == 0 {
				break
			}
		}
		if len(all) != 30 || len(slices.Compact(slices.Sorted(slices.Values(all)))) != 30 {
			t.Errorf("the pages have entries %v, want each of 30 once", all)
		}
		page := waiting(t, r, &relay.WaitingOptions{Filter: relay.Filter{
			Levels: []guance.Level{guance.LevelInfo}}})
		if len(page.Entries) != 15 || page.Looked != 30 || page.Next != 0 {
			t.Errorf("%d entries of a level, looked at %d, next %d", len(page.Entries), page.Looked,
				page.Next)
		}
		if _, err := r.Waiting(t.Context(), "none", nil); !errors.Is(err, relay.ErrNoLane) {
			t.Errorf("Waiting of no lane: %v, want ErrNoLane", err)
		}
		for _, o := range []relay.WaitingOptions{{Offset: -1}, {Limit: -1}, {Limit: 1001}} {
			if _, err := r.Waiting(t.Context(), "lane", &o); err == nil {
				t.Errorf("Waiting with %+v gives no error", o)
			}
		}
	})
}

// A paused lane sends nothing, and goes on at the end of the pause or when it is resumed.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{}
		r, _ := run(t, sink, nil)
		pause := func(d time.Duration) {
			if err := r.Pause(t.Context(), "lane", d, "li@example.org", "the target moves"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		pause(10 * time.Minute)
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(10*time.Minute - time.Second)
		expect(t, sink)
		f := figuresOf(t, r, "lane")
		if f.State != relay.Held || f.Pause == nil || f.Pause.By != "li@example.org" ||
			f.Pause.Reason != "the target moves" || time.Until(f.Pause.Until) != time.Second ||
			time.Until(f.Until) != time.Second {
			t.Errorf("figures %+v, want those of a paused lane", f)
		}
		time.Sleep(2 * time.Second)
		expect(t, sink, "p critical")
		pause(time.Hour)
		accept(t, r, event(t, "2", "q", "critical"))
		time.Sleep(time.Minute)
		setLane(t, r, "lane", sink, nil) // it stays when the lane changes
		time.Sleep(time.Minute)
		expect(t, sink, "p critical")
		if err := r.Resume(t.Context(), "lane", "li@example.org"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		expect(t, sink, "p critical", "q critical")
		if f := figuresOf(t, r, "lane"); f.Pause != nil || f.State != relay.Idle {
			t.Errorf("figures %+v, want those of an idle lane", f)
		}
		for _, d := range []time.Duration{0, -1, relay.MaxPause + 1} {
			if r.Pause(t.Context(), "lane", d, "li", "") == nil {
				t.Errorf("a pause of %v gives no error", d)
			}
		}
		if err := r.Pause(t.Context(), "none", 1, "li", ""); !errors.Is(err, relay.ErrNoLane) {
			t.Errorf("Pause of no lane: %v, want ErrNoLane", err)
		}
	})
}

// What is sent now ends its backoff and goes first. A pause of the target holds.
func TestSendNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{}
		r, _ := run(t, sink, &relay.SinkOptions{Concurrency: 1})
		if err := r.Pause(t.Context(), "lane", time.Minute, "li", ""); err != nil {
			t.Fatal(err)
		}
		accept(t, r, event(t, "1", "p", "critical"), event(t, "2", "q", "info"))
		synctest.Wait()
		if err := r.SendNow(t.Context(), "lane", 2); err != nil {
			t.Fatal(err)
		}
		if got := lines(waiting(t, r, nil)); got != "q: held, p: held" {
			t.Errorf("what waits is %q, want q first", got)
		}
		time.Sleep(2 * time.Minute)
		expect(t, sink, "q info", "p critical")
		if err := r.SendNow(t.Context(), "lane", 2); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("SendNow of what was sent: %v, want ErrNotFound", err)
		}
	})
}

// A standby pauses, sends now and predicts through the owner.
func TestConsoleOfAStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := nodes(t, 2, &relay.SinkOptions{Concurrency: 1})
		owner, standby := all[0], all[1]
		if err := standby.Pause(t.Context(), "lane", time.Hour, "li", ""); err != nil {
			t.Fatal(err)
		}
		accept(t, standby.Relay, event(t, "1", "p", "critical"), event(t, "2", "q", "info"))
		time.Sleep(10 * time.Second)
		if got := owner.Stats().Lanes[0]; got.State != relay.Held || got.Pause == nil ||
			got.Pause.By != "li" {
			t.Errorf("the owner has the figures %+v, want a pause", got)
		}
		if got := standby.Stats().Lanes[0]; got.State != relay.Standby || got.Pause == nil ||
			got.Pause.By != "li" {
			t.Errorf("the standby has the figures %+v, want a pause", got)
		}
		if err := standby.SendNow(t.Context(), "lane", 2); err != nil {
			t.Fatal(err)
		}
		page := waiting(t, standby.Relay, &relay.WaitingOptions{Limit: 1})
		if got := lines(page); got != "q: held" || page.Next != 1 || page.Pending != 2 ||
			page.Entries[0].Level != guance.LevelInfo || page.Entries[0].At.IsZero() {
			t.Errorf("the standby sees %+v", page)
		}
		if err := standby.SendNow(t.Context(), "lane", 9); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("SendNow of nothing: %v, want ErrNotFound", err)
		}
		if err := standby.Resume(t.Context(), "lane", "li"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		expect(t, owner.sink, "q info", "p critical")
	})
}

// A test page goes through its lane alone, and ends itself.
func TestSendTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink, other := &recorder{}, &recorder{}
		r := over(t, memstore.New())
		r.Handle("lane", sink, &relay.SinkOptions{Match: func(*guance.Event) bool { return false }})
		r.Handle("other", other, nil)
		defer running(t, r)()
		time.Sleep(time.Minute)
		got, err := r.SendTest(t.Context(), "lane", "li")
		if err != nil || got.Outcome != store.Delivered {
			t.Fatalf("SendTest: %+v, %v", got, err)
		}
		time.Sleep(time.Minute)
		took := strings.Join(sink.taken(), ", ")
		if !strings.HasPrefix(took, "relay-test-") || !strings.HasSuffix(took, " ok") ||
			strings.Count(took, ",") != 1 || len(other.taken()) != 0 {
			t.Errorf("the lane took %q, and the other %q", took, other.taken())
		}
		if _, err := r.SendTest(t.Context(), "none", "li"); !errors.Is(err, relay.ErrNoLane) {
			t.Errorf("SendTest in no lane: %v, want ErrNoLane", err)
		}
		// A lane that sends nothing: the recovery cancels the test.
		if err := r.Pause(t.Context(), "lane", time.Hour, "li", ""); err != nil {
			t.Fatal(err)
		}
		if got, err := r.SendTest(t.Context(), "lane", "li"); err != nil || got.Outcome != 0 {
			t.Errorf("SendTest of a paused lane: %+v, %v; want it pending", got, err)
		}
		time.Sleep(time.Second)
		if f := figuresOf(t, r, "lane"); f.Backlog != 0 || f.Superseded != 2 {
			t.Errorf("figures %+v, want nothing pending", f)
		}
	})
}

// A test page says that it is one, and who asked for it.
func TestTestPageSaysWhatItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		r := over(t, memstore.New())
		r.Handle("lane", relay.SinkFunc(func(_ context.Context, d *relay.Delivery) error {
			e := d.Event
			got = append(got, fmt.Sprint(e.Status, "; ", e.Title, "; ", e.Message, "; ", e.CheckerName, "; ",
				e.Source, "; ", e.DimensionTags))
			return nil
		}), nil)
		defer running(t, r)()
		if _, err := r.SendTest(t.Context(), "lane", "li"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		const says = "; TEST of the relay: nothing is wrong; A test page of the relay, sent by li. " +
			"Nothing is wrong. It resolves itself within a minute.; relay test; custom; " +
			"map[relay_test:true]"
		if want := []string{"critical" + says, "ok" + says}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// What a lane did a short time ago.
func TestRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := run(t, &recorder{}, nil)
		for i := range 60 {
			accept(t, r, event(t, fmt.Sprint(i), fmt.Sprint("p", i), "critical"))
			time.Sleep(20 * time.Second)
		}
		ended := r.Recent("lane")
		if len(ended) != 50 || ended[0].Problem != "p59" || ended[0].Outcome != store.Delivered ||
			ended[49].Problem != "p10" {
			t.Errorf("the last entries are %+v", ended)
		}
		counts, sum := r.LastHour("lane"), 0
		for _, n := range counts {
			sum += n
		}
		if len(counts) != 60 || sum != 60 || counts[58] != 3 {
			t.Errorf("attempts by minute: %v", counts)
		}
		time.Sleep(30 * time.Minute)
		if counts := r.LastHour("lane"); counts[59] != 0 || counts[28] != 3 {
			t.Errorf("attempts by minute, half an hour later: %v", counts)
		}
		time.Sleep(2 * time.Hour)
		if counts := r.LastHour("lane"); slices.Max(counts) != 0 {
			t.Errorf("attempts by minute, hours later: %v", counts)
		}
		if r.Recent("none") != nil || r.LastHour("none") != nil {
			t.Error("a lane that is not there did something")
		}
	})
}

// A page reads the entries that it shows and no other. A search reads the first 10,000.
func TestWaitingReadsWhatItShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, db := run(t, &recorder{}, nil)
		if err := r.Pause(t.Context(), "lane", time.Hour, "li", ""); err != nil {
			t.Fatal(err)
		}
		const n = 12_000
		var events []*guance.Event
		for i := range n {
			events = append(events, event(t, fmt.Sprint(i), fmt.Sprint("p", i), "critical"))
		}
		if _, err := r.Accept(t.Context(), events...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		loads := 0
		db.Intercept(func(c memstore.Call, do func() error) error {
			if c.Method == "Load" {
				loads++
			}
			return do()
		})
		for _, test := range []struct {
			opts          relay.WaitingOptions
			reads, looked int
		}{
			{relay.WaitingOptions{Limit: 50}, 50, 50},
			{relay.WaitingOptions{Limit: 50, Offset: 9_000}, 50, 9_050},
			{relay.WaitingOptions{Filter: relay.Filter{Text: "nothing"}}, 10_000, 10_000},
		} {
			loads = 0
			page := waiting(t, r, &test.opts)
			if loads != test.reads || page.Looked != test.looked || page.Pending != n {
				t.Errorf("%+v: %d entries read, looked at %d of %d; want %d, %d and %d", test.opts, loads,
					page.Looked, page.Pending, test.reads, test.looked, n)
			}
		}
	})
}

// BenchmarkWaiting is the first page of the waiting room with a million pending entries.
func BenchmarkWaiting(b *testing.B) {
	r, err := relay.New(memstore.New(), &relay.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	r.Handle("lane", relay.SinkFunc(func(context.Context, *relay.Delivery) error { return nil }), nil)
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	defer func() {
		stop()
		<-done
	}()
	if err := r.Pause(ctx, "lane", time.Hour, "bench", ""); err != nil {
		b.Fatal(err)
	}
	const batch, n = 1000, 1_000_000
	for i := range n / batch {
		events := make([]*guance.Event, batch)
		for j := range events {
			id := fmt.Sprint(i*batch + j)
			events[j] = &guance.Event{EventID: id, EventRef: id, Status: guance.StatusCritical, Title: "t"}
		}
		if _, err := r.Accept(ctx, events...); err != nil {
			b.Fatal(err)
		}
	}
	for r.Stats().Lanes[0].Backlog < n {
		time.Sleep(10 * time.Millisecond)
	}
	b.ReportAllocs()
	for b.Loop() {
		if page := waiting(b, r, nil); len(page.Entries) != 100 || page.Pending != n {
			b.Fatalf("%d entries of %d", len(page.Entries), page.Pending)
		}
	}
}
