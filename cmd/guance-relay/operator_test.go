package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay"
)

// withOperator starts a server that has an operator's address, in front of a fake PagerDuty.
func withOperator(t *testing.T, env ...string) (*process, *pagerdutytest.Server) {
	t.Helper()
	pd := pagerdutytest.NewServer()
	t.Cleanup(pd.Close)
	return start(t, append(env, "RELAY_OPERATOR=127.0.0.1:0", "RELAY_DATA="+t.TempDir(),
		"PAGERDUTY_URL="+pd.URL)...), pd
}

// operator returns the operator's address.
func (p *process) operator(t *testing.T) string {
	t.Helper()
	return "http://" + p.listens(t, "listening for the operator")
}

// listens returns the address in a line of the log.
func (p *process) listens(t *testing.T, line string) string {
	t.Helper()
	_, rest, _ := strings.Cut(p.output(), `msg="`+line+`" address=`)
	address, _, whole := strings.Cut(rest, "\n")
	if !whole {
		t.Fatalf("the log has no address of %q:\n%s", line, p.output())
	}
	return address
}

// ask sends a request to the operator's address, and returns the status and the body of the answer.
func (p *process) ask(t *testing.T, method, target string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.operator(t)+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		} else if name != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("Content-Type") == "application/json" && method != http.MethodHead &&
		!json.Valid(body) {
		t.Errorf("%s %s: %s with %q, which is no JSON", method, target, resp.Status, body)
	}
	return resp.StatusCode, string(body)
}

// expect sends a request to the operator's address and checks status and text of the answer.
func (p *process) expect(t *testing.T, code int, says, method, target string, header ...string) {
	t.Helper()
	if got, body := p.ask(t, method, target, header...); got != code || !strings.Contains(body, says) {
		t.Errorf("%s %s %q: %d %s; want %d with %q", method, target, header, got, body, code, says)
	}
}

// A deadPage is a part of what the console says of dead letters.
type deadPage struct {
	Entries []struct {
		Seq                           uint64
		EventID                       string `json:"event_id"`
		Problem, State, Level, Reason string
		Body                          json.RawMessage
		At                            time.Time
	}
}

// dead waits until there are n dead letters, and returns them.
func (p *process) dead(t *testing.T, n int) (page deadPage) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		_, body := p.ask(t, "GET", "/console/api/dead")
		page = deadPage{}
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		if len(page.Entries) == n {
			return page
		}
		if time.Now().After(deadline) {
			t.Fatalf("want %d dead letters, there is %s", n, body)
		}
	}
}

// settled waits until that many events have ended in each way.
func (p *process) settled(t *testing.T, delivered, dead, ignored uint64) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		var stats relay.Stats
		_, body := p.ask(t, "GET", "/console/api/lanes")
		if err := json.Unmarshal([]byte(body), &stats); err != nil || len(stats.Lanes) != 1 {
			t.Fatalf("the figures are %s: %v", body, err)
		}
		if l := stats.Lanes[0]; l.Delivered == delivered && l.Dead == dead && l.Ignored == ignored {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the figures are %s, want %d delivered, %d dead and %d ignored", body, delivered, dead,
				ignored)
		}
	}
}

// fault returns the sample as an event of another problem.
func fault(problem string) string {
	return strings.NewReplacer(sampleProblem, problem, "event-f20a38aa58b54c6c8d4c9a84e655db1a",
		"event-of-"+problem).Replace(string(sample))
}

// poison makes the fake refuse a problem's events as invalid, until it heals.
func poison(pd *pagerdutytest.Server, problem string) {
	pd.Poison(func(r pagerdutytest.Request) bool { return strings.Contains(string(r.Body), problem) },
		pagerdutytest.Fault{Status: http.StatusBadRequest,
			Body: `{"status":"invalid event","message":"Event object is invalid",` +
				`"errors":["'payload.severity' is invalid"]}`})
}

// A dead letter is listed, explained, replayed and dropped.
func TestOperatorReplays(t *testing.T) {
	p, pd := withOperator(t)
	p.expect(t, 200, `"entries":[]`, "GET", "/console/api/dead")
	poison(pd, "poison")
	began := time.Now()
	p.post(t, fault("poison-1"))
	got := p.dead(t, 1).Entries[0]
	if got.Seq != 1 || got.EventID != "event-of-poison-1/critical/critical" ||
		got.Problem != "poison-1" ||
		got.Level != "critical" || got.State != "problem" || !strings.Contains(got.Reason, "400") ||
		got.At.Before(began) || got.Body != nil {
		t.Errorf("the dead letter is %+v", got)
	}
	p.expect(t, 200, `"df_event_id":"event-of-poison-1"`, "GET", "/console/api/dead?body=1&lane=pagerduty")
	p.expect(t, 200, `"outcome":"dead","reason":"`, "GET", "/console/api/problem?key=poison-1")
	p.expect(t, 200, "lane pagerduty, problem poison-1\n  1  accepted ", "GET",
		"/console/api/problem?key=poison-1", "Accept: text/plain")

	pd.Heal()
	p.expect(t, 200, `{"status":"ok","lane":"pagerduty","done":1,"stale":0}`, "POST",
		"/console/api/replay?seq=1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := pd.WaitOpen(ctx, "poison-1"); err != nil {
		t.Fatal(err)
	}
	p.dead(t, 0)
	p.expect(t, 404, "no such entry", "POST", "/console/api/replay?seq=1")
	p.expect(t, 404, "no such entry", "POST", "/console/api/drop?seq=1")

	// Two events become dead letters, and one of their problems gets a newer state.
	poison(pd, "poison-2")
	p.post(t, fault("poison-2"))
	p.dead(t, 1)
	poison(pd, "poison-3")
	p.post(t, fault("poison-3"))
	p.dead(t, 2)
	pd.Heal()
	p.post(t, strings.ReplaceAll(string(recovery()), sampleProblem, "poison-2"))
	if err := pd.Wait(ctx, func() bool {
		return slices.ContainsFunc(pd.Requests(),
			resolves("poison-2"))
	}); err != nil {
		t.Fatal(err)
	}
	p.expect(t, 409, "the problem has moved on", "POST", "/console/api/replay?seq=2")
	p.expect(t, 200, `"next":2`, "GET", "/console/api/dead?limit=1")
	p.expect(t, 200, `"problem":"poison-3"`, "GET", "/console/api/dead?limit=1&after=2")
	p.expect(t, 200, `"done":1,"stale":1`, "POST",
		"/console/api/replay?all=yes")
	if err := pd.WaitOpen(ctx, "poison-3"); err != nil {
		t.Fatal(err)
	}
	p.dead(t, 1)
	p.expect(t, 200, `"status":"ok"`, "POST", "/console/api/drop?seq=2")
	p.dead(t, 0)
	p.expect(t, 200, `"outcome":"dead"`, "GET", "/console/api/problem?key=poison-2") // its outcome stays

	p.settled(t, 3, 3, 0)
	for _, line := range []string{`msg="console: action" action=replay lane=pagerduty user="" done=1 stale=1 all=yes`,
		`msg="console: action" action=drop lane=pagerduty user="" done=1 stale=0 seq=2`} {
		if strings.Count(p.output(), line) != 1 {
			t.Errorf("the log has not one line with %s:\n%s", line, p.output())
		}
	}
}

func resolves(problem string) func(pagerdutytest.Request) bool {
	return func(r pagerdutytest.Request) bool {
		return r.Status == http.StatusAccepted && strings.Contains(string(r.Body), `"resolve"`) &&
			strings.Contains(string(r.Body), problem)
	}
}

// A wrong call changes nothing, and its answer says what is right. Calls of web pages are refused.
func TestOperatorRefuses(t *testing.T) {
	p, pd := withOperator(t)
	poison(pd, sampleProblem)
	p.post(t, string(sample))
	p.dead(t, 1)
	for _, test := range []struct {
		code           int
		says           string
		method, target string
		header         string
	}{
		{404, "/console/", "GET", "/", ""},
		{404, "/console/", "POST", "/guance", ""},
		{404, "/console/", "GET", "/debug/pprof/", ""},
		{405, "POST", "GET", "/console/api/replay", ""},
		{405, "POST", "HEAD", "/console/api/drop?seq=1", ""},
		{405, "GET", "POST", "/console/api/lanes", ""},
		{405, "GET", "DELETE", "/console/api/dead?seq=1", ""},
		{404, "no lane", "GET", "/console/api/dead?lane=feishu", ""},
		{404, "no lane", "POST", "/console/api/replay?lane=feishu&seq=1", ""},
		{404, "no lane", "POST", "/console/api/drop?lane=&seq=1", ""},
		{400, "seq", "POST", "/console/api/drop", ""},
		{400, "seq", "POST", "/console/api/replay", ""},
		{400, "seq", "POST", "/console/api/drop?seq=0", ""},
		{400, "seq", "POST", "/console/api/replay?seq=", ""}, // an unset variable is not all
		{400, "sequence", "POST", "/console/api/replay?sequence=1", ""},
		{400, "once", "POST", "/console/api/replay?seq=1&seq=2", ""},
		{400, "semicolon", "POST", "/console/api/replay?lane=pagerduty;seq=1", ""},
		{400, "limit", "GET", "/console/api/dead?limit=1001", ""},
		{400, "limit", "GET", "/console/api/dead?limit=0", ""},
		{400, "after", "GET", "/console/api/dead?after=-1", ""},
		{400, "body", "GET", "/console/api/dead?body=yes", ""},
		{400, "key", "GET", "/console/api/problem", ""},
		{404, "no record", "GET", "/console/api/problem?key=unheard-of", ""},
		{421, "Host", "GET", "/console/api/lanes", "Host: rebound.example"},
		{421, "Host", "GET", "/metrics", "Host: 127.0.0.1.rebound.example:9090"},
		{421, "Host", "POST", "/console/api/drop?seq=1", "Host: 192.0.2.1"},
		{403, "another origin", "POST", "/console/api/drop?seq=1", "Origin: http://evil.example"},
		{403, "another origin", "POST", "/console/api/replay", "Sec-Fetch-Site: cross-site"},
		{403, "another origin", "POST", "/console/api/drop?seq=1", "Origin: null"},
		{200, "lanes", "GET", "/console/api/lanes", "Host: localhost"},
		{200, "lanes", "GET", "/console/api/lanes", "Host: [::1]"},
		{200, "lanes", "GET", "/console/api/lanes", "Host: 127.0.0.2:80"},
		{200, "", "HEAD", "/console/api/lanes", ""},
	} {
		if test.method == "HEAD" {
			test.says = ""
		}
		p.expect(t, test.code, test.says, test.method, test.target, test.header)
	}
	resp, err := http.PostForm(p.operator(t)+"/reload", url.Values{"seq": {"1"}})
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != 400 {
		t.Errorf("parameters in a body: %s, want 400", resp.Status)
	}
	p.dead(t, 1)
	if n := len(pd.Requests()); n != 1 {
		t.Errorf("PagerDuty had %d requests, want the one that made the dead letter", n)
	}
	if code, _ := p.ask(t, "GET", "/healthz"); code != 404 {
		t.Errorf("the operator's address answers what the webhook's does")
	}
	resp, err = http.Get(p.url + "/console/api/lanes")
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != 404 {
		t.Errorf("the webhook's address answers the console with %s", resp.Status)
	}
}

// The operator's address answers while the server stops, and is closed afterwards.
func TestOperatorSeesTheStop(t *testing.T) {
	t.Parallel() // it mostly waits
	p, pd := withOperator(t)
	pd.Script(pagerdutytest.Fault{Delay: time.Minute}) // the stop waits for it for five seconds
	p.post(t, string(sample))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := pd.WaitRequests(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(p.output(), "msg=stopping") {
		time.Sleep(time.Millisecond)
	}
	p.expect(t, 200, `"lanes"`, "GET", "/console/api/lanes")
	address := p.operator(t)
	if err := p.Wait(); err != nil {
		t.Errorf("SIGTERM: %v, want exit 0\n%s", err, p.output())
	}
	if _, err := http.Get(address + "/console/api/lanes"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after the end the operator's address answers, or: %v", err)
	}
}

// What a terminal shows has no control characters.
func TestPrintable(t *testing.T) {
	got := strings.Map(printable, "a\x1b[2Jb\r\n\u009b磁盘\x00")
	if want := "a�[2Jb�\n�磁盘�"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
