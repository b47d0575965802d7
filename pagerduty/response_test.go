package pagerduty_test

import (
	"bytes"
	"compress/gzip"
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

// answerCase is an answer of a server, and what the error has of it.
type answerCase struct {
	name        string
	status      int
	contentType string
	body        string
	want        pagerduty.Error
}

// testAnswers sends with Send and with SendChange: go-pagerduty loses PagerDuty's words in one of
// its two ways to send.
func testAnswers(t *testing.T, cases ...answerCase) {
	for _, s := range cases {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wire := roundTripper(func(*http.Request) (*http.Response, error) {
					header := http.Header{"Content-Type": {s.contentType}}
					return &http.Response{StatusCode: s.status, Header: header,
						Body: io.NopCloser(strings.NewReader(s.body))}, nil
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
	testAnswers(t, answerCase{
		"wrong length", 400, asJSON,
		`{"status":"invalid event","message":"Event object is invalid","errors":["` + wrongLength + `"]}`,
		pagerduty.Error{Status: "invalid event", Message: "Event object is invalid",
			Errors: []string{wrongLength}},
	})
}

func TestFact11NothingToUnderstand(t *testing.T) {
	testAnswers(t,
		answerCase{"broken JSON", 400, asJSON, `{"status"}`, pagerduty.Error{Body: `{"status"}`}},
		answerCase{"no body", 400, asJSON, "", pagerduty.Error{}},
		answerCase{"no body, throttled", 429, asJSON, "", pagerduty.Error{}},
		answerCase{"JSON that is no object", 400, asJSON, `["a"]`, pagerduty.Error{Body: `["a"]`}},
		answerCase{"an object of something else", 403, asJSON, `{"code":5}`,
			pagerduty.Error{Body: `{"code":5}`}},
		answerCase{"two objects", 400, asJSON, `{"message":"a"}{"message":"b"}`,
			pagerduty.Error{Body: `{"message":"a"}{"message":"b"}`}},
		answerCase{"HTML", 404, "text/html", "<html>\n<p>no\x00</p>",
			pagerduty.Error{Body: "<html> <p>no</p>"}},
		answerCase{"not UTF-8", 400, "text/plain", "no \xff\xfe",
			pagerduty.Error{Body: "no \ufffd\ufffd"}},
	)
}

// go-pagerduty's Client method loses the errors of this answer (go-pagerduty issue 476).
func TestFact12EveryEntryPointGivesTheErrors(t *testing.T) {
	const missing = "'payload.source' is missing or blank"
	testAnswers(t, answerCase{
		"missing source", 400, asJSON,
		`{"status":"invalid event","message":"Event object is invalid","errors":["` + missing + `"]}`,
		pagerduty.Error{Status: "invalid event", Message: "Event object is invalid",
			Errors: []string{missing}},
	})
}

func TestFact13EveryErrorOfTheListIsKept(t *testing.T) {
	for n := range 4 {
		errs := []string{"first", "second", "third"}[:n]
		body := fmt.Sprintf(`{"status":"invalid event","message":"m","errors":[%s]}`,
			strings.Join(quoted(errs), ","))
		want := pagerduty.Error{Status: "invalid event", Message: "m"}
		if n > 0 {
			want.Errors = errs
		}
		testAnswers(t, answerCase{fmt.Sprint(n), 400, asJSON, body, want})
	}
}

func quoted(texts []string) (q []string) {
	for _, s := range texts {
		q = append(q, strconv.Quote(s))
	}
	return q
}

func TestFact14ContentDecidesAndNotItsType(t *testing.T) {
	testAnswers(t,
		answerCase{"plain text", 400, "text/plain", "Invalid routing key",
			pagerduty.Error{Body: "Invalid routing key"}},
		answerCase{
			"JSON as text", 429, "text/plain",
			`{"status":"throttle exceeded","message":"Requests for this service are arriving too quickly. ` +
				` Please retry later."}`,
			pagerduty.Error{Status: "throttle exceeded",
				Message: "Requests for this service are arriving too quickly.  Please retry later."},
		},
		answerCase{"text as JSON", 400, asJSON, "Bad Request", pagerduty.Error{Body: "Bad Request"}},
		answerCase{
			"errors as a string", 400, asJSON,
			`{"status":"invalid event","message":"m","errors":"only one"}`,
			pagerduty.Error{Status: "invalid event", Message: "m", Errors: []string{"only one"}},
		},
		answerCase{
			"fields of odd types", 400, asJSON, `{"status":7,"message":"m","errors":[{"a":1},null,"b"]}`,
			pagerduty.Error{Message: "m", Errors: []string{`{"a":1}`, "b"}},
		},
	)
}

// Fact 14: both the quoted text and the bytes that are read have a limit.
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

// endless counts the bytes that are read of it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func (e *endless) Close() error { return nil }

// Fact 15: a 2xx whose body is not PagerDuty's is a lost answer, and only a little of it is read.
func TestFact15OddBodyIsALostAnswer(t *testing.T) {
	huge := new(endless)
	for name, body := range map[string]func() io.ReadCloser{
		"not JSON": func() io.ReadCloser { return io.NopCloser(strings.NewReader("OK")) },
		"empty":    func() io.ReadCloser { return http.NoBody },
		"cut off": func() io.ReadCloser {
			return io.NopCloser(io.MultiReader(strings.NewReader(accepted[:40]), brokenReader{}))
		},
		"cut in half":    func() io.ReadCloser { return io.NopCloser(strings.NewReader(accepted[:20])) },
		"other JSON":     func() io.ReadCloser { return io.NopCloser(strings.NewReader(`[1,2]`)) },
		"huge":           func() io.ReadCloser { return huge },
		"no body at all": func() io.ReadCloser { return nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			client := newClient(t,
				&pagerduty.Options{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					requests++
					return &http.Response{StatusCode: 202, Header: http.Header{}, Body: body(), ContentLength: -1},
						nil
				})})
			e := failed(t, client, trigger("mine"))
			if e.Class != pagerduty.ClassAmbiguous || !e.AnswerLost() || requests != 3 || e.Remedy() == "" {
				t.Errorf("%s: %v after %d requests", name, e, requests)
			}
		})
	}
	if huge.read > 1<<20 {
		t.Errorf("read %d bytes of an endless answer", huge.read)
	}
}

// The JSON is complete, but the answer ends before its Content-Length.
func TestAnswerThatBreaksOffBehindItsWords(t *testing.T) {
	client := newClient(t,
		&pagerduty.Options{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			body := io.MultiReader(strings.NewReader(accepted), brokenReader{})
			return &http.Response{StatusCode: 202, Header: http.Header{}, Body: io.NopCloser(body),
				ContentLength: -1}, nil
		})})
	if result, err := client.Send(t.Context(), trigger("a")); err != nil || !result.Confirmed ||
		result.Attempts != 1 {
		t.Errorf("Send = %+v, %v", result, err)
	}
}

// accepted is PagerDuty's answer to an event that it accepted.
const accepted = `{"status":"success","message":"Event processed","dedup_key":"a"}`

// A gateway may compress an answer without being asked to. A compressed answer that is cut off is a
// lost answer.
func TestCompressedAnswer(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(z, accepted); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		body      string
		delivered bool
	}{
		"whole":          {zipped.String(), true},
		"cut off":        {zipped.String()[:zipped.Len()-20], false},
		"not compressed": {accepted, false},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t,
				&pagerduty.Options{Retries: -1,
					Transport: roundTripper(func(*http.Request) (*http.Response, error) {
						return &http.Response{
							StatusCode: http.StatusAccepted, Header: http.Header{"Content-Encoding": {"gzip"}},
							Body: io.NopCloser(strings.NewReader(tc.body)),
						}, nil
					})})
			_, err := client.Send(t.Context(), trigger("a"))
			e, _ := errors.AsType[*pagerduty.Error](err)
			if tc.delivered != (err == nil) || e != nil && !e.AnswerLost() {
				t.Errorf("got %v, want delivered %v, or else a lost answer", err, tc.delivered)
			}
		})
	}
}

// Only PagerDuty's own answer means delivered.
func TestReport04AnswerOfAPortalIsNotDelivered(t *testing.T) {
	for _, status := range []int{200, 201, 202, 204, 299} {
		for body, delivered := range map[string]bool{
			accepted: true,
			`{"status":"success","message":"Event processed"}`:                true,
			`{"message":"Change event processed", "status":"success"}` + "\n": true,
			"\ufeff" + accepted:                   true,
			"":                                    false,
			"<html>please log in</html>":          false,
			"{}":                                  false,
			"null":                                false,
			"[" + accepted + "]":                  false,
			accepted + accepted:                   false,
			accepted + "<script>":                 false,
			accepted[:len(accepted)-1]:            false,
			`"success"`:                           false,
			`{"status":200,"message":"OK"}`:       false,
			`{"status":"success"}`:                false,
			`{"status":"success","message":null}`: false,
			`{"message":"Event processed"}`:       false,
			`{"Status":"success","Message":"m"}`:  false,
			`{"status":"success","message":"m","status":"error"}`:         false,
			`{"data":{"status":"success","message":"Event processed"}}`:   false,
			`{"status":"error","message":"please log in"}`:                false,
			`{"status":"invalid event","message":"m","errors":["e"]}`:     false,
			`{"status":"throttle exceeded","message":"Requests for ..."}`: false,
		} {
			synctest.Test(t, func(t *testing.T) {
				requests := 0
				client := newClient(t, &pagerduty.Options{Transport: answering(status, body, &requests)})
				result, err := client.Send(t.Context(), trigger("a"))
				if (err == nil) != delivered {
					t.Fatalf("%d with %q: %+v, %v", status, body, result, err)
				}
				if err == nil {
					if result.Confirmed != (status == 202) || result.AnswerLost || requests != 1 {
						t.Errorf("%d with %q: %+v after %d requests", status, body, result, requests)
					}
					return
				}
				e, _ := errors.AsType[*pagerduty.Error](err)
				if e == nil || e.Permanent() || e.Throttled() || !e.AnswerLost() || e.RetryAfter() != 0 ||
					e.Remedy() == "" || requests != 3 {
					t.Errorf("%d with %q: %+v after %d requests", status, body, e, requests)
				}
			})
		}
	}
}

// With AcceptAny2xx any answer of a gateway is success.
func TestAcceptAny2xx(t *testing.T) {
	for status, body := range map[int]string{200: "OK", 202: "", 204: "", 201: `{"status":"queued"}`,
		299: `{"status":"error","message":"m"}`} {
		requests := 0
		client := newClient(t,
			&pagerduty.Options{AcceptAny2xx: true, Transport: answering(status, body, &requests)})
		result, err := client.Send(t.Context(), trigger("a"))
		if err != nil || result.StatusCode != status || result.Confirmed || result.DedupKey != "a" ||
			requests != 1 {
			t.Errorf("%d with %q: %+v, %v after %d requests", status, body, result, err, requests)
		}
	}
	requests := 0
	if e := failed(t, newClient(t,
		&pagerduty.Options{AcceptAny2xx: true, Transport: answering(302, accepted, &requests)}),
		trigger("a")); e.Class != pagerduty.ClassConfig {
		t.Errorf("302: %v", e)
	}
}

// A lost answer is reported although a later answer is a success.
func TestResultTellsOfALostAnswer(t *testing.T) {
	for name, fault := range map[string]pagerdutytest.Fault{
		"a connection that broke":  {Connection: pagerdutytest.DropAfterRead},
		"a time-out":               {Connection: pagerdutytest.Hang},
		"an answer of a portal":    {Status: 200, Body: "<html>", ContentType: "text/html"},
		"an answer cut off":        {Connection: pagerdutytest.CutAnswer},
		"a gateway's 502":          {Status: 502, Body: "<html>", ContentType: "text/html"},
		"a gateway's 504":          {Status: 504, Ingest: true},
		"nothing: PagerDuty's 503": {Status: 503},
		"nothing: a refused dial":  {Connection: pagerdutytest.Refuse},
	} {
		synctest.Test(t, func(t *testing.T) {
			fake := pagerdutytest.NewTransport()
			fake.Script(fault)
			result, err := newClient(t, &pagerduty.Options{Transport: fake}).Send(t.Context(), trigger("a"))
			if want := !strings.HasPrefix(name, "nothing"); err != nil || result.Attempts != 2 ||
				result.AnswerLost != want {
				t.Errorf("%s: %+v, %v; want a lost answer: %t", name, result, err, want)
			}
		})
	}
}

// Only PagerDuty's own refusal of the event is final.
func TestReport03NothingDiesOfWhatIsNotPagerDutysWord(t *testing.T) {
	const about = "'payload.severity' is invalid (must be one of the following: 'critical', " +
		"'warning', 'error' or 'info')"
	words := func(errors string) string {
		return `{"status":"invalid event","message":"Event object is invalid","errors":` + errors + `}`
	}
	type row struct {
		status int
		body   string
		final  bool
	}
	tests := []row{
		{400, words(`["` + about + `"]`), true},
		{400, words(`"` + about + `"`), true},
		{400, "\ufeff" + words(`["`+about+`",""]`), true},
		{400, `{"status":"Unrecognized object","message":"Event object format is unrecognized",` +
			`"errors":["JSON parse error"]}`, true},
		{400, words(`["` + wrongLength + `"]`), false},
		// once the key is right, PagerDuty may take the event
		{400, words(`["` + about + `","'routing_key' is missing or blank"]`), false},
		{400, words(`["Invalid routing key"]`), false},
		{400, words(`["'event_type' is missing or blank","Service key can't be blank"]`), false},
		{400, words(`[]`), false},
		{400, words(`null`), false},
		{400, words(`""`), false},
		{400, words(`{"severity":"bad"}`), false},
		{400, words(`["` + about + `"]`)[:60], false},
		{400, words(`["`+about+`"]`) + "<!-- proxy -->", false},
		{400, `{"status":"invalid event","message":"Event object is invalid"}`, false},
		{400, `{"errors":["` + about + `"]}`, false},
		{400, `{"status":400,"message":"Bad Request","errors":["` + about + `"]}`, false},
		{400, "Invalid routing key", false},
		{400, "<html>Bad Request</html>", false},
		{400, "", false},
		{101, "", false},
	}
	for _, status := range []int{300, 301, 302, 303, 304, 307, 308, 401, 402, 403, 404, 405, 406, 407,
		409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 426, 428, 431, 451, 499} {
		tests = append(tests, row{status, "", false}, row{status, "<html>default backend</html>", false},
			row{status, words(`["` + about + `"]`), false})
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			wire := answering(test.status, test.body, &requests)
			client := newClient(t,
				&pagerduty.Options{ThrottleRetries: 3,
					Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
						resp, err := wire(r)
						resp.Header.Set("Retry-After", "3600")
						resp.Header.Set("Location", "https://login.example.com/")
						return resp, err
					})})
			e := failed(t, client, trigger("a"))
			want := pagerduty.ClassConfig
			if test.final {
				want = pagerduty.ClassPermanent
			}
			if e.Class != want || e.Permanent() != test.final || requests != 1 || e.RetryAfter() != 0 ||
				e.Throttled() || e.AnswerLost() {
				t.Errorf("%d with %q: class %s, %d requests, %v; want class %s and one request", test.status,
					test.body, e.Class, requests, e, want)
			}
			if !test.final && (e.Remedy() == "" || !strings.Contains(e.Error(), e.Remedy())) {
				t.Errorf("%d with %q: %v, without a word who to ask", test.status, test.body, e)
			}
		})
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("reset") }

// Fact 16: a redirect is never followed, because the body has the key.
func TestFact16RedirectIsNotFollowed(t *testing.T) {
	elsewhere := pagerdutytest.NewServer()
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{elsewhere.URL + "/v2/enqueue", "/v2/enqueue", "::not a url",
			""} {
			t.Run(fmt.Sprintf("%d to %q", status, location), func(t *testing.T) {
				server := pagerdutytest.NewServer()
				defer server.Close()
				server.Outage(1<<40, pagerdutytest.Fault{Status: status, Location: location})
				// The caller's client follows redirects; the client must not.
				following := &http.Client{Transport: new(http.Transport)}
				defer following.CloseIdleConnections()
				e := failed(t, newClient(t, &pagerduty.Options{BaseURL: server.URL, HTTPClient: following}),
					trigger("a"))
				if e.Class != pagerduty.ClassConfig || e.StatusCode != status || e.Hint == "" {
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
		{400, `{"errors":["` + wrongLength +
			`","'routing_key' cannot contain non-alphanumeric characters."]}`, "Integration Key"},
		{400, "Invalid routing key", "service region"},
		{400, `{"errors":["'event_type' is missing or blank","Service key can't be blank"]}`,
			"Events API v1"},
		{400, `{"errors":["Service key is the wrong length"]}`, "Events API v1"},
		{400, `{"errors":["service_key is missing"]}`, "Events API v1"},
		{400, `{"errors":["'event_type' is missing or blank"]}`, "Events API v1"},
		{400, `{"errors":["this routing key may not send"]}`, "PagerDuty account"},
		{400, `{"errors":["'routing_key' is missing or blank"]}`, "PagerDuty account"},
		{400, "no such integration key", "PagerDuty account"},
		{407, "", "proxy"},
		{404, "", "base URL"},
	}
	for _, test := range tests {
		requests := 0
		client := newClient(t,
			&pagerduty.Options{Transport: answering(test.status, test.body, &requests)})
		e := failed(t, client, trigger("a"))
		if !strings.Contains(e.Hint, test.hint) || !strings.Contains(e.Error(), e.Hint) {
			t.Errorf("%d %s: hint %q in %q", test.status, test.body, e.Hint, e)
		}
	}
}

// An event that is refused as too large is made smaller once. A small event is not sent again.
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
		if first, second := fake.Requests()[0].Size, fake.Requests()[1].Size; second > first/2 ||
			second < first/3 {
			t.Errorf("sent %d bytes, then %d; want about half", first, second)
		}
		fake.Script(pagerdutytest.Fault{Status: 413}, pagerdutytest.Fault{Status: 413})
		if e := failed(t, newClient(t, &pagerduty.Options{Transport: fake}), ev); e.StatusCode != 413 ||
			!e.Permanent() || e.Attempts != 2 {
			t.Errorf("error = %+v", e)
		}
		fake.Script(pagerdutytest.Fault{Status: 413}, pagerdutytest.Fault{})
		if e := failed(t, newClient(t, &pagerduty.Options{Transport: fake}),
			trigger("a")); e.StatusCode != 413 || e.Class != pagerduty.ClassConfig || e.Attempts != 1 {
			t.Errorf("of an event that cannot be made smaller: %+v", e)
		}
	})
}

// An error of the caller's limiter is not an answer, and errors.Is finds it.
func TestLimiterError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := errors.New("budget closed")
		fake := pagerdutytest.NewTransport()
		client := newClient(t, &pagerduty.Options{Transport: fake}).
			WithLimiter(limiterFunc(func(context.Context) error { return closed }))
		e := failed(t, client, trigger("a"))
		if !errors.Is(e, closed) || e.Permanent() || e.Attempts != 0 || len(fake.Requests()) != 0 {
			t.Errorf("error = %+v", e)
		}
	})
}

// If the limiter refuses the retry, the error still has the answer before it.
func TestLimiterRefusesTheRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := errors.New("budget closed")
		asked := 0
		fake := pagerdutytest.NewTransport()
		fake.Script(pagerdutytest.Fault{Status: 503})
		client := newClient(t,
			&pagerduty.Options{Transport: fake, Limiter: limiterFunc(func(context.Context) error {
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
