//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay/relaytest"
)

const (
	senders   = 12
	perSender = 12 // problems
	think     = 240 * time.Millisecond
	patience  = time.Minute // within which each event must be accepted
)

// A load posts the events of many problems through a balancer; those of one problem one after the
// other. An event that a node did not take is posted to the next one, as a balancer does it.
type load struct {
	nodes   []*node
	client  *http.Client
	senders sync.WaitGroup
	halt    context.CancelFunc

	mu       sync.Mutex
	rng      *rand.Rand
	turn     int
	problems [senders][]*guancetest.Problem
	accepted []relaytest.Accepted // in the order of the answers
	unsure   int                  // taken at a later try
	cut      int                  // tries without an answer
	refused  int                  // tries with another answer than 202
	missed   int                  // events that nobody took
	err      error                // of the first one of them
}

func newLoad(nodes []*node, rng *rand.Rand) *load {
	l := &load{nodes: nodes, rng: rng, client: &http.Client{Timeout: 30 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: senders}}}
	for i := range l.problems {
		for j := range perSender {
			l.problems[i] = append(l.problems[i], guancetest.NewProblem("disk", "sender", fmt.Sprint(i),
				"n", fmt.Sprint(j)))
		}
	}
	return l
}

// start posts until stop.
func (l *load) start(ctx context.Context) {
	running, halt := context.WithCancel(ctx)
	l.halt = halt
	for i := range senders {
		l.senders.Go(func() {
			for running.Err() == nil {
				e, wait := l.next(i)
				l.post(ctx, e)
				sleep(running, wait)
			}
		})
	}
}

// stop waits until each event that was begun is accepted.
func (l *load) stop() {
	l.halt()
	l.senders.Wait()
}

// all returns the events that were accepted so far.
func (l *load) all() []relaytest.Accepted {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.accepted)
}

// finish posts a last event of each problem.
func (l *load) finish(ctx context.Context, recoveries bool) {
	for i := range senders {
		l.senders.Go(func() {
			for j, p := range l.problems[i] {
				l.mu.Lock()
				e := p.Fault(guance.LevelCritical)
				if recoveries && j%2 == 0 {
					e = p.Recover()
				}
				l.mu.Unlock()
				l.post(ctx, e)
			}
		})
	}
	l.senders.Wait()
}

// next returns the next event of a sender, and for how long the sender waits after it.
func (l *load) next(sender int) (*guance.Event, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := time.Duration(l.rng.Int64N(int64(2 * think)))
	p := l.problems[sender][l.rng.IntN(perSender)]
	if l.rng.IntN(3) == 0 {
		return p.Recover(), wait
	}
	return p.Fault(guance.LevelWarning + guance.Level(l.rng.IntN(4))), wait
}

// pick returns a node in turn, of those that are up if there is one.
func (l *load) pick() *node {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range l.nodes {
		l.turn++
		if n := l.nodes[l.turn%len(l.nodes)]; n.up.Load() {
			return n
		}
	}
	l.turn++
	return l.nodes[l.turn%len(l.nodes)]
}

// post posts an event until a node takes it.
func (l *load) post(ctx context.Context, e *guance.Event) {
	begin := time.Now()
	for try := 0; ; try++ {
		said := "no answer"
		resp, err := l.client.Post("http://"+l.pick().address+"/guance?token="+token,
			"application/json", bytes.NewReader(e.Raw))
		if err == nil {
			_ = resp.Body.Close()
			said = resp.Status
		}
		l.mu.Lock()
		switch {
		case err == nil && resp.StatusCode == http.StatusAccepted:
			a := relaytest.Told(e, e.ProblemKey(), time.Now())
			// Another try may have been kept before: when is not known.
			a.Unsure = try > 0
			if a.Unsure {
				l.unsure++
			}
			l.accepted = append(l.accepted, a)
			l.mu.Unlock()
			return
		case err == nil:
			l.refused++
		default:
			l.cut++
		}
		late := time.Since(begin) > patience
		if late {
			l.missed++
		}
		if late && l.err == nil {
			l.err = fmt.Errorf("event %s was not accepted within %v: %s", e.EventID, patience, said)
		}
		l.mu.Unlock()
		if late || !sleep(ctx, 50*time.Millisecond) {
			return
		}
	}
}
