package ratewindow

import (
	"fmt"
	"testing"
	"time"
)

// A sender that sends as soon as it may never has more than n requests in a window, from the first
// burst on, and uses most of n.
func TestEveryWindow(t *testing.T) {
	for _, n := range []int{1, 2, 11, 12, 13, 120, 10_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			bucket := New(n)
			begin := time.Unix(0, 0)
			var sent []time.Time
			first, most := 0, 0
			for now := begin; now.Before(begin.Add(5 * time.Minute)); now = now.Add(5 * time.Millisecond) {
				for bucket.AllowN(now, 1) {
					sent = append(sent, now)
					for now.Sub(sent[first]) >= time.Minute {
						first++
					}
					most = max(most, len(sent)-first)
				}
			}
			if most > n {
				t.Errorf("%d requests in one window", most)
			}
			if least := n * 5 * 9 / 10; len(sent) < least-1 {
				t.Errorf("%d requests in five minutes, want %d at least", len(sent), least)
			}
		})
	}
}
