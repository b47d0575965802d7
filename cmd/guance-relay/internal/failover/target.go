//go:build unix

package main

import (
	"context"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// A target is a fake PagerDuty with an address for each node, so that it knows who sends.
type target struct {
	*pagerdutytest.Fake
	servers []*http.Server

	mu    sync.Mutex
	sends []send
	sent  chan struct{} // closed at the next send
}

// A send is a request that begins to arrive.
type send struct {
	node   int
	at     time.Time
	paused time.Duration // since the last one
}

// newTarget returns a target that fails now and then.
func newTarget() *target {
	t := &target{Fake: pagerdutytest.New(), sent: make(chan struct{})}
	t.SetRateLimit(0)
	oneIn := func(n int) func(pagerdutytest.Request) bool {
		return func(pagerdutytest.Request) bool { return rand.IntN(n) == 0 }
	}
	t.Poison(oneIn(20), pagerdutytest.Fault{Status: http.StatusServiceUnavailable})
	t.Poison(oneIn(20), pagerdutytest.Fault{Connection: pagerdutytest.DropAfterRead, Ingest: true})
	t.Poison(oneIn(10), pagerdutytest.Fault{Delay: 200 * time.Millisecond})
	return t
}

// serve returns the URL for a node.
func (t *target) serve(node int) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t.mu.Lock()
			s := send{node: node, at: time.Now()}
			if n := len(t.sends); n > 0 {
				s.paused = s.at.Sub(t.sends[n-1].at)
			}
			t.sends = append(t.sends, s)
			close(t.sent)
			t.sent = make(chan struct{})
			t.mu.Unlock()
			t.ServeHTTP(w, r)
		}),
		ErrorLog: log.New(io.Discard, "", 0), // nodes are killed
	}
	t.servers = append(t.servers, s)
	go func() { _ = s.Serve(l) }() // until close
	return "http://" + l.Addr().String(), nil
}

// count returns how many sends there were.
func (t *target) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.sends)
}

// first waits for the first send from number n on that is as wanted.
func (t *target) first(ctx context.Context, n int, want func(send) bool) (send, error) {
	for {
		t.mu.Lock()
		more, sent := t.sends[n:], t.sent
		t.mu.Unlock()
		if i := slices.IndexFunc(more, want); i >= 0 {
			return more[i], nil
		}
		n += len(more)
		select {
		case <-sent:
		case <-ctx.Done():
			return send{}, ctx.Err()
		}
	}
}

// last returns who sent last, after number n; and how often in a row.
func (t *target) last(n int) (node, row int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := len(t.sends) - 1; i >= n && t.sends[i].node == t.sends[len(t.sends)-1].node; i-- {
		node = t.sends[i].node
		row++
	}
	return node, row
}

func (t *target) close() {
	for _, s := range t.servers {
		_ = s.Close() // nothing depends on it
	}
}
