package pagerduty_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// roundTripper is a function as a transport.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering gives every request the same answer and counts the requests.
func answering(status int, body string, count *int) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		*count++
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
		return &http.Response{StatusCode: status, Header: http.Header{},
			Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

// failed sends an event that must fail, and returns the *Error.
func failed(t *testing.T, client *pagerduty.Client, ev *pagerduty.Event) *pagerduty.Error {
	t.Helper()
	_, err := client.Send(t.Context(), ev)
	e, ok := errors.AsType[*pagerduty.Error](err)
	if !ok {
		t.Fatalf("Send = %v (%T), want a *pagerduty.Error", err, err)
	}
	return e
}

// Which answers are retried at once, which are returned, and which are final (PagerDuty developer
// docs, Events API v2: "API Response Codes & Retry Logic").
func TestFact01ClassOfEveryStatus(t *testing.T) {
	want := func(status int) pagerduty.Class {
		switch {
		case status == 408, status == 425, status >= 500:
			return pagerduty.ClassTransient
		case status == 429:
			return pagerduty.ClassThrottled
		}
		return pagerduty.ClassConfig
	}
	for status := 100; status <= 599; status++ {
		if 200 <= status && status <= 299 {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			client := newClient(t, &pagerduty.Options{Transport: answering(status, "", &requests)})
			e := failed(t, client, trigger("a"))
			if e.Class != want(status) || e.StatusCode != status || !e.Answered() {
				t.Errorf("%d: class %s, status %d; want class %s", status, e.Class, e.StatusCode, want(status))
			}
			wantRequests := 1
			if e.Class == pagerduty.ClassTransient {
				wantRequests = 3
			}
			if requests != wantRequests || e.Attempts != requests {
				t.Errorf("%d: %d requests, Attempts %d; want %d", status, requests, e.Attempts, wantRequests)
			}
			if e.Permanent() != (e.Class == pagerduty.ClassPermanent) || e.Throttled() != (status == 429) {
				t.Errorf("%d: Permanent %t, Throttled %t", status, e.Permanent(), e.Throttled())
			}
		})
	}
}

// 408 says that the request was not read in time, which is not the event's fault. Alertmanager and
// go-pagerduty disagree about it.
func TestFact02RequestTimeoutIsTransient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		e := failed(t, newClient(t, &pagerduty.Options{Transport: answering(408, "", &requests)}),
			trigger("a"))
		if e.Class != pagerduty.ClassTransient || requests != 3 {
			t.Errorf("class %s after %d requests", e.Class, requests)
		}
	})
}

// A 400 is final if it is PagerDuty's refusal of the event. A 404 never is. Send retries neither.
func TestFact03BadRequestIsFinalAndNotFoundIsNot(t *testing.T) {
	const invalid = `{"status":"invalid event","message":"Event object is invalid",` +
		`"errors":["'payload.source' is missing or blank"]}`
	for status, want := range map[int]pagerduty.Class{400: pagerduty.ClassPermanent,
		404: pagerduty.ClassConfig} {
		requests := 0
		e := failed(t, newClient(t,
			&pagerduty.Options{Transport: answering(status, invalid, &requests)}), trigger("a"))
		if e.Class != want || e.Throttled() || requests != 1 {
			t.Errorf("%d: class %s after %d requests", status, e.Class, requests)
		}
	}
}

func TestFact04Any2xxIsAccepted(t *testing.T) {
	for status := 200; status <= 299; status++ {
		requests := 0
		client := newClient(t,
			&pagerduty.Options{PerMinute: -1, Transport: answering(status, accepted, &requests)})
		result, err := client.Send(t.Context(), trigger("a"))
		if err != nil {
			t.Fatalf("%d: %v", status, err)
		}
		if result.Confirmed != (status == 202) || result.StatusCode != status || requests != 1 {
			t.Errorf("%d: result %+v after %d requests", status, result, requests)
		}
	}
}

func TestFact04TransportError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("no route to host")
		client := newClient(t,
			&pagerduty.Options{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
				return nil, broken
			})})
		e := failed(t, client, trigger("a"))
		if !errors.Is(e, broken) || e.Answered() || e.Class != pagerduty.ClassTransient ||
			e.MaybeAccepted {
			t.Errorf("error = %+v", e)
		}
	})
}

// A limited number of retries after 429, for programs without a queue.
func TestFact05ThrottledThenAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Script(pagerdutytest.Fault{Status: 429}, pagerdutytest.Fault{Status: 429})
		client := newClient(t, &pagerduty.Options{Transport: fake, ThrottleRetries: 3})
		start := time.Now()
		result, err := client.Send(t.Context(), trigger("a"))
		if err != nil || result.Attempts != 3 {
			t.Fatalf("Send = %+v, %v; want success after 3 attempts", result, err)
		}
		if took := time.Since(start); took < time.Minute || took > 2*time.Minute {
			t.Errorf("took %v; PagerDuty asks for 30 s between tries", took)
		}
	})
}

func TestFact06RetriesAreCounted(t *testing.T) {
	tests := []struct {
		status   int
		options  pagerduty.Options
		requests int
	}{
		{429, pagerduty.Options{ThrottleRetries: 2}, 3},
		{429, pagerduty.Options{}, 1}, // returned at once
		{429, pagerduty.Options{Retries: 5}, 1},
		{500, pagerduty.Options{}, 3},
		{500, pagerduty.Options{Retries: 5, ThrottleRetries: 5}, 6},
		{500, pagerduty.Options{Retries: -1}, 1},
		{400, pagerduty.Options{Retries: 5, ThrottleRetries: 5}, 1},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			test.options.Transport = answering(test.status, "", &requests)
			e := failed(t, newClient(t, &test.options), trigger("a"))
			if requests != test.requests || e.StatusCode != test.status {
				t.Errorf("%d with Retries %d, ThrottleRetries %d: %d requests, status %d; want %d requests",
					test.status, test.options.Retries, test.options.ThrottleRetries,
					requests, e.StatusCode, test.requests)
			}
		})
	}
}

// Fact 7: every attempt sends the same bytes. go-pagerduty sends an empty body from the second
// attempt on.
func TestFact07EveryAttemptSendsTheSameBytes(t *testing.T) {
	t.Run("in process", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var bodies [][]byte
			client := newClient(t,
				&pagerduty.Options{Retries: 4,
					Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
						body, err := io.ReadAll(r.Body)
						if err != nil {
							return nil, err
						}
						if r.ContentLength != int64(len(body)) {
							t.Errorf("Content-Length %d for %d bytes", r.ContentLength, len(body))
						}
						again, err := r.GetBody()
						if err != nil {
							return nil, err
						}
						if second, _ := io.ReadAll(again); !bytes.Equal(second, body) {
							t.Errorf("GetBody gives %s", second)
						}
						bodies = append(bodies, body)
						return nil, errors.New("reset")
					})})
			failed(t, client, trigger("a"))
			if len(bodies) != 5 || len(bodies[0]) == 0 {
				t.Fatalf("%d bodies, the first of %d bytes", len(bodies), len(bodies[0]))
			}
			for i, body := range bodies {
				if !bytes.Equal(body, bodies[0]) {
					t.Errorf("attempt %d sent %s, not %s", i+1, body, bodies[0])
				}
			}
		})
	})
	faults := map[string]pagerdutytest.Fault{
		"after an error":       {Status: 500},
		"after a reset":        {Connection: pagerdutytest.DropAfterRead},
		"after a reset unread": {Connection: pagerdutytest.DropBeforeRead},
		"after an answer cut off": {Status: 500, Connection: pagerdutytest.CutAnswer,
			Body: "{\"status\":\"broken\"}"},
		"after a delay and a 503":   {Status: 503, Delay: time.Millisecond},
		"after an ingested timeout": {Status: 504, Ingest: true},
	}
	for name, fault := range faults {
		for _, keepAlive := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, keep-alive %t", name, keepAlive), func(t *testing.T) {
				t.Parallel()
				server := pagerdutytest.NewServer()
				defer server.Close()
				server.Script(fault)
				wire := &http.Transport{DisableKeepAlives: !keepAlive}
				defer wire.CloseIdleConnections()
				client := newClient(t, &pagerduty.Options{BaseURL: server.URL, Transport: wire})
				result, err := client.Send(t.Context(), trigger("a"))
				if err != nil || result.Attempts != 2 {
					t.Fatalf("Send = %+v, %v", result, err)
				}
				requests := server.Requests()
				first, second := requests[0], requests[1]
				if fault.Connection != pagerdutytest.DropBeforeRead && !bytes.Equal(first.Body, second.Body) {
					t.Errorf("second body %s, first %s", second.Body, first.Body)
				}
				if second.Size == 0 || len(server.Open()) != 1 {
					t.Errorf("second body of %d bytes, %d incidents open; want one", second.Size,
						len(server.Open()))
				}
			})
		}
	}
}

// Fact 8: a cancelled wait returns at once, and errors.Is shows that.
func TestFact08CancelWhileWaiting(t *testing.T) {
	tests := map[string]struct {
		fault pagerdutytest.Fault
		class pagerduty.Class
	}{
		"between attempts": {pagerdutytest.Fault{Status: 429}, pagerduty.ClassThrottled},
		"during an attempt": {pagerdutytest.Fault{Connection: pagerdutytest.Hang},
			pagerduty.ClassAmbiguous},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := pagerdutytest.NewTransport()
				fake.Script(test.fault)
				client := newClient(t, &pagerduty.Options{Transport: fake, ThrottleRetries: 1})
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(5*time.Second, cancel)
				start := time.Now()
				_, err := client.Send(ctx, trigger("a"))
				if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), secret) {
					t.Errorf("Send = %v; want context.Canceled in it and no key", err)
				}
				if e, ok := errors.AsType[*pagerduty.Error](err); !ok || e.Class != test.class {
					t.Errorf("Send = %v; want an *Error of class %s", err, test.class)
				}
				if took := time.Since(start); took != 5*time.Second {
					t.Errorf("returned after %v, not when cancelled", took)
				}
			})
		})
	}
}

func TestFact08DeadlineWhileWaitingForTheLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		client := newClient(t, &pagerduty.Options{Transport: fake, PerMinute: 1})
		if _, err := client.Send(t.Context(), trigger("a")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := client.Send(ctx, trigger("b"))
		if !errors.Is(err, context.DeadlineExceeded) || len(fake.Requests()) != 1 {
			t.Errorf("Send = %v after %d requests; want context.DeadlineExceeded and no second request",
				err, len(fake.Requests()))
		}
	})
}

// There is no retry that would end after the deadline: the known answer is more useful than an
// exceeded deadline.
func TestNoRetryPastTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		client := newClient(t,
			&pagerduty.Options{Transport: answering(429, "", &requests), ThrottleRetries: 3})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		start := time.Now()
		_, err := client.Send(ctx, trigger("a"))
		e, ok := errors.AsType[*pagerduty.Error](err)
		if !ok || e.StatusCode != 429 || errors.Is(err, context.DeadlineExceeded) ||
			time.Since(start) != 0 {
			t.Errorf("Send = %v after %v; want the 429 at once", err, time.Since(start))
		}
	})
}

// netError is net.Error, one method of which is deprecated.
type netError interface {
	error
	Timeout() bool
	Temporary() bool
}

// Fact 9: an attempt has a timeout.
func TestFact09AttemptTimeout(t *testing.T) {
	tests := []struct {
		timeout time.Duration
		ok      bool
	}{{120 * time.Millisecond, true}, {80 * time.Millisecond, false}}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			fake := pagerdutytest.NewTransport()
			fake.Outage(time.Hour, pagerdutytest.Fault{Delay: 100 * time.Millisecond})
			client := newClient(t,
				&pagerduty.Options{Transport: fake, AttemptTimeout: test.timeout, Retries: -1})
			_, err := client.Send(t.Context(), trigger("a"))
			if (err == nil) != test.ok {
				t.Fatalf("timeout %v: %v", test.timeout, err)
			}
			if err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) ||
				errors.Is(err, context.DeadlineExceeded)) {
				t.Errorf("timeout %v: %v; want os.ErrDeadlineExceeded, and not the caller's "+
					"context.DeadlineExceeded", test.timeout, err)
			}
			if e, _ := errors.AsType[netError](err); err != nil &&
				(e == nil || !e.Timeout() || !e.Temporary()) {
				t.Errorf("timeout %v: %v is not a timeout for net.Error", test.timeout, err)
			}
		})
	}
}

// slowBody is the body of an answer whose header comes at once and whose body does not end.
type slowBody struct{ ctx context.Context }

func (b slowBody) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}
func (slowBody) Close() error { return nil }

// An attempt takes at most 15 s, or the caller's timeout, whether no answer comes or the answer
// does not end. An answer without its end is a lost answer.
func TestAttemptIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Script(pagerdutytest.Fault{Connection: pagerdutytest.Hang})
		start := time.Now()
		e := failed(t, newClient(t, &pagerduty.Options{Transport: fake, Retries: -1}), trigger("a"))
		if took := time.Since(start); took != 15*time.Second || !errors.Is(e, os.ErrDeadlineExceeded) ||
			!strings.Contains(e.Error(), "15s") {
			t.Errorf("%v after %v", e, took)
		}
		for timeout, want := range map[time.Duration]time.Duration{0: 15 * time.Second,
			time.Minute: time.Minute} {
			client := newClient(t,
				&pagerduty.Options{Retries: -1, AttemptTimeout: timeout,
					Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
						time.Sleep(14 * time.Second)
						return &http.Response{StatusCode: 202, Header: http.Header{}, Body: slowBody{r.Context()}},
							nil
					})})
			start = time.Now()
			e := failed(t, client, trigger("a"))
			if took := time.Since(start); !e.AnswerLost() || !errors.Is(e, os.ErrDeadlineExceeded) ||
				took != want {
				t.Errorf("AttemptTimeout %v: %v after %v", timeout, e, took)
			}
		}
	})
}

// PagerDuty may have accepted a request that was read and not answered, but not one that was never
// read.
func TestAmbiguousOnlyIfTheEventWentOut(t *testing.T) {
	tests := map[string]struct {
		fault pagerdutytest.Fault
		class pagerduty.Class
	}{
		"dropped unread": {pagerdutytest.Fault{Connection: pagerdutytest.DropBeforeRead},
			pagerduty.ClassTransient},
		"dropped after": {pagerdutytest.Fault{Connection: pagerdutytest.DropAfterRead, Ingest: true},
			pagerduty.ClassAmbiguous},
		"hanging, timeout": {pagerdutytest.Fault{Connection: pagerdutytest.Hang},
			pagerduty.ClassAmbiguous},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := pagerdutytest.NewTransport()
				fake.Script(test.fault)
				e := failed(t, newClient(t, &pagerduty.Options{Transport: fake, Retries: -1}), trigger("a"))
				if e.Class != test.class || e.Answered() ||
					e.MaybeAccepted != (test.class == pagerduty.ClassAmbiguous) {
					t.Errorf("error = %+v; want class %s", e, test.class)
				}
			})
		})
	}
}

// If an attempt may have been accepted, the error says so after a later failure of another kind
// too.
func TestMaybeAcceptedOutlivesTheNextAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Script(pagerdutytest.Fault{Connection: pagerdutytest.DropAfterRead, Ingest: true},
			pagerdutytest.Fault{Status: 429})
		e := failed(t, newClient(t, &pagerduty.Options{Transport: fake}), trigger("a"))
		if !e.Throttled() || !e.MaybeAccepted || !strings.Contains(e.Error(), "may have been accepted") {
			t.Errorf("error = %v, MaybeAccepted %t", e, e.MaybeAccepted)
		}
	})
}

// A change event has no dedup key: after a lost answer a second copy would be a second change.
func TestAmbiguousChangeEventIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Script(pagerdutytest.Fault{Connection: pagerdutytest.DropAfterRead, Ingest: true})
		_, err := newClient(t, &pagerduty.Options{Transport: fake}).SendChange(t.Context(),
			&pagerduty.ChangeEvent{Summary: "deployed"})
		e, ok := errors.AsType[*pagerduty.Error](err)
		if !ok || e.Class != pagerduty.ClassAmbiguous || len(fake.Changes()) != 1 {
			t.Errorf("SendChange = %v with %d changes recorded", err, len(fake.Changes()))
		}
	})
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		tests := []struct {
			header, value string
			want          time.Duration
		}{
			{"Retry-After", "30", 30 * time.Second},
			{"Retry-After", " 7 ", 7 * time.Second},
			{"Retry-After", "1.5", 1500 * time.Millisecond},
			{"Retry-After", now.Add(90 * time.Second).UTC().Format(http.TimeFormat), 90 * time.Second},
			{"Ratelimit-Reset", "45", 45 * time.Second},
			{"Retry-After", "86400", 5 * time.Minute},
			{"Retry-After", "1e300", 5 * time.Minute},
			{"Retry-After", now.Add(24 * time.Hour).UTC().Format(http.TimeFormat), 5 * time.Minute},
			{"Retry-After", now.Add(-time.Hour).UTC().Format(http.TimeFormat), 0},
			{"Retry-After", "-5", 0},
			{"Retry-After", "NaN", 0},
			{"Retry-After", "soon", 0},
			{"Retry-After", "", 0},
		}
		for _, test := range tests {
			fake := pagerdutytest.NewTransport()
			fake.Script(pagerdutytest.Fault{Status: 429, Header: http.Header{test.header: {test.value}}})
			e := failed(t, newClient(t, &pagerduty.Options{Transport: fake}), trigger("a"))
			if got := e.RetryAfter(); got != test.want {
				t.Errorf("%s %q: RetryAfter = %v, want %v", test.header, test.value, got, test.want)
			}
		}
	})
}

// A date is compared with the server's clock, because the local one may be hours off.
func TestRetryAfterIsADateOfTheServersClock(t *testing.T) {
	server := time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		date string
		want time.Duration
	}{
		"its own clock":                {server.Format(http.TimeFormat), 90 * time.Second},
		"no clock, and ours is behind": {"", 5 * time.Minute}, // the limit
		"a clock that cannot be read":  {"yesterday", 5 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) { // the bubble's clock is at 2000
			client := newClient(t,
				&pagerduty.Options{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
					header := http.Header{"Retry-After": {server.Add(90 * time.Second).Format(http.TimeFormat)},
						"Date": {test.date}}
					return &http.Response{StatusCode: 429, Header: header, Body: http.NoBody}, nil
				})})
			if got := failed(t, client, trigger("a")).RetryAfter(); got != test.want {
				t.Errorf("%s: RetryAfter = %v, want %v", name, got, test.want)
			}
		})
	}
}

// A 503 with a long Retry-After is returned with its wait.
func TestServerErrorWithALongRetryAfterIsHandedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Outage(time.Hour, pagerdutytest.Fault{Status: 503, RetryAfter: "60"})
		e := failed(t, newClient(t, &pagerduty.Options{Transport: fake}), trigger("a"))
		if e.Attempts != 1 || e.RetryAfter() != time.Minute {
			t.Errorf("%d attempts, RetryAfter %v", e.Attempts, e.RetryAfter())
		}
	})
}

// A throttle delays all events of the key.
func TestThrottleRetriesPauseTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Script(pagerdutytest.Fault{Status: 429, RetryAfter: "40"})
		client := newClient(t, &pagerduty.Options{Transport: fake, ThrottleRetries: 1})
		start := time.Now()
		done := make(chan error, 2)
		go func() {
			_, err := client.Send(t.Context(), trigger("a"))
			done <- err
		}()
		synctest.Wait()
		go func() {
			_, err := client.WithKey(routingKey(t, secret)).Send(t.Context(), trigger("b"))
			done <- err
		}()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		for _, r := range fake.Requests()[1:] {
			if since := r.Time.Sub(start); since < 40*time.Second {
				t.Errorf("%s sent %v after the throttle", r.DedupKey, since)
			}
		}
	})
}
