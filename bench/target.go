package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// targetKind says what a target is besides a counter: fake, which has PagerDuty's rules and
// remembers everything; forgetful, a fake that now and then forgets; or plain, which takes whatever
// has a key, an action and a dedup key, at the least cost there can be.
const targetKind = "BENCH_TARGET"

func init() { roles["target"] = serveTarget }

// A target is PagerDuty, in a process of its own.
type target struct{ *process }

func newTarget(b testing.TB, kind string) (*target, error) {
	p, err := actor(b, "target", targetKind+"="+kind)
	return &target{p}, err
}

// seen is what a target took.
type seen struct {
	First     time.Time // of the first request since it was last asked to begin anew
	Triggered int       // problems
	Resolved  int       // problems
	Refused   int       // requests
	Open      int       // incidents of a fake
	Closed    int       // incidents of a fake
}

// wait waits until the target saw triggers of so many problems and resolves of so many, or for so
// long.
func (t *target) wait(triggered, resolved int, atMost time.Duration) (s seen, err error) {
	return s, t.ask(fmt.Sprintf("/wait?triggered=%d&resolved=%d&atMost=%s", triggered, resolved,
		atMost), &s)
}

// begin has the target forget what it saw.
func (t *target) begin() error { return t.ask("/begin", &struct{}{}) }

func (t *target) ask(path string, answer any) error {
	r, err := http.Get(t.url + path)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	return json.NewDecoder(r.Body).Decode(answer)
}

// counter is the handler of a target.
type counter struct {
	fake *pagerdutytest.Fake // nil for a plain one

	mu                  sync.Mutex
	first               time.Time
	triggered, resolved map[string]bool // by dedup key
	refused             int             // requests
	waiting             *waiting
}

type waiting struct {
	triggered, resolved int
	done                chan struct{}
}

func serveTarget() error {
	c := &counter{}
	fake := pagerdutytest.New()
	fake.SetRateLimit(0)
	switch os.Getenv(targetKind) {
	case "forgetful":
		return serveAll(forgetful(fake))
	case "fake":
		c.fake = fake
	}
	c.begin()
	mux := http.NewServeMux()
	mux.HandleFunc("/v2/enqueue", c.enqueue)
	mux.HandleFunc("/begin", func(w http.ResponseWriter, _ *http.Request) {
		c.begin()
		_, _ = io.WriteString(w, "{}")
	})
	mux.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) {
		triggered, _ := strconv.Atoi(r.FormValue("triggered"))
		resolved, _ := strconv.Atoi(r.FormValue("resolved"))
		atMost, _ := time.ParseDuration(r.FormValue("atMost"))
		_ = json.NewEncoder(w).Encode(c.wait(&waiting{triggered, resolved, make(chan struct{})},
			atMost))
	})
	return serveAll(mux)
}

// forgetful is for a load without an end.
func forgetful(fake *pagerdutytest.Fake) http.Handler {
	var served atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fake.ServeHTTP(w, r)
		if served.Add(1)%1000 == 0 {
			fake.Reset()
		}
	})
}

func (c *counter) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.first, c.triggered, c.resolved, c.refused = time.Time{}, make(map[string]bool),
		make(map[string]bool), 0
	if c.fake != nil {
		c.fake.Reset()
	}
}

func (c *counter) enqueue(w http.ResponseWriter, r *http.Request) {
	came := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // there is nobody to answer
	}
	var event struct {
		RoutingKey string `json:"routing_key"`
		Action     string `json:"event_action"`
		DedupKey   string `json:"dedup_key"`
	}
	known := json.Unmarshal(body, &event) == nil && event.RoutingKey != "" && event.DedupKey != ""
	status := http.StatusAccepted
	switch {
	case c.fake != nil:
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer := &answer{ResponseWriter: w, status: http.StatusOK}
		c.fake.ServeHTTP(answer, r)
		status = answer.status
	case known:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"status":"success","message":"Event processed","dedup_key":%q}`,
			event.DedupKey)
	default:
		status = http.StatusBadRequest
		http.Error(w, `{"status":"invalid event"}`, status)
	}
	c.count(came, event.Action, event.DedupKey, known && status == http.StatusAccepted)
}

// answer remembers the status.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (c *counter) count(came time.Time, action, key string, accepted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first.IsZero() {
		c.first = came
	}
	switch {
	case !accepted:
		c.refused++
	case action == "trigger":
		c.triggered[key] = true
	case action == "resolve":
		c.resolved[key] = true
	}
	if c.waiting != nil && c.reached(c.waiting) {
		close(c.waiting.done)
		c.waiting = nil
	}
}

func (c *counter) reached(w *waiting) bool {
	return len(c.triggered) >= w.triggered && len(c.resolved) >= w.resolved
}

// wait is for one at a time.
func (c *counter) wait(w *waiting, atMost time.Duration) seen {
	c.mu.Lock()
	c.waiting = nil
	if c.reached(w) {
		close(w.done)
	} else {
		c.waiting = w
	}
	c.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(atMost):
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := seen{First: c.first, Triggered: len(c.triggered), Resolved: len(c.resolved),
		Refused: c.refused}
	if c.fake != nil {
		s.Open = len(c.fake.Open())
		s.Closed = len(c.fake.Incidents()) - s.Open
	}
	return s
}
