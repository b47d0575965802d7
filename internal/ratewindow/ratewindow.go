// Package ratewindow limits the number of requests in any 60 seconds, as PagerDuty counts them.
package ratewindow

import (
	"time"

	"golang.org/x/time/rate"
)

// Span is the time over which New keeps its limit. PagerDuty counts the last 60 s (PagerDuty
// developer docs, Events API v2: Rate Limits). The extra second is for the varying time between our
// clock and the moment at which PagerDuty counts a request.
const Span = 61 * time.Second

// New returns a token bucket, full, that allows at most n requests in any 60 s; n is at least 1.
//
// A bucket with burst b and rate r allows b + 60r requests in a minute: "burst 120 and 2 per
// second" would allow 240. Here the burst is a twelfth of n, and the rate follows from b + 61r = n
// + 1. So the limit is exact, and nine tenths of n can be used. A sliding log would be exact too,
// but a request could wait a minute behind a burst.
func New(n int) *rate.Limiter {
	burst := max(1, n/12)
	return rate.NewLimiter(rate.Limit(float64(n-burst+1)/Span.Seconds()), burst)
}
