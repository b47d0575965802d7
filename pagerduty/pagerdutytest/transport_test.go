package pagerdutytest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// Hours in a bubble take no time.
func TestOutageOfHours(t *testing.T) {
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		start := time.Now()
		fake.OutageBetween(start.Add(time.Hour), start.Add(5*time.Hour),
			fault{Status: 502, Delay: time.Second})
		var failed int
		send(t, fake, trigger(key1, "before"))
		time.Sleep(time.Hour - time.Nanosecond)
		send(t, fake, trigger(key1, "just before"))
		time.Sleep(time.Nanosecond)
		for post(t, fake, alertURL, trigger(key1, "a").String()).status != http.StatusAccepted {
			failed++
			time.Sleep(time.Minute - time.Second)
		}
		if failed != 4*60 || time.Since(start) != 5*time.Hour {
			t.Errorf("%d failures in %v; want 240, one a minute, in 5 h", failed, time.Since(start))
		}
		if i, ok := fake.Incident("a"); !ok || i.Opened.Sub(start) != 5*time.Hour || len(i.Log) != 1 {
			t.Errorf("incident %+v", i)
		}
		if got := fake.MaxPerWindow(); got != 2 {
			t.Errorf("MaxPerWindow = %d", got)
		}
	})
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %v of real time", took)
	}
}

func TestDelay(t *testing.T) {
	for name, test := range map[string]struct {
		fault    fault
		patience time.Duration
		takes    time.Duration
		err      error
		ingested bool
	}{
		"answered in time": {fault{Delay: 100 * time.Millisecond}, 120 * time.Millisecond,
			100 * time.Millisecond, nil, true},
		"answered too late": {fault{Delay: 100 * time.Millisecond}, 80 * time.Millisecond,
			80 * time.Millisecond, context.DeadlineExceeded, true},
		"denied too late": {fault{Delay: time.Hour, Status: 500}, time.Minute, time.Minute,
			context.DeadlineExceeded, false},
		"dropped after a day": {fault{Delay: 24 * time.Hour, Connection: pagerdutytest.DropBeforeRead},
			25 * time.Hour, 24 * time.Hour, errReset, false},
		"hanging for a week": {fault{Connection: pagerdutytest.Hang}, 168 * time.Hour, 168 * time.Hour,
			context.DeadlineExceeded, false},
		"late, then hanging": {fault{Delay: time.Hour, Connection: pagerdutytest.Hang, Ingest: true},
			2 * time.Hour, 2 * time.Hour, context.DeadlineExceeded, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := pagerdutytest.NewTransport()
				fake.Script(test.fault)
				client := &http.Client{Transport: fake, Timeout: test.patience}
				start := time.Now()
				resp, err := client.Post(alertURL, "application/json",
					strings.NewReader(trigger(key1, "a").String()))
				if err == nil {
					_ = resp.Body.Close()
				}
				if took := time.Since(start); took != test.takes {
					t.Errorf("took %v, want %v", took, test.takes)
				}
				switch test.err {
				case errReset:
					if err == nil || !strings.Contains(err.Error(), "reset") {
						t.Errorf("error %v", err)
					}
				default:
					if !errors.Is(err, test.err) {
						t.Errorf("error %v, want %v", err, test.err)
					}
				}
				if len(fake.Open()) == 1 != test.ingested {
					t.Errorf("open %+v", fake.Open())
				}
			})
		})
	}
}

var errReset = errors.New("a reset")

// A waiter in a bubble lets the bubble's clock move, and wakes up when its condition is true.
func TestWaitInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		start := time.Now()
		go func() {
			time.Sleep(time.Hour)
			send(t, fake, trigger(key1, "a"))
			time.Sleep(time.Hour)
			send(t, fake, resolve(key1, "a"))
		}()
		if err := fake.WaitOpen(t.Context(), "a"); err != nil || time.Since(start) != time.Hour {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if err := fake.WaitAllResolved(t.Context()); err != nil || time.Since(start) != 2*time.Hour {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := fake.WaitRequests(ctx, 3); !errors.Is(err, context.DeadlineExceeded) ||
			time.Since(start) != 3*time.Hour {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// The Transport refuses requests that http.Transport does not send.
func TestTransportHoldsTheRequestToItsWord(t *testing.T) {
	event := trigger(key1, "a").String()
	request := func(url, body string) *http.Request {
		r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	spent := request(alertURL, event)
	// the state after a retry that does not rewind
	if _, err := io.Copy(io.Discard, spent.Body); err != nil {
		t.Fatal(err)
	}
	none := request(alertURL, event)
	none.Body = nil
	longer := request(alertURL, event)
	longer.ContentLength--
	failing := request(alertURL, event)
	failing.ContentLength = -1
	failing.Body = io.NopCloser(io.MultiReader(strings.NewReader(event[:9]), brokenReader{}))
	for name, r := range map[string]*http.Request{
		"body read before":   spent,
		"body gone":          none,
		"body longer":        longer,
		"body that fails":    failing,
		"no scheme":          request("events.pagerduty.com/v2/enqueue", event),
		"no host":            request("https:///v2/enqueue", event),
		"a scheme of no use": request("ftp://events.pagerduty.com/v2/enqueue", event),
	} {
		fake := pagerdutytest.NewTransport()
		if a, err := do(fake, r); err == nil {
			t.Errorf("%s: answered %d", name, a.status)
		}
		if len(fake.Open()) != 0 {
			t.Errorf("%s: ingested", name)
		}
	}
	unknown := request(alertURL, event)
	unknown.ContentLength = -1
	if a, err := do(pagerdutytest.NewTransport(), unknown); err != nil || a.status != 202 {
		t.Errorf("a body of unknown length: %d, %v", a.status, err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken reader") }

// Every body is closed, and a body that a fault leaves unread is not read.
func TestTransportClosesTheBody(t *testing.T) {
	for name, f := range map[string]fault{
		"answered": {}, "refused": {Connection: pagerdutytest.Refuse},
		"dropped unread": {Connection: pagerdutytest.DropBeforeRead},
		"dropped":        {Connection: pagerdutytest.DropAfterRead},
	} {
		fake := pagerdutytest.NewTransport()
		fake.Script(f)
		body := &watched{Reader: strings.NewReader(trigger(key1, "a").String())}
		r, err := http.NewRequest(http.MethodPost, alertURL, body)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = do(fake, r)
		if wantRead := name == "answered" || name == "dropped"; !body.closed || body.read != wantRead {
			t.Errorf("%s: read %v, closed %v", name, body.read, body.closed)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("over")
	cancel(over)
	fake := pagerdutytest.NewTransport()
	body := &watched{Reader: strings.NewReader("{}")}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, alertURL, body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := do(fake, r); !errors.Is(err, over) || !body.closed || body.read ||
		len(fake.Requests()) != 0 {
		t.Errorf("context over before: %v, read %v, closed %v", err, body.read, body.closed)
	}
}

type watched struct {
	io.Reader
	read, closed bool
}

func (w *watched) Read(p []byte) (int, error) { w.read = true; return w.Reader.Read(p) }
func (w *watched) Close() error               { w.closed = true; return nil }

func TestOneFakeBehindSeveral(t *testing.T) {
	fake := pagerdutytest.New()
	first, second, server := fake.NewTransport(), fake.NewTransport(), fake.NewServer()
	rt := &http.Transport{}
	defer rt.CloseIdleConnections()
	send(t, first, trigger(key1, "a"))
	send(t, at(rt, server.URL), trigger(key1, "a"))
	server.Close()
	server.Close() // the second call has no effect
	if _, err := try(t, rt, server.URL+"/v2/enqueue", resolve(key1, "a").String()); err == nil {
		t.Error("a closed server answers")
	}
	send(t, second, resolve(key1, "a"))
	if i, _ := server.Incident("a"); i.Status != pagerdutytest.Resolved || len(i.Log) != 3 {
		t.Errorf("incident %+v", i)
	}
}

func TestResponseIsWhole(t *testing.T) {
	both(t, func(t *testing.T, fake *pagerdutytest.Fake, rt http.RoundTripper, base string) {
		r, err := http.NewRequest(http.MethodPost, base+"/v2/enqueue",
			strings.NewReader(trigger(key1, "a").String()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		resp, err := rt.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Status != "202 Accepted" || !resp.ProtoAtLeast(1, 1) || resp.Request != r ||
			resp.ContentLength != int64(len(body)) ||
			resp.Header.Get("Content-Length") != fmt.Sprint(len(body)) {
			t.Errorf("response %+v", resp)
		}
		if _, err := http.ParseTime(resp.Header.Get("Date")); err != nil {
			t.Error(err)
		}
	})
}

// The example of the documentation works.
func TestExampleTransport(t *testing.T) { pagesAfterTheOutage(t) }
