// Package ratewindow keeps a number of requests in any 60 seconds, looking back, as PagerDuty counts them.
package ratewindow

import (
	"time"

	"golang.org/x/time/rate"
)

// Span is what requests are counted over. PagerDuty looks back 60 s (PagerDuty developer docs, Events API v2: Rate Limits); the second
// on top is for the jitter between our clock and the moment at which a request is counted.
const Span = 61 * time.Second

// New returns a token bucket, full, that lets at most n requests pass in any 60 s; n is at least 1.
//
// A bucket of burst b and rate r lets b + 60r requests pass in a minute, so "burst 120 and 2 a second" would allow 240. The burst is
// a twelfth of n and the rate is what is left, b + 61r = n + 1: the bound is exact, and nine tenths of n can be used. A sliding log
// would be exact too, and a request could wait a minute behind a burst.
func New(n int) *rate.Limiter {
	burst := max(1, n/12)
	return rate.NewLimiter(rate.Limit(float64(n-burst+1)/Span.Seconds()), burst)
}
