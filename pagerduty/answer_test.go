package pagerduty_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

const wrongLength = "Length of 'routing_key' is incorrect (should be 32 characters)"

// saying is what a server answers, and what of it the caller gets to see.
type saying struct {
	name        string
	status      int
	contentType string
	body        string
	want        pagerduty.Error
}

// testSayings sends through every public entry point, for go-pagerduty loses
// PagerDuty's words on one of its two.
func testSayings(t *testing.T, sayings ...saying) {
	for _, s := range sayings {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wire := roundTripper(func(*http.Request) (*http.Response, error) {
					header := http.Header{"Content-Type": {s.contentType}}
					return &http.Response{StatusCode: s.status, Header: header, Body: io.NopCloser(strings.NewReader(s.body))}, nil
				})
				client := newClient(t, &pagerduty.Options{Transport: wire})
				_, alertErr := client.Send(t.Context(), trigger("a"))
				_, changeErr := client.SendChange(t.Context(), &pagerduty.ChangeEvent{Summary: "s"})
				for entry, err := range map[string]error{"Send": alertErr, "SendChange": changeErr} {
					e, ok := errors.AsType[*pagerduty.Error](err)
					if !ok || e.StatusCode != s.status {
						t.Fatalf("%s = %v", entry, err)
					}
					got := pagerduty.Error{Status: e.Status, Message: e.Message, Errors: e.Errors, Body: e.Body}
					if diff := cmp.Diff(s.want, got); diff != "" {
						t.Errorf("%s: (-want +got)\n%s", entry, diff)
					}
					for _, said := range append(s.want.Errors, s.want.Message) {
						if !strings.Contains(e.Error(), said) {
							t.Errorf("%s: %q is not in %q", entry, said, e.Error())
						}
					}
				}
			})
		})
	}
}

const asJSON = "application/json"

func TestFact10ErrorsAreInTheText(t *testing.T) {
	testSayings(t, saying{
		"wrong length", 400, asJSON,
		`{"status":"invalid event","message":"Event object is invalid","errors":["` + wrongLength + `"]}`,
		pagerduty.Error{Status: "invalid event", Message: "Event object is invalid", Errors: []string{wrongLength}},
	})
}

func TestFact11NothingToUnderstand(t *testing.T) {
	testSayings(t,
		saying{"broken JSON", 400, asJSON, `{"status"}`, pagerduty.Error{Body: `{"status"}`}},
		saying{"no body", 400, asJSON, "", pagerduty.Error{}},
		saying{"no body, throttled", 429, asJSON, "", pagerduty.Error{}},
		saying{"JSON that is no object", 400, asJSON, `["a"]`, pagerduty.Error{Body: `["a"]`}},
		saying{"an object of something else", 403, asJSON, `{"code":5}`, pagerduty.Error{Body: `{"code":5}`}},
		saying{"two objects", 400, asJSON, `{"message":"a"}{"message":"b"}`, pagerduty.Error{Body: `{"message":"a"}{"message":"b"}`}},
		saying{"HTML", 404, "text/html", "<html>\n<p>no\x00</p>", pagerduty.Error{Body: "<html> <p>no</p>"}},
		saying{"not UTF-8", 400, "text/plain", "no \xff\xfe", pagerduty.Error{Body: "no \ufffd\ufffd"}},
	)
}

// testSayings goes through every entry point; this is the answer of which
// go-pagerduty's Client method loses the errors (go-pagerduty issue 476).
func TestFact12EveryEntryPointGivesTheErrors(t *testing.T) {
	const missing = "'payload.source' is missing or blank"
	testSayings(t, saying{
		"missing source", 400, asJSON,
		`{"status":"invalid event","message":"Event object is invalid","errors":["` + missing + `"]}`,
		pagerduty.Error{Status: "invalid event", Message: "Event object is invalid", Errors: []string{missing}},
	})
}

func TestFact13EveryErrorOfTheListIsKept(t *testing.T) {
	for n := range 4 {
		errs := []string{"first", "second", "third"}[:n]
		body := fmt.Sprintf(`{"status":"invalid event","message":"m","errors":[%s]}`, strings.Join(quoted(errs), ","))
		want := pagerduty.Error{Status: "invalid event", Message: "m"}
		if n > 0 {
			want.Errors = errs
		}
		testSayings(t, saying{fmt.Sprint(n), 400, asJSON, body, want})
	}
}

func quoted(texts []string) (q []string) {
	for _, s := range texts {
		q = append(q, strconv.Quote(s))
	}
	return q
}

func TestFact14ContentDecidesAndNotItsType(t *testing.T) {
	testSayings(t,
		saying{"plain text", 400, "text/plain", "Invalid routing key", pagerduty.Error{Body: "Invalid routing key"}},
		saying{
			"JSON as text", 429, "text/plain",
			`{"status":"throttle exceeded","message":"Requests for this service are arriving too quickly.  Please retry later."}`,
			pagerduty.Error{Status: "throttle exceeded", Message: "Requests for this service are arriving too quickly.  Please retry later."},
		},
		saying{"text as JSON", 400, asJSON, "Bad Request", pagerduty.Error{Body: "Bad Request"}},
		saying{
			"errors as a string", 400, asJSON, `{"status":"invalid event","message":"m","errors":"only one"}`,
			pagerduty.Error{Status: "invalid event", Message: "m", Errors: []string{"only one"}},
		},
		saying{
			"fields of odd types", 400, asJSON, `{"status":7,"message":"m","errors":[{"a":1},null,"b"]}`,
			pagerduty.Error{Message: "m", Errors: []string{`{"a":1}`, "b"}},
		},
	)
}

// Fact 14: what is quoted is bounded, and so is what is read.
func TestFact14QuoteIsBounded(t *testing.T) {
	for name, body := range map[string]string{
		"text":         strings.Repeat("界", 1<<20),
		"JSON message": `{"message":"` + strings.Repeat("m", 1<<20) + `"}`,
		"JSON errors":  `{"errors":["` + strings.Repeat("e", 10_000) + `"]}`,
	} {
		requests := 0
		client := newClient(t, &pagerduty.Options{Transport: answering(400, body, &requests)})
		if e := failed(t, client, trigger("a")); len(e.Error()) > 2000 {
			t.Errorf("%s: an error of %d bytes", name, len(e.Error()))
		}
	}
}

// endless counts what is read of it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func (e *endless) Close() error { return nil }

// Fact 15: 202 is success whatever comes with it, and nothing is sent twice.
func TestFact15AcceptedWithOddBody(t *testing.T) {
	huge := new(endless)
	for name, body := range map[string]io.ReadCloser{
		"not JSON":       io.NopCloser(strings.NewReader("OK")),
		"empty":          http.NoBody,
		"cut off":        io.NopCloser(io.MultiReader(strings.NewReader(`{"status":"succ`), brokenReader{})),
		"other JSON":     io.NopCloser(strings.NewReader(`[1,2]`)),
		"huge":           huge,
		"no body at all": nil,
	} {
		requests := 0
		client := newClient(t, &pagerduty.Options{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			requests++
			return &http.Response{StatusCode: 202, Header: http.Header{}, Body: body, ContentLength: -1}, nil
		})})
		result, err := client.Send(t.Context(), trigger("mine"))
		if err != nil || requests != 1 || result.DedupKey != "mine" || result.Confirmed {
			t.Errorf("%s: %+v, %v after %d requests", name, result, err, requests)
		}
	}
	if huge.read > 1<<20 {
		t.Errorf("read %d bytes of an endless answer", huge.read)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("reset") }

// Fact 16: a redirect is never followed: the key in the body would go along.
func TestFact16RedirectIsNotFollowed(t *testing.T) {
	elsewhere := pagerdutytest.NewServer()
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{elsewhere.URL + "/v2/enqueue", "/v2/enqueue", "::not a url", ""} {
			t.Run(fmt.Sprintf("%d to %q", status, location), func(t *testing.T) {
				server := pagerdutytest.NewServer()
				defer server.Close()
				server.Outage(1<<40, pagerdutytest.Fault{Status: status, Location: location})
				// The caller's client would follow; ours must not.
				following := &http.Client{Transport: new(http.Transport)}
				defer following.CloseIdleConnections()
				e := failed(t, newClient(t, &pagerduty.Options{BaseURL: server.URL, HTTPClient: following}), trigger("a"))
				if !e.Permanent() || e.StatusCode != status || e.Hint == "" {
					t.Errorf("error = %+v", e)
				}
				if here, there := len(server.Requests()), len(elsewhere.Requests()); here != 1 || there != 0 {
					t.Errorf("%d requests here and %d elsewhere", here, there)
				}
			})
		}
	}
}

func TestHints(t *testing.T) {
	tests := []struct {
		status int
		body   string
		hint   string
	}{
		{400, `{"errors":["` + wrongLength + `","'routing_key' cannot contain non-alphanumeric characters."]}`, "Integration Key"},
		{400, "Invalid routing key", "service region"},
		{400, `{"errors":["'event_type' is missing or blank","Service key can't be blank"]}`, "Events API v1"},
		{407, "", "proxy"},
		{404, "", "base URL"},
	}
	for _, test := range tests {
		requests := 0
		client := newClient(t, &pagerduty.Options{Transport: answering(test.status, test.body, &requests)})
		e := failed(t, client, trigger("a"))
		if !strings.Contains(e.Hint, test.hint) || !strings.Contains(e.Error(), e.Hint) {
			t.Errorf("%d %s: hint %q in %q", test.status, test.body, e.Hint, e)
		}
	}
}

// An event that is found too large is made smaller once; small ones are not
// sent again.
func TestTooLargeIsShrunkOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Script(pagerdutytest.Fault{Status: 413})
		ev := trigger("a")
		ev.Details = map[string]any{"log": strings.Repeat("x", 400_000)}
		result, err := newClient(t, &pagerduty.Options{Transport: fake}).Send(t.Context(), ev)
		if err != nil || result.Attempts != 2 || len(result.Repairs) != 1 {
			t.Fatalf("Send = %+v, %v", result, err)
		}
		if first, second := fake.Requests()[0].Size, fake.Requests()[1].Size; second > first/2 || second < first/3 {
			t.Errorf("sent %d bytes, then %d; want about half", first, second)
		}
		fake.Script(pagerdutytest.Fault{Status: 413}, pagerdutytest.Fault{Status: 413})
		if e := failed(t, newClient(t, &pagerduty.Options{Transport: fake}), ev); e.StatusCode != 413 || !e.Permanent() || e.Attempts != 2 {
			t.Errorf("error = %+v", e)
		}
	})
}

// An error of the caller's own limiter is not an answer, and stays findable.
func TestLimiterError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := errors.New("budget closed")
		fake := pagerdutytest.NewTransport()
		client := newClient(t, &pagerduty.Options{Transport: fake}).WithLimiter(limiterFunc(func(context.Context) error { return closed }))
		e := failed(t, client, trigger("a"))
		if !errors.Is(e, closed) || e.Permanent() || e.Attempts != 0 || len(fake.Requests()) != 0 {
			t.Errorf("error = %+v", e)
		}
	})
}

// When the limiter refuses the retry, the answer before it is still told.
func TestLimiterRefusesTheRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := errors.New("budget closed")
		asked := 0
		fake := pagerdutytest.NewTransport()
		fake.Script(pagerdutytest.Fault{Status: 503})
		client := newClient(t, &pagerduty.Options{Transport: fake, Limiter: limiterFunc(func(context.Context) error {
			if asked++; asked > 1 {
				return closed
			}
			return nil
		})})
		e := failed(t, client, trigger("a"))
		if !errors.Is(e, closed) || e.StatusCode != 503 || e.Attempts != 1 {
			t.Errorf("error = %+v", e)
		}
	})
}

type limiterFunc func(context.Context) error

func (f limiterFunc) Wait(ctx context.Context) error { return f(ctx) }
