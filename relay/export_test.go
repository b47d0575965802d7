package relay

import (
	"testing"
	"time"
)

// CheckWindows checks that no window of a minute holds too many requests. They are in order.
func CheckWindows(t *testing.T, sent []time.Time, perMinute int) {
	t.Helper()
	first := 0
	for i, at := range sent {
		for at.Sub(sent[first]) >= time.Minute {
			first++
		}
		if n := i - first + 1; n > perMinute {
			t.Fatalf("%d requests in the minute before %v after the first, %d allowed", n,
				at.Sub(sent[0]), perMinute)
		}
	}
}
