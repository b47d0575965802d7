package relay

import "time"

const (
	// tripAfter is how many attempts in a row must fail, no two neighbours of the same problem, before the target counts as down.
	// One problem that fails alone says nothing of the target, and its own backoff is enough.
	tripAfter = 5
	maxProbe  = 15 * time.Second
)

// A breaker tells a target that is down from an event that is poison. It has no clock.
//
// A target that is down is probed with one request at a time, each with another problem where there is one, so that a dead target
// costs little and the first sign of life is seen within [maxProbe].
type breaker struct {
	streak int       // failures in a row
	last   problemID // whose failure was the last
	probe  time.Time // no attempt before, while down
	lives  uint32    // signs of life: grows with every answer that is no failure
}

func (b *breaker) down() bool { return b.streak >= tripAfter }

// alive takes an answer of a target that works, and reports whether it was down.
func (b *breaker) alive() (wasDown bool) {
	wasDown = b.down()
	b.lives++
	b.streak, b.last, b.probe = 0, problemID{}, time.Time{}
	return wasDown
}

// failed takes a failure of a problem's attempt.
func (b *breaker) failed(id problemID, now time.Time, j jitter) {
	if id != b.last || b.down() {
		b.streak++
	}
	b.last = id
	if b.down() {
		b.probe = now.Add(min(j.backoff(b.streak-tripAfter+1), maxProbe))
	}
}

const (
	minBackoff = 500 * time.Millisecond
	maxBackoff = 30 * time.Second
)

// jitter returns a random number in [0, n).
type jitter func(n int64) int64

// backoff is exponential with full jitter, so that problems which failed together do not return together: the nth wait is at least half of
// [minBackoff], up to 2^n·minBackoff more, and never more than [maxBackoff].
func (j jitter) backoff(n int) time.Duration {
	most := min(minBackoff<<min(n, 6), maxBackoff)
	return min(minBackoff/2+time.Duration(j(int64(most))), maxBackoff)
}
