package relay

import (
	"fmt"
	"testing"
	"time"
)

// Promise 5, in every window, for any allowance, when a lane asks as often as it may.
func TestBudgetEveryWindow(t *testing.T) {
	for _, perMinute := range []int{1, 2, 11, 12, 60, 120, 10_000} {
		t.Run(fmt.Sprint(perMinute), func(t *testing.T) {
			start := now
			b := newBudget(perMinute, start)
			var sent []time.Time
			for at := start; at.Before(start.Add(10 * time.Minute)); {
				// Idle for the third minute, so that a full burst is waiting.
				if m := at.Sub(start).Minutes(); m >= 2 && m < 3 {
					at = start.Add(3 * time.Minute)
				}
				ok, again := b.take(at)
				if ok {
					sent = append(sent, at)
					continue
				}
				at = again
			}
			first := 0
			for i, at := range sent {
				for at.Sub(sent[first]) >= time.Minute {
					first++
				}
				if n := i - first + 1; n > perMinute {
					t.Fatalf("%d requests in the minute before %v, %d allowed", n, at.Sub(start), perMinute)
				}
			}
			if want := perMinute * 8; len(sent) < want*85/100 {
				t.Errorf("%d requests in nine busy minutes: the allowance of %d a minute is not used", len(sent), perMinute)
			}
		})
	}
}

func TestBudgetThrottled(t *testing.T) {
	b := newBudget(120, now)
	full := b.limiter.Limit()
	b.throttled(now, 0)
	if ok, again := b.take(now.Add(29 * time.Second)); ok || again != now.Add(30*time.Second) {
		t.Errorf("got %v until %v, want a pause of 30 s", ok, again.Sub(now))
	}
	if ok, _ := b.take(now.Add(30 * time.Second)); !ok {
		t.Error("nothing may be sent after the pause")
	}
	if got := b.limiter.Limit(); got != full/2 {
		t.Errorf("the rate is %v, want half of %v", got, full)
	}
	b.throttled(now.Add(time.Minute), 0)
	if got := b.paused.Sub(now); got != 2*time.Minute {
		t.Errorf("the second pause ends after %v, want it doubled", got)
	}
	b.take(now.Add(time.Hour))
	if got := b.limiter.Limit(); got != full {
		t.Errorf("after a quiet hour the rate is %v, want %v", got, full)
	}
	b.throttled(now.Add(time.Hour), 7*time.Second)
	if got := b.paused.Sub(now); got != time.Hour+7*time.Second {
		t.Errorf("the pause ends after %v, want what the target asked for", got)
	}
}
