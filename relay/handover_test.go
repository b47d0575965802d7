package relay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

// A node that runs an earlier configuration owns a lane that it has no sink for. It hands the lane
// over to a node that has one, and takes it back when that node has gone.
func TestHandOverToTheNodeWithTheSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := memstore.NewCluster()
		handle := func(names ...string) func(*node) {
			return func(n *node) {
				for _, name := range names {
					n.Handle(name, n.sink, &relay.SinkOptions{
						Match: func(e *guance.Event) bool { return e.EventID[:3] == name },
					})
				}
			}
		}
		first := joinWith(t, cluster, "first", handle("old", "new"))
		first.sink.set(down)
		accept(t, first.Relay, event(t, "new1", "p", "critical"))
		first.kill()
		old := joinWith(t, cluster, "old", handle("old"))
		time.Sleep(time.Minute)
		if got := figuresOf(t, old.Relay, "new"); got.State != relay.NoSink || got.Backlog != 1 {
			t.Fatalf("the node without the sink has the figures %+v", got)
		}
		next := joinWith(t, cluster, "next", handle("old", "new"))
		time.Sleep(10 * time.Second)
		expect(t, next.sink, "p critical")
		accept(t, next.Relay, event(t, "old1", "q", "critical"))
		time.Sleep(10 * time.Second)
		expect(t, old.sink, "q critical") // there is no rebalancing
		if got := figuresOf(t, old.Relay, "new"); got.State != relay.Standby || got.Owner != "next" {
			t.Errorf("the node without the sink has the figures %+v", got)
		}
		if err := old.Check(t.Context()); err != nil {
			t.Errorf("the node without the sink is not ready: %v", err)
		}
		next.stop(t)
		time.Sleep(10 * time.Second)
		if got := figuresOf(t, old.Relay, "new"); got.State != relay.NoSink {
			t.Errorf("nobody owns the lane: %+v", got)
		}
	})
}

// Two nodes have divided the lanes into accounts in two ways. Each owns a lane that the other needs
// for the lane y, which nobody owns.
func TestHandOverOfDividedAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := memstore.NewCluster()
		accounts := func(x, y, z string) func(*node) {
			return func(n *node) {
				for name, account := range map[string]string{"x": x, "y": y, "z": z} {
					n.Handle(name, &metered{recorder: recorder{answer: n.sink.Deliver}, account: account},
						nil)
				}
			}
		}
		a := joinWith(t, cluster, "a", accounts("one", "one", "two"))
		time.Sleep(5 * time.Second)
		b := joinWith(t, cluster, "b", accounts("one", "two", "two"))
		a.db.Intercept(func(c memstore.Call, do func() error) error {
			if c.Method == "Acquire" {
				time.Sleep(time.Second) // the other node is the first
			}
			return do()
		})
		time.Sleep(5 * time.Second)
		setLane(t, a.Relay, "x", &metered{recorder: recorder{answer: a.sink.Deliver}, account: "one"},
			nil)
		time.Sleep(5 * time.Second)
		accept(t, b.Relay, event(t, "1", "p", "critical"))
		sent := func() int { return len(a.sink.taken()) + len(b.sink.taken()) }
		if time.Sleep(10 * time.Second); sent() != 2 {
			t.Fatalf("%d lanes have sent the event before a hand-over, want 2", sent())
		}
		if time.Sleep(80 * time.Second); sent() != 3 {
			t.Errorf("%d lanes have sent the event, want 3", sent())
		}
		start := time.Now()
		accept(t, b.Relay, event(t, "2", "p", "ok"))
		time.Sleep(10 * time.Minute)
		for _, n := range []*node{a, b} {
			for _, at := range n.sink.times() {
				if at.Sub(start) > 10*time.Second {
					t.Errorf("an event was sent after %v", at.Sub(start))
				}
			}
		}
	})
}
