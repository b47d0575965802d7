package pgstore

import (
	"testing"
	"testing/synctest"
	"time"
)

// An entry that was kept long ago, or at no time, does not stop the clock.
func TestClockGoesOnAfterAnOldEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const start = 100 * 24 * time.Hour
		var c clock
		c.observe(start, time.Now())
		for _, kept := range []time.Duration{0, time.Hour, start - 25*time.Hour, start} {
			before := c.now()
			c.reached(kept)
			time.Sleep(time.Second)
			if grown := c.now() - before; grown != time.Second {
				t.Errorf("after an entry kept at %v, the clock grew by %v in a second", kept, grown)
			}
		}
		c.reached(2 * start) // another node has kept it
		if got := c.now(); got != 2*start {
			t.Errorf("after an entry kept at %v, the clock is at %v", 2*start, got)
		}
	})
}
