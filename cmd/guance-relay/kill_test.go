package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/cmd/guance-relay/internal/received"
	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/store"
)

const (
	killRounds  = 20
	senders     = 4
	perSender   = 15 // problems
	killAllowed = 6000
)

// Promises 1 to 4: a server that is killed twenty times under load, while PagerDuty fails now and
// then, loses nothing that it answered with 202, and never sends a stale state after a newer one.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel() // in the end it mostly waits
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	pd := pagerdutytest.NewServer()
	defer pd.Close()
	pd.SetRateLimit(0)
	pd.Poison(func(pagerdutytest.Request) bool { return rand.IntN(20) == 0 },
		pagerdutytest.Fault{Status: 503})
	pd.Poison(func(pagerdutytest.Request) bool { return rand.IntN(20) == 0 },
		pagerdutytest.Fault{Connection: pagerdutytest.DropAfterRead, Ingest: true})
	dir := t.TempDir()
	env := []string{"RELAY_DATA=" + dir, "PAGERDUTY_URL=" + pd.URL,
		fmt.Sprint("PAGERDUTY_PER_MINUTE=", killAllowed), "LOG_LEVEL=info"}

	crowd := newCrowd(rng)
	for range killRounds {
		p := start(t, env...)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for i := range senders {
			wg.Go(func() { crowd.post(i, p.url, stop) })
		}
		crowd.wait(t, 10+rand.IntN(60)) // the moment of the kill is what the test is about
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.Wait() // killed
		close(stop)
		wg.Wait()
	}
	pd.Heal()
	db := drain(t, dir, env)
	defer db.Close()

	h := relaytest.History{Accepted: crowd.accepted, Attempts: attempts(t, pd.Requests())}
	var err error
	if h.Settled, err = relaytest.Settled(t.Context(), db, "pagerduty", h.Accepted); err != nil {
		t.Fatal(err)
	}
	answered := 0
	for _, a := range h.Accepted {
		if !a.Unsure {
			answered++
		}
	}
	if answered < 10*killRounds {
		t.Errorf("%d events were answered with 202, too few to prove anything", answered)
	}
	if err := h.Check(&relaytest.Rules{PerMinute: killAllowed, InFlight: 100}); err != nil {
		t.Error(err)
	}
	t.Logf("%d events answered with 202, %d in doubt, %d requests, %d kills", answered,
		len(h.Accepted)-answered, len(h.Attempts), killRounds)
}

// A crowd posts the events of many problems; those of one problem, one after the other.
type crowd struct {
	answered chan struct{}
	mu       sync.Mutex
	rng      *rand.Rand
	problems [senders][]*guancetest.Problem
	accepted []relaytest.Accepted
}

func newCrowd(rng *rand.Rand) *crowd {
	c := &crowd{rng: rng, answered: make(chan struct{}, 1000)}
	for i := range c.problems {
		for j := range perSender {
			c.problems[i] = append(c.problems[i],
				guancetest.NewProblem("disk", "sender", fmt.Sprint(i), "n", fmt.Sprint(j)))
		}
	}
	return c
}

// wait waits until n more events are answered with 202.
func (c *crowd) wait(t *testing.T, n int) {
	t.Helper()
	for len(c.answered) > 0 { // of the round before
		<-c.answered
	}
	for ; n > 0; n-- {
		select {
		case <-c.answered:
		case <-time.After(time.Minute):
			t.Fatal("no event is answered with 202 within a minute")
		}
	}
}

// next returns the next event of one of a sender's problems.
func (c *crowd) next(sender int) *guance.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.problems[sender][c.rng.IntN(perSender)]
	if c.rng.IntN(3) == 0 {
		return p.Recover()
	}
	return p.Fault(guance.LevelWarning + guance.Level(c.rng.IntN(4)))
}

func (c *crowd) post(sender int, url string, stop <-chan struct{}) {
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	for {
		select {
		case <-stop:
			return
		default:
		}
		e := c.next(sender)
		resp, err := client.Post(url+"/guance?token="+token, "application/json",
			strings.NewReader(string(e.Raw)))
		a := relaytest.Told(e, e.ProblemKey(), time.Now())
		a.Unsure = err != nil || resp.StatusCode != http.StatusAccepted
		if err == nil {
			_ = resp.Body.Close()
		}
		c.mu.Lock()
		c.accepted = append(c.accepted, a)
		c.mu.Unlock()
		if !a.Unsure {
			select {
			case c.answered <- struct{}{}:
			default: // nobody counts any more
			}
		}
		if err != nil {
			return // the server is gone
		}
	}
}

// drain runs the server until its store has nothing pending, and opens the store. It takes more
// than a minute: a recovery after a lost answer is sent again a minute later.
func drain(t *testing.T, dir string, env []string) *boltstore.Store {
	t.Helper()
	p := start(t, append(env, "RELAY_OPERATOR=127.0.0.1:0")...)
	p.drained(t, 5*time.Minute)
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Fatalf("the server stopped with %v:\n%s", err, p.output())
	}
	db, err := boltstore.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if held, err := db.Holdings(t.Context()); err != nil || held["pagerduty"] != (store.Holdings{}) {
		t.Errorf("the store still has %+v, %v", held, err)
	}
	return db
}

// attempts returns what PagerDuty received.
func attempts(t *testing.T, requests []pagerdutytest.Request) []relaytest.Attempt {
	t.Helper()
	as, err := received.Attempts(requests)
	if err != nil {
		t.Fatal(err)
	}
	return as
}
