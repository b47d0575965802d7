package relay

import (
	"fmt"
	"math"
	"testing"
	"time"
)

var now = time.Unix(1_700_000_000, 0)

// Promise 5 holds in every window, for any rate, when a lane sends as often as it may.
func TestBudgetEveryWindow(t *testing.T) {
	for _, perMinute := range []int{1, 2, 11, 12, 60, 120, 10_000} {
		t.Run(fmt.Sprint(perMinute), func(t *testing.T) {
			start := now
			b := newBudget(perMinute, start)
			var sent []time.Time
			for at := start; at.Before(start.Add(10 * time.Minute)); {
				// Idle for the third minute, so that the bucket is full.
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
			CheckWindows(t, sent, perMinute)
			if want := perMinute * 8; len(sent) < want*85/100 {
				t.Errorf("%d requests in nine busy minutes: the allowance of %d a minute is not used",
					len(sent), perMinute)
			}
		})
	}
}

// Promise 5 holds if one lane comes with a time from before it was held up, and another one has
// come with a later time.
func TestBudgetOfALaneThatWasHeldUp(t *testing.T) {
	const perMinute = 120
	b := newBudget(perMinute, now)
	var sent []time.Time
	for at := now; at.Before(now.Add(5 * time.Minute)); at = at.Add(5 * time.Second) {
		for range perMinute {
			for _, says := range []time.Time{at, at.Add(-2 * time.Second)} {
				if ok, _ := b.take(says); ok {
					sent = append(sent, at)
				}
			}
		}
	}
	CheckWindows(t, sent, perMinute)
}

// Promise 5 over restarts, however often the process is killed.
func TestBudgetOverRestarts(t *testing.T) {
	for _, life := range []time.Duration{time.Second, 7 * time.Second, 50 * time.Second} {
		for _, perMinute := range []int{6, 120} {
			t.Run(fmt.Sprint(life, " ", perMinute), func(t *testing.T) {
				var sent []time.Time
				for born := now; born.Before(now.Add(5 * time.Minute)); born = born.Add(life) {
					b := newBudget(perMinute, born)
					for at := born; at.Before(born.Add(life)); {
						ok, again := b.take(at)
						if ok {
							sent = append(sent, at)
							continue
						}
						at = again
					}
				}
				CheckWindows(t, sent, perMinute)
			})
		}
	}
}

func TestBudgetThrottled(t *testing.T) {
	b := newBudget(120, now)
	full := b.limiter.Limit()
	b.throttled(now, now, 0)
	if ok, again := b.take(now.Add(29 * time.Second)); ok || again != now.Add(30*time.Second) {
		t.Errorf("got %v until %v, want a pause of 30 s", ok, again.Sub(now))
	}
	if got := b.limit(8); got != 1 {
		t.Errorf("%d requests may be in flight after a 429, want one that finds out", got)
	}
	after := now.Add(31 * time.Second)
	if next := b.next(after); !next.Equal(after) {
		t.Errorf("after the pause the next may be sent at %v, want at once", next)
	}
	if ok, _ := b.take(after); !ok {
		t.Error("nothing may be sent after the pause")
	}
	if got := b.limiter.Limit(); got != full/2 {
		t.Errorf("the rate is %v, want half of %v", got, full)
	}
	b.throttled(after, after, 0)
	if got := b.until.Sub(after); got != time.Minute {
		t.Errorf("the second pause takes %v, want it doubled", got)
	}
	later := now.Add(time.Hour)
	b.take(later)
	if got := b.limiter.Limit(); got != full {
		t.Errorf("after a quiet hour the rate is %v, want %v", got, full)
	}
	b.succeeded(later)
	if got := b.limit(8); got != 8 {
		t.Errorf("%d requests may be in flight after a success, want 8", got)
	}
	later = later.Add(time.Second)
	b.throttled(later, later, 7*time.Second)
	if got := b.until.Sub(later); got != 7*time.Second {
		t.Errorf("the pause takes %v, want what the target asked for", got)
	}
	later = later.Add(time.Minute)
	b.throttled(later, later, 24*time.Hour)
	if got := b.until.Sub(later); got != maxAsked {
		t.Errorf("the pause takes %v, want at most %v whatever the target asks for", got, maxAsked)
	}
}

// Pauses double up to a maximum. The rate halves down to a minimum, and a tenth returns with each
// minute without a 429.
func TestBudgetBounds(t *testing.T) {
	b := newBudget(120, now)
	full, at := float64(b.limiter.Limit()), now
	for i, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute,
		4 * time.Minute, 4 * time.Minute} {
		b.throttled(at, at, 0)
		if got := b.until.Sub(at); got != want {
			t.Errorf("pause %d takes %v, want %v", i+1, got, want)
		}
		if want, got := full*max(math.Pow(0.5, float64(i+1)), 0.1),
			float64(b.limiter.Limit()); math.Abs(got-want) > full/1e6 {
			t.Errorf("after %d of them the rate is %v of %v, want %v", i+1, got, full, want)
		}
		at = at.Add(time.Second)
	}
	at = at.Add(-time.Second)
	began, until := at.Add(-time.Second), b.until
	if b.throttled(began, at, time.Second); !b.until.Equal(until) {
		t.Errorf("an attempt from before the 429 ends the pause at %v, want %v", b.until, until)
	}
	for _, quiet := range []struct {
		seconds int
		want    float64
	}{{59, 0.1}, {90, 0.2}, {125, 0.3}, {3600, 1}} {
		b.take(at.Add(time.Duration(quiet.seconds) * time.Second))
		if got := float64(b.limiter.Limit()) / full; math.Abs(got-quiet.want) > 1e-6 {
			t.Errorf("after %d quiet seconds the rate is %.2f of the full one, want %.2f", quiet.seconds,
				got, quiet.want)
		}
	}
}

// Eight 429s to attempts in flight together count once.
func TestBudgetThrottledTogether(t *testing.T) {
	b := newBudget(120, now)
	full := b.limiter.Limit()
	for i := range 8 {
		began := now.Add(time.Duration(i) * time.Millisecond)
		b.throttled(began, now.Add(time.Second+began.Sub(now)), 0)
	}
	if b.limiter.Limit() != full/2 || b.until.Sub(now) > firstPause+2*time.Second {
		t.Errorf("the rate is %.2f of the full one, the pause %v; want half the rate and 30 s",
			float64(b.limiter.Limit()/full), b.until.Sub(now))
	}
	b.succeeded(now)
	if !b.probing {
		t.Error("a success that began before the 429 ends the caution")
	}
	b.succeeded(now.Add(time.Minute))
	if b.probing {
		t.Error("a success after the pause does not end the caution")
	}
}
