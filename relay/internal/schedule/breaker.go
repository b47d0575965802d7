package schedule

import "time"

const (
	// tripAfter is how many attempts in a row must fail before the target counts as down. Failures
	// of the same problem in a row count once: they may be about the event.
	tripAfter = 5
	// maxProbe is the longest time between two probes.
	maxProbe = 15 * time.Second
)

// A breaker tells a target that is down from an event that the target never takes. A target that is
// down gets one request at a time, of another problem each time where there is one.
type breaker struct {
	streak    int       // failures in a row
	last      problemID // of the last failure
	probe     time.Time // no attempt before it, while down
	successes uint32    // answers that were no failures
}

func (b *breaker) down() bool { return b.streak >= tripAfter }

// succeeded takes an answer of a target that works, and reports whether it was down.
func (b *breaker) succeeded() (wasDown bool) {
	wasDown = b.down()
	b.successes++
	b.streak, b.last, b.probe = 0, problemID{}, time.Time{}
	return wasDown
}

// failed takes a failed attempt of a problem.
func (b *breaker) failed(id problemID, now time.Time, j Jitter) {
	if id != b.last || b.down() {
		b.streak++
	}
	b.last = id
	if b.down() {
		b.probe = now.Add(min(j.backoff(b.streak-tripAfter+1), maxProbe))
	}
}
