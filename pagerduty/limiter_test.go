package pagerduty_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// clocked records when each request came.
type clocked struct {
	mu     sync.Mutex
	times  []time.Time
	status func(n int) int
}

func (c *clocked) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.times = append(c.times, time.Now())
	status := c.status(len(c.times))
	c.mu.Unlock()
	return &http.Response{StatusCode: status, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(accepted))}, nil
}

// mostPerWindow returns the highest number of requests in any 60 seconds. It checks the windows
// that end with a request; no other window has more.
func mostPerWindow(times []time.Time) int {
	slices.SortFunc(times, time.Time.Compare)
	most, first := 0, 0
	for i, t := range times {
		for t.Sub(times[first]) >= time.Minute {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// Every window keeps the limit, from the first burst on, with many senders and several kinds of
// retries.
func TestEveryWindowKeepsTheRate(t *testing.T) {
	for _, perMinute := range []int{0, 1, 2, 11, 12, 120, 1000} {
		t.Run(fmt.Sprint(perMinute), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wire := &clocked{status: func(n int) int {
					switch {
					case n%7 == 0:
						return 503
					case n%31 == 0:
						return 429
					}
					return 202
				}}
				client := newClient(t,
					&pagerduty.Options{Transport: wire, PerMinute: perMinute, ThrottleRetries: 5,
						AttemptTimeout: -1})
				limit := perMinute
				if limit == 0 {
					limit = pagerduty.DefaultPerMinute
				}
				var senders sync.WaitGroup
				for range 8 {
					senders.Go(func() {
						for range max(limit/2, 3) {
							_, _ = client.Send(t.Context(), trigger("a")) // some of them fail
							_, _ = client.WithKey(routingKey(t, secret)).SendChange(t.Context(),
								&pagerduty.ChangeEvent{Summary: "s"})
						}
					})
				}
				senders.Wait()
				if most := mostPerWindow(wire.times); most > limit {
					t.Errorf("%d requests within 60 s, limit %d", most, limit)
				}
			})
		})
	}
}

// The limiter must not only keep the limit, but also use it.
func TestTheRateIsMadeUseOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire := &clocked{status: func(int) int { return 202 }}
		client := newClient(t, &pagerduty.Options{Transport: wire})
		start := time.Now()
		for range 1000 {
			if _, err := client.Send(t.Context(), trigger("a")); err != nil {
				t.Fatal(err)
			}
		}
		if rate := 1000 / time.Since(start).Minutes(); rate < 0.9*pagerduty.DefaultPerMinute {
			t.Errorf("%.1f requests a minute under a limit of %d", rate, pagerduty.DefaultPerMinute)
		}
	})
}

// The relay must be able to count each request.
func TestLimiterIsAskedBeforeEveryAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Script(
			pagerdutytest.Fault{Status: 503}, pagerdutytest.Fault{Connection: pagerdutytest.DropAfterRead},
			pagerdutytest.Fault{Status: 429}, pagerdutytest.Fault{Status: 413}, pagerdutytest.Fault{},
		)
		asked := 0
		limiter := limiterFunc(func(context.Context) error {
			if asked != len(fake.Requests()) {
				t.Errorf("asked %d times before request %d", asked, len(fake.Requests())+1)
			}
			asked++
			return nil
		})
		ev := withDetails(map[string]any{"log": strings.Repeat("x", 2000)})
		for name, opts := range map[string]*pagerduty.Options{
			"Options":     {Transport: fake, ThrottleRetries: 1, Limiter: limiter},
			"WithLimiter": {Transport: fake, ThrottleRetries: 1},
		} {
			client := newClient(t, opts)
			if opts.Limiter == nil {
				client = client.WithLimiter(limiter)
			}
			before := asked
			result, err := client.Send(t.Context(), ev)
			if err != nil || asked-before != result.Attempts {
				t.Errorf("%s: %+v, %v after %d questions", name, result, err, asked-before)
			}
		}
		if asked != len(fake.Requests()) {
			t.Errorf("asked %d times for %d requests", asked, len(fake.Requests()))
		}
	})
}

func TestKeysHaveTheirOwnRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		first := newClient(t, &pagerduty.Options{Transport: fake, PerMinute: 1})
		second := first.WithKey(routingKey(t, otherSecret))
		start := time.Now()
		_, err1 := first.Send(t.Context(), trigger("a"))
		_, err2 := second.Send(t.Context(), trigger("a"))
		if err := errors.Join(err1, err2); err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v; another key waits for nobody", err, time.Since(start))
		}
		if _, err := first.WithKey(routingKey(t, secret)).Send(t.Context(), trigger("b")); err != nil ||
			time.Since(start) < time.Minute {
			t.Errorf("%v after %v; a copy under the same key has no rate of its own", err, time.Since(start))
		}
	})
}

func TestNoLimitStillKnowsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.SetRateLimit(0)
		client := newClient(t, &pagerduty.Options{Transport: fake, PerMinute: -1, ThrottleRetries: 1})
		start := time.Now()
		for range 500 {
			if _, err := client.Send(t.Context(), trigger("a")); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("500 events took %v without a limit", took)
		}
		fake.Script(pagerdutytest.Fault{Status: 429, RetryAfter: "40"})
		if _, err := client.Send(t.Context(), trigger("a")); err != nil ||
			time.Since(start) < 40*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}
