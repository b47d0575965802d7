package pgstore

import (
	"sync"
	"time"
)

// Clock implements [store.Store]. It is the time that the engine counts while a node has the store
// open. Between two answers of the engine it goes on with the monotonic clock of this process.
func (s *Store) Clock() time.Duration { return s.clock.now() }

// A clock is this process's view of the store's time. It is behind the engine's by no more than the
// time that an answer takes, and never ahead.
type clock struct {
	mu     sync.Mutex
	at     time.Time // with the monotonic clock
	base   time.Duration
	last   time.Duration // the greatest that was returned
	frozen bool
}

func (c *clock) now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.frozen && !c.at.IsZero() {
		c.last = max(c.last, c.base+time.Since(c.at))
	}
	return c.last
}

// observe takes a reading of the engine, from an answer to what was sent at a time. The reading is
// from some instant since then.
func (c *clock) observe(reading time.Duration, sent time.Time) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	here, latest := c.base+now.Sub(c.at), reading+now.Sub(sent)
	switch {
	case c.at.IsZero() || here < reading:
		c.base, c.at = reading, now
	case here > latest:
		c.base, c.at = latest, now
	}
}

// reached takes a time that the store has reached, as something was kept then. That may be long
// ago: it never sets the clock back.
func (c *clock) reached(t time.Duration) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base+now.Sub(c.at) < t {
		c.base, c.at = t, now
	}
}

// freeze has the clock stand still.
func (c *clock) freeze() {
	c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = true
}
