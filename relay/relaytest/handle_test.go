package relaytest_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A recorder sees what every handle does, and CheckRouting tests it as one store.
func TestRecordHandles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memstore.NewCluster()
		a, b := c.Open("a"), c.Open("b")
		defer func() { _, _ = a.Close(), b.Close() }()
		r := relaytest.RecordStore(a)
		first, second := r.Handle(a), r.Handle(b)
		batch := func(id string, state guance.State, wanted ...store.Offer) *store.Batch {
			return &store.Batch{Served: []string{"lane"}, Events: []*store.Event{{
				ID: id, Problem: "p", State: state, Level: guance.LevelCritical, Body: []byte("{}"),
				Wanted: wanted,
			}}}
		}
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		check(first.Append(t.Context(), batch("1", guance.StateProblem, store.Offer{Lane: "lane"})))
		lease, err := second.Acquire(t.Context(), store.Group{Lanes: []string{"lane"}})
		check(err)
		if _, ok := lease.(store.ClusterLease); !ok {
			t.Errorf("the lease of a handle is a %T, which is no ClusterLease", lease)
		}
		check(lease.Lane("lane").Mark(t.Context(), []store.Mark{{
			Seq: 1, Problem: "p", State: guance.StateProblem, Outcome: store.Delivered,
		}}))
		check(second.Append(t.Context(), batch("2", guance.StateRecovered))) // sticky
		check(r.CheckRouting(nil))
		if h, err := r.LaneHistory(context.Background(), "lane"); err != nil ||
			len(h.Accepted) != 2 || !h.Accepted[1].Sticky || len(h.Settled) != 1 {
			t.Errorf("the history is %+v, %v", h, err)
		}
		n := r.Len()
		r.Add(relaytest.Change{Batch: batch("3", guance.StateProblem, store.Offer{Lane: "lane"})})
		if err := r.CheckRouting(nil); err == nil {
			t.Error("an event that came to no lane, although one wants it, breaks no promise")
		}
		if lost := r.RollBack(n); len(lost) != 1 || lost[0].Event.ID != "3" {
			t.Errorf("the roll-back lost %+v", lost)
		}
		check(r.CheckRouting(nil))
		check(lease.Release())
	})
}
