package schedule

import "time"

const (
	minBackoff = 500 * time.Millisecond
	maxBackoff = 30 * time.Second
)

// A Jitter returns a random number in [0, n).
type Jitter func(n int64) int64

// backoff returns the nth wait: half of minBackoff plus a random part of 2^n·minBackoff, at most
// maxBackoff. The random part spreads problems that failed together.
func (j Jitter) backoff(n int) time.Duration {
	most := min(minBackoff<<min(n, 6), maxBackoff)
	return min(minBackoff/2+time.Duration(j(int64(most))), maxBackoff)
}
