package pagerdutytest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

type fault = pagerdutytest.Fault

func TestFaultsThatAnswer(t *testing.T) {
	const json = "application/json"
	for name, test := range map[string]struct {
		fault       fault
		status      int
		contentType string
		body        string
		header      map[string]string
		ingested    bool
	}{
		"none": {fault{}, 202, json,
			`{"status":"success","message":"Event processed","dedup_key":"a"}`, nil, true},
		"500": {fault{Status: 500}, 500, json,
			`{"status":"error","message":"Internal Server Error"}`, nil, false},
		"429": {fault{Status: 429, RetryAfter: "30"}, 429, json, throttled,
			map[string]string{"Retry-After": "30"}, false},
		"a date": {fault{Status: 503, RetryAfter: "Fri, 31 Dec 1999 23:59:59 GMT"}, 503, json,
			`{"status":"error","message":"Service Unavailable"}`,
			map[string]string{"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, false},
		"400 says nothing": {fault{Status: 400}, 400, "", "", nil, false},
		"599": {fault{Status: 599}, 599, json, `{"status":"error","message":""}`, nil,
			false},
		"999":              {fault{Status: 999, Body: "{}"}, 999, json, "{}", nil, false},
		"no body":          {fault{Status: 429, NoBody: true}, 429, "", "", nil, false},
		"202 without body": {fault{NoBody: true}, 202, "", "", nil, true},
		"204":              {fault{Status: 204}, 204, "", "", nil, false},
		"garbage":          {fault{Body: "\x00<html>"}, 202, json, "\x00<html>", nil, true},
		"garbage of 502": {fault{Status: 502, Body: "<html>", ContentType: "text/html"}, 502,
			"text/html", "<html>", nil, false},
		"wrong type": {fault{ContentType: "text/plain"}, 202, "text/plain",
			`{"status":"success","message":"Event processed","dedup_key":"a"}`, nil, true},
		"wrong type of 429": {fault{Status: 429, ContentType: "text/plain"}, 429, "text/plain",
			throttled, nil, false},
		"redirect": {fault{Status: 307, Location: "https://elsewhere.example/v2/enqueue"}, 307,
			"", "", map[string]string{"Location": "https://elsewhere.example/v2/enqueue"}, false},
		"header": {fault{Header: http.Header{"Ratelimit-Reset": {"7"}}}, 202, json,
			`{"status":"success","message":"Event processed","dedup_key":"a"}`,
			map[string]string{"Ratelimit-Reset": "7"}, true},
		"denied, ingested": {fault{Status: 500, Ingest: true}, 500, json,
			`{"status":"error","message":"Internal Server Error"}`, nil, true},
		"other success": {fault{Status: 200, Body: "OK", ContentType: "text/plain"}, 200,
			"text/plain", "OK", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, fake *pagerdutytest.Fake, rt http.RoundTripper, base string) {
				fake.Script(test.fault)
				got := post(t, rt, base+"/v2/enqueue", trigger(key1, "a").String())
				if got.status != test.status || got.body != test.body ||
					got.header.Get("Content-Type") != test.contentType {
					t.Errorf("%d %q %q; want %d %q %q", got.status, got.header.Get("Content-Type"), got.body,
						test.status, test.contentType, test.body)
				}
				for name, want := range test.header {
					if got.header.Get(name) != want {
						t.Errorf("%s is %q, want %q", name, got.header.Get(name), want)
					}
				}
				if len(fake.Open()) == 1 != test.ingested {
					t.Errorf("open %+v; ingested should be %v", fake.Open(), test.ingested)
				}
				logged := fake.Requests()[0]
				if logged.Status != test.status || logged.Answer != test.body ||
					logged.Fault.Status != test.fault.Status {
					t.Errorf("logged %+v", logged)
				}
				send(t, at(rt, base), trigger(key1, "b")) // the fault was for one request
			})
		})
	}
}

// at sends requests for PagerDuty to base instead.
func at(rt http.RoundTripper, base string) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		again, err := http.NewRequestWithContext(r.Context(), r.Method, base+r.URL.Path, r.Body)
		if err != nil {
			return nil, err
		}
		again.Header = r.Header
		return rt.RoundTrip(again)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestFaultsOfTheConnection(t *testing.T) {
	for name, test := range map[string]struct {
		fault        fault
		read, closed bool // read: the body was read; closed: there was a connection
		ingested     bool
	}{
		"refused":        {fault{Connection: pagerdutytest.Refuse}, false, false, false},
		"dropped unread": {fault{Connection: pagerdutytest.DropBeforeRead}, false, true, false},
		"dropped":        {fault{Connection: pagerdutytest.DropAfterRead}, true, true, false},
		"dropped, ingested": {fault{Connection: pagerdutytest.DropAfterRead, Ingest: true}, true, true,
			true},
		"a status is no help": {fault{Connection: pagerdutytest.DropAfterRead, Status: 202}, true, true,
			false},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, fake *pagerdutytest.Fake, rt http.RoundTripper, base string) {
				fake.Script(test.fault)
				got, err := try(t, rt, base+"/v2/enqueue", trigger(key1, "a").String())
				broken, ok := errors.AsType[*net.OpError](err)
				if err == nil {
					t.Fatalf("answered %d", got.status)
				}
				if !ok && !errors.Is(err, io.EOF) { // a reset can be either
					t.Errorf("error %T %v", err, err)
				}
				if base == host && (test.closed != errors.Is(err, syscall.ECONNRESET) ||
					test.closed == (broken.Op == "dial")) {
					t.Errorf("error %v in %s", err, broken.Op)
				}
				if logged := fake.Requests()[0]; logged.Status != 0 || (logged.Body != nil) != test.read {
					t.Errorf("logged %+v", logged)
				}
				if len(fake.Open()) == 1 != test.ingested {
					t.Errorf("open %+v", fake.Open())
				}
				send(t, at(rt, base), trigger(key1, "b"))
			})
		})
	}
}

func TestAnAnswerThatIsCut(t *testing.T) {
	for name, test := range map[string]struct {
		fault fault
		want  string
	}{
		"as usual": {fault{Connection: pagerdutytest.CutAnswer, Body: "0123456789"}, "01234"},
		"empty":    {fault{Connection: pagerdutytest.CutAnswer, NoBody: true}, ""},
		"denied":   {fault{Connection: pagerdutytest.CutAnswer, Status: 503, Body: "0123"}, "01"},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, fake *pagerdutytest.Fake, rt http.RoundTripper, base string) {
				fake.Script(test.fault)
				got, err := try(t, rt, base+"/v2/enqueue", trigger(key1, "a").String())
				if !errors.Is(err, io.ErrUnexpectedEOF) || got.body != test.want {
					t.Errorf("body %q, %v; want %q and io.ErrUnexpectedEOF", got.body, err, test.want)
				}
				if ingested := test.fault.Status == 0; len(fake.Open()) == 1 != ingested {
					t.Errorf("open %+v", fake.Open())
				}
			})
		})
	}
}

// Hang ends when the client gives up, with the client's error.
func TestHangLastsUntilTheClientGivesUp(t *testing.T) {
	for name, ingest := range map[string]bool{"not ingested": false, "ingested": true} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, fake *pagerdutytest.Fake, rt http.RoundTripper, base string) {
				fake.Script(fault{Connection: pagerdutytest.Hang, Ingest: ingest})
				ctx, giveUp := context.WithCancelCause(t.Context())
				patience := errors.New("out of patience")
				go func() {
					if err := fake.WaitRequests(t.Context(), 1); err != nil {
						t.Error(err)
					}
					giveUp(patience)
				}()
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v2/enqueue",
					strings.NewReader(trigger(key1, "a").String()))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/json")
				if _, err := do(rt, r); !errors.Is(err, patience) {
					t.Errorf("error %v, want %v", err, patience)
				}
				if len(fake.Open()) == 1 != ingest {
					t.Errorf("open %+v", fake.Open())
				}
			})
		})
	}
}

// If a client follows a redirect, the log has the second request.
func TestARedirectThatIsFollowedShows(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	fake.Script(fault{Status: 307, Location: "https://elsewhere.example/v2/enqueue"})
	client := &http.Client{Transport: fake}
	resp, err := client.Post(alertURL, "application/json",
		strings.NewReader(trigger(key1, "a").String()))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if all := fake.Requests(); len(all) != 2 || all[0].Host != "events.pagerduty.com" ||
		all[1].Host != "elsewhere.example" {
		t.Errorf("requests %+v", all)
	}
}

func TestPoison(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	stopA := fake.Poison(func(r pagerdutytest.Request) bool { return r.DedupKey == "a" },
		fault{Status: 500})
	stopSummary := fake.Poison(func(r pagerdutytest.Request) bool {
		return strings.Contains(r.Summary,
			"☠")
	}, fault{Status: 502})
	expect := func(want int, event object) {
		t.Helper()
		if got := post(t, fake, alertURL, event.String()); got.status != want {
			t.Errorf("%s: %d, want %d", event, got.status, want)
		}
	}
	for range 3 {
		expect(500, trigger(key1, "a"))
		expect(502, trigger(key1, "b").payload("summary", "☠"))
		expect(202, trigger(key1, "b"))
	}
	stopA()
	stopA() // the second call has no effect
	expect(202, trigger(key1, "a"))
	expect(502, trigger(key1, "a").payload("summary", "☠"))
	stopSummary()
	expect(202, trigger(key1, "a").payload("summary", "☠"))
}

// An outage comes before a poison, and a poison before the script, which waits.
func TestWhichFaultComesFirst(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	fake.Script(fault{Status: 501}, fault{}, fault{Status: 502})
	all := func(pagerdutytest.Request) bool { return true }
	fake.Poison(all, fault{Status: 503})
	fake.Outage(time.Hour, fault{Status: 504})
	fake.Outage(time.Hour, fault{Status: 505}) // the first one applies
	status := func() int { return post(t, fake, alertURL, trigger(key1, "a").String()).status }
	if got := status(); got != 504 {
		t.Errorf("%d, want the outage's", got)
	}
	fake.Heal()
	if got := status(); got != 202 {
		t.Errorf("%d after Heal", got)
	}
	fake.Script(fault{Status: 501}, fault{}, fault{Status: 502})
	stop := fake.Poison(all, fault{Status: 503})
	if got := status(); got != 503 {
		t.Errorf("%d, want the poison's", got)
	}
	stop()
	for _, want := range []int{501, 202, 502, 202} {
		if got := status(); got != want {
			t.Errorf("%d, want %d of the script", got, want)
		}
	}
}

func TestFaultsThatCannotBePanic(t *testing.T) {
	fake := pagerdutytest.New()
	for name, set := range map[string]func(){
		"status": func() { fake.Script(fault{Status: 99}) },
		"an IngestAfter in the past": func() {
			fake.Script(fault{Connection: pagerdutytest.Hang,
				IngestAfter: -1})
		},
		"IngestAfter, unread": func() {
			fake.Script(fault{Connection: pagerdutytest.Refuse,
				IngestAfter: time.Second})
		},
		"IngestAfter and Ingest": func() {
			fake.Script(fault{Connection: pagerdutytest.Hang,
				Ingest: true, IngestAfter: time.Second})
		},
		"IngestAfter, answered": func() { fake.Script(fault{IngestAfter: time.Second}) },
		"connection":            func() { fake.Outage(time.Hour, fault{Connection: 99}) },
		"unread": func() {
			fake.Poison(func(pagerdutytest.Request) bool { return true },
				fault{Connection: pagerdutytest.DropBeforeRead, Ingest: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if said, _ := recover().(string); !strings.HasPrefix(said, "pagerdutytest: Fault with ") {
					t.Errorf("panic %q", said)
				}
			}()
			set()
		})
	}
	fake.Heal() // the Fake still works
}
