//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/pgstore/pgtest"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/store"
)

func TestMain(m *testing.M) {
	if !pgtest.Installed() && os.Getenv("RELAY_TEST_POSTGRES") != "required" {
		fmt.Fprintln(os.Stderr, "failover: the test on a real engine is SKIPPED:", pgtest.ErrNotFound)
		// `go test` shows no output of a package that passes, but for this line it adds
		// "[no tests to run]" to the package's result.
		fmt.Println("testing: warning: no tests to run")
		return
	}
	os.Exit(m.Run())
}

// A short drill: the owner is killed, and stopped; a standby is promoted.
func TestFailover(t *testing.T) {
	p := &plan{seed: rand.Uint64(), perMinute: 1200}
	p.rounds[kill], p.rounds[pause], p.rounds[crash] = 1, 1, 1
	var out strings.Builder
	err := p.play(t.Context(), &out)
	t.Log("\n" + out.String())
	if err != nil {
		t.Error(err)
	}
	for _, says := range []string{names[kill], names[pause], names[crash], "100.0 %"} {
		if !strings.Contains(out.String(), says) {
			t.Errorf("the table does not say %q", says)
		}
	}
}

// The counts of the table find what they count.
func TestCounts(t *testing.T) {
	h := &relaytest.History{}
	for _, id := range []string{"1", "2", "3"} {
		h.Accepted = append(h.Accepted, relaytest.Accepted{ID: id, Problem: "p",
			State: guance.StateProblem})
	}
	for _, id := range []string{"1", "3", "2", "3", "2"} {
		h.Attempts = append(h.Attempts, relaytest.Attempt{ID: id, Problem: "p"})
	}
	h.Settled = []store.Settlement{
		{Entry: store.Entry{ID: "1"}, Outcome: store.Delivered},
		{Entry: store.Entry{ID: "3"}, Outcome: store.Dead},
	}
	lost, dead := outcomes(h)
	if back := backwards(h); lost != 1 || dead != 1 || back != 2 {
		t.Errorf("%d lost, %d dead, %d backwards; want 1, 1 and 2", lost, dead, back)
	}
}
