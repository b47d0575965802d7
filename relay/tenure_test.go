package relay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A node is a relay among several over one store.
type node struct {
	*relay.Relay
	db    *memstore.Handle
	sink  *recorder
	end   context.CancelFunc
	ended chan error
}

// kill ends the node as SIGKILL does: its leases expire.
func (n *node) kill() {
	n.db.Kill()
	n.end()
	<-n.ended // with an error, or without
	n.ended <- nil
}

// stop ends the node as SIGTERM does.
func (n *node) stop(t *testing.T) {
	t.Helper()
	n.end()
	if err := <-n.ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	n.ended <- nil
	if err := n.db.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// nodes starts so many relays over one store, each with a lane to a sink of its own.
func nodes(t *testing.T, n int, opts *relay.SinkOptions) (*memstore.Cluster, []*node) {
	t.Helper()
	cluster := memstore.NewCluster()
	var all []*node
	for i := range n {
		all = append(all, join(t, cluster, fmt.Sprint("node ", i+1), opts))
		time.Sleep(time.Second) // the first one is the owner
	}
	return cluster, all
}

func join(t *testing.T, c *memstore.Cluster, name string, opts *relay.SinkOptions) *node {
	t.Helper()
	return joinWith(t, c, name, func(n *node) { n.Handle("lane", n.sink, opts) })
}

// joinWith is join for a node with other lanes.
func joinWith(t *testing.T, c *memstore.Cluster, name string, handle func(*node)) *node {
	t.Helper()
	db := c.Open(name)
	r, err := relay.New(db, &relay.Options{
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)).With("node", name), Node: name,
	})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Relay: r, db: db, sink: &recorder{}, ended: make(chan error, 1)}
	handle(n)
	var ctx context.Context
	ctx, n.end = context.WithCancel(context.Background())
	go func() { n.ended <- r.Run(ctx) }()
	t.Cleanup(func() { n.stop(t) })
	return n
}

// Every node accepts and is ready. One of them sends, and the others say who.
func TestOneNodeSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := nodes(t, 3, nil)
		for i, n := range all {
			if err := n.Check(t.Context()); err != nil {
				t.Errorf("node %d is not ready: %v", i+1, err)
			}
			accept(t, n.Relay, event(t, fmt.Sprint(i), fmt.Sprint("p", i), "critical"))
		}
		time.Sleep(10 * time.Second)
		if got := len(all[0].sink.taken()); got != 3 {
			t.Errorf("the owner sent %q, want three events", all[0].sink.taken())
		}
		for _, n := range all[1:] {
			expect(t, n.sink)
			got := n.Stats().Lanes[0]
			if got.State != relay.Standby || got.Owner != "node 1" || got.Delivered != 3 {
				t.Errorf("a standby has the figures %+v", got)
			}
		}
		if got := all[0].Stats().Lanes[0]; got.State != relay.Idle || got.Owner != "" {
			t.Errorf("the owner has the figures %+v", got)
		}
	})
}

// A node that stops hands over at once, and one that dies within the time of its lease.
func TestHandOver(t *testing.T) {
	for name, end := range map[string]func(*node){
		"stopped": func(n *node) { n.stop(t) },
		"killed":  (*node).kill,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, all := nodes(t, 2, nil)
				accept(t, all[1].Relay, event(t, "1", "p", "critical"))
				time.Sleep(10 * time.Second)
				at := time.Now()
				end(all[0])
				took := time.Since(at)
				accept(t, all[1].Relay, event(t, "2", "p", "ok"))
				for len(all[1].sink.taken()) == 0 && time.Since(at) < time.Minute {
					time.Sleep(10 * time.Millisecond)
				}
				expect(t, all[0].sink, "p critical")
				expect(t, all[1].sink, "p ok")
				// Every tenure begins with an empty bucket: one request in half a second.
				limit := took + time.Second
				if name == "killed" {
					limit = 4 * time.Second
				}
				if took := time.Since(at); took > limit {
					t.Errorf("the other node sent after %v, want at most %v", took, limit)
				}
			})
		})
	}
}

// An owner that is paused sends nothing once another node owns the lane, also if it is paused right
// before a request, and goes on as a standby.
func TestPausedOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := nodes(t, 2, nil)
		owner, other := all[0], all[1]
		paused := make(chan struct{})
		owner.sink.answer = func(ctx context.Context, d *relay.Delivery) error {
			if err := d.Wait(ctx); err != nil {
				return err
			}
			owner.db.Pause()
			<-paused // as a process that is stopped between two requests
			return d.Wait(ctx)
		}
		accept(t, owner.Relay, event(t, "1", "p", "critical"))
		time.Sleep(time.Second)
		accept(t, other.Relay, event(t, "2", "p", "ok"))
		time.Sleep(2 * time.Minute)
		// What the owner had begun is a lost answer to the next one: it is sent again, in order.
		expect(t, other.sink, "p critical", "p ok", "p ok")
		owner.db.Resume()
		close(paused)
		time.Sleep(10 * time.Second)
		expect(t, owner.sink)
		if got := owner.Stats().Lanes[0]; got.State != relay.Standby || got.Owner != "node 2" {
			t.Errorf("the earlier owner has the figures %+v", got)
		}
		other.stop(t)
		owner.sink.set(nil)
		accept(t, owner.Relay, event(t, "3", "q", "critical"))
		time.Sleep(10 * time.Second)
		expect(t, owner.sink, "q critical")
	})
}

// The first event comes while the engine is away, and a lane is yet to take over its former name.
func TestEngineAwayBeforeTheFirstEvent(t *testing.T) {
	for away, kept := range map[time.Duration]bool{10 * time.Second: true, time.Minute: false} {
		synctest.Test(t, func(t *testing.T) {
			cluster := memstore.NewCluster()
			r, err := relay.New(cluster.Open("node"), &relay.Options{
				Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
			})
			if err != nil {
				t.Fatal(err)
			}
			r.Handle("lane", &recorder{}, &relay.SinkOptions{Formerly: "old"})
			cluster.Stop()
			time.AfterFunc(away, cluster.Start)
			start := time.Now()
			_, err = r.Accept(t.Context(), event(t, "1", "p", "critical"))
			switch took := time.Since(start); {
			case kept && (err != nil || took > away+time.Second):
				t.Errorf("the engine was away for %v: %v after %v", away, err, took)
			case !kept && (!errors.Is(err, store.ErrUnavailable) || took < 15*time.Second ||
				took > 20*time.Second):
				t.Errorf("Accept without an engine: %v after %v", err, took)
			}
			time.Sleep(away)
		})
	}
}

// While the engine is away, nothing is sent and nothing ends. Accept goes on for a while.
// Afterwards everything goes on.
func TestEngineAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster, all := nodes(t, 2, nil)
		accept(t, all[0].Relay, event(t, "1", "p", "critical"))
		time.Sleep(10 * time.Second)
		cluster.Stop()
		start := time.Now()
		_, err := all[0].Accept(t.Context(), event(t, "2", "q", "critical"))
		if took := time.Since(start); !errors.Is(err, store.ErrUnavailable) || took < 15*time.Second ||
			took > 20*time.Second {
			t.Errorf("Accept without an engine: %v after %v", err, took)
		}
		time.AfterFunc(5*time.Second, cluster.Start)
		accept(t, all[1].Relay, event(t, "3", "r", "critical"))
		accept(t, all[1].Relay, event(t, "2", "q", "critical")) // its sender sends it again
		time.Sleep(time.Minute)
		var sent []string
		for _, n := range all {
			sent = append(sent, n.sink.taken()...)
		}
		if got := strings.Join(sent, ", "); got != "p critical, r critical, q critical" &&
			got != "p critical, q critical, r critical" {
			t.Errorf("the nodes sent %s", got)
		}
	})
}

// An Append whose answer is lost is repeated, and keeps the event once.
func TestAppendWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := nodes(t, 2, nil)
		all[1].db.Cut(memstore.AnswersLost)
		time.AfterFunc(5*time.Second, func() { all[1].db.Cut(memstore.Connected) })
		noID := event(t, "0", "p", "critical") // nothing but the nonce tells that it is the same
		if got := accept(t, all[1].Relay, noID)[0]; got.Lanes["lane"] != "accepted" {
			t.Errorf("got %+v", got)
		}
		time.Sleep(time.Minute)
		expect(t, all[0].sink, "p critical")
	})
}

// What is asked of a standby is done by the owner.
func TestStandbyPassesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := nodes(t, 2, nil)
		owner, standby := all[0], all[1]
		owner.sink.answer = func(_ context.Context, d *relay.Delivery) error {
			if d.Problem == "waits" {
				return errDown
			}
			return relay.Permanent(errDown)
		}
		for i, problem := range []string{"a", "b", "waits"} {
			accept(t, standby.Relay, event(t, fmt.Sprint(i), problem, "critical"))
		}
		time.Sleep(time.Minute)
		histories, err := standby.Explain(t.Context(), "waits")
		if err != nil || len(histories) != 1 || len(histories[0].Entries) != 1 ||
			!strings.Contains(histories[0].Entries[0].Reason, "backing off") {
			t.Errorf("Explain on a standby: %v, %v", histories, err)
		}
		dead, err := standby.DeadLetters(t.Context(), "lane", 0, 10)
		if err != nil || len(dead) != 2 {
			t.Fatalf("DeadLetters on a standby: %+v, %v", dead, err)
		}
		if err := standby.Drop(t.Context(), "lane", dead[1].Seq); err != nil {
			t.Errorf("Drop on a standby: %v", err)
		}
		if err := standby.Drop(t.Context(), "lane", dead[1].Seq); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Drop on a standby of what is dropped: %v, want ErrNotFound", err)
		}
		if err := standby.DropPending(t.Context(), "lane", histories[0].Entries[0].Seq,
			"li"); err != nil {
			t.Errorf("DropPending on a standby: %v", err)
		}
		owner.sink.set(nil)
		if err := standby.Replay(t.Context(), "lane", dead[0].Seq); err != nil {
			t.Errorf("Replay on a standby: %v", err)
		}
		time.Sleep(time.Minute)
		expect(t, owner.sink, dead[0].Problem+" critical")
		expect(t, standby.sink)

		owner.kill()
		standby.sink.set(down)
		accept(t, standby.Relay, event(t, "9", "late", "critical"))
		histories, err = standby.Explain(t.Context(), "late")
		if err != nil || len(histories) != 1 || len(histories[0].Entries) != 1 {
			t.Errorf("Explain without an owner: %v, %v", histories, err)
		}
		time.Sleep(time.Minute)
	})
}

// A roll-back takes back what was accepted after it, and no more: the nodes go on.
func TestRollBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster, all := nodes(t, 2, nil)
		accept(t, all[0].Relay, event(t, "1", "p", "critical"))
		time.Sleep(10 * time.Second)
		cluster.Replicate()
		accept(t, all[0].Relay, event(t, "2", "lost", "critical"))
		time.Sleep(10 * time.Second)
		cluster.Promote()
		for i := range 3 {
			accept(t, all[i%2].Relay, event(t, fmt.Sprint("3", i), fmt.Sprint("q", i), "critical"))
		}
		time.Sleep(time.Minute)
		var sent []string
		for _, n := range all {
			sent = append(sent, n.sink.taken()...)
		}
		for _, want := range []string{"p critical", "q0 critical", "q1 critical", "q2 critical"} {
			if n := strings.Count(strings.Join(sent, ","), want); n != 1 {
				t.Errorf("%s was sent %d times: %q", want, n, sent)
			}
		}
	})
}

// A request does not begin after a roll-back has ended the lease, before its time.
func TestRollBackBeforeARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster, all := nodes(t, 2, nil)
		all[0].db.Intercept(func(c memstore.Call, do func() error) error {
			err := do()
			if c.Method == "Mark" {
				time.Sleep(time.Second) // a slow answer
			}
			return err
		})
		accept(t, all[0].Relay, event(t, "1", "p", "critical"))
		time.Sleep(100 * time.Millisecond)
		cluster.Promote()
		time.Sleep(time.Minute)
		if sent := append(all[0].sink.taken(), all[1].sink.taken()...); len(sent) != 1 {
			t.Errorf("sent %q, want the event once, by the next owner", sent)
		}
	})
}

// The budget is kept over a hand-over: each tenure begins with an empty bucket.
func TestBudgetOverHandOver(t *testing.T) {
	opts := &relay.SinkOptions{PerMinute: 120}
	for name, handOver := range map[string]func(*testing.T, *node){
		"pause": func(_ *testing.T, owner *node) {
			owner.db.Pause()
			time.Sleep(5 * time.Second)
			owner.db.Resume()
		},
		"SetLane": func(t *testing.T, owner *node) {
			owner.db.Intercept(func(c memstore.Call, do func() error) error {
				if c.Method == "Acquire" {
					time.Sleep(time.Second) // the other node is the first
				}
				return do()
			})
			setLane(t, owner.Relay, "lane", owner.sink, opts)
			time.Sleep(5 * time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) { testBudgetOverHandOver(t, opts, handOver) })
	}
}

func testBudgetOverHandOver(
	t *testing.T, opts *relay.SinkOptions, handOver func(*testing.T, *node),
) {
	synctest.Test(t, func(t *testing.T) {
		_, all := nodes(t, 2, opts)
		time.Sleep(time.Minute)
		for i := range 600 {
			accept(t, all[i%2].Relay, event(t, fmt.Sprint(i), fmt.Sprint("p", i), "critical"))
		}
		for range 20 {
			time.Sleep(100 * time.Millisecond)
			owner := all[0]
			if all[1].Stats().Lanes[0].State != relay.Standby {
				owner = all[1]
			}
			handOver(t, owner)
		}
		var sent []time.Time
		for _, n := range all {
			if len(n.sink.times()) == 0 {
				t.Error("one of the nodes was never the owner")
			}
			sent = append(sent, n.sink.times()...)
		}
		slices.SortFunc(sent, time.Time.Compare)
		relay.CheckWindows(t, sent, 120)
		if len(sent) < 10 {
			t.Errorf("%d requests in all", len(sent))
		}
	})
}

// The attempts of an owner that has lost its lease are cut at once, and not after the drain time.
func TestLostLeaseCutsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := nodes(t, 2, nil)
		var cut time.Time
		all[0].sink.answer = func(ctx context.Context, _ *relay.Delivery) error {
			<-ctx.Done()
			cut = time.Now()
			return ctx.Err()
		}
		accept(t, all[0].Relay, event(t, "1", "p", "critical"))
		time.Sleep(time.Second)
		all[0].db.Pause()
		time.Sleep(10 * time.Second)
		resumed := time.Now()
		all[0].db.Resume()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if took := cut.Sub(resumed); cut.IsZero() || took > 100*time.Millisecond {
			t.Errorf("the attempt was cut %v after the lease was lost", took)
		}
		expect(t, all[1].sink, "p critical")
	})
}

// They are cut although a call to the store hangs, which would return that the lease has ended.
func TestLostLeaseCutsAttemptsWhileTheStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster, all := nodes(t, 1, nil)
		n := all[0]
		var attempts atomic.Int32
		cut := make(chan time.Time, 1)
		n.sink.set(func(ctx context.Context, _ *relay.Delivery) error {
			if attempts.Add(1) == 1 {
				<-ctx.Done()
				cut <- time.Now()
			}
			return ctx.Err()
		})
		n.db.Intercept(func(c memstore.Call, do func() error) error {
			err := do()
			if c.Method == "Read" && err != nil {
				time.Sleep(20 * time.Second)
			}
			return err
		})
		accept(t, n.Relay, event(t, "1", "p", "critical"))
		time.Sleep(5 * time.Second)
		lost := time.Now()
		cluster.Promote()
		time.Sleep(time.Minute)
		if took := (<-cut).Sub(lost); took > 100*time.Millisecond {
			t.Errorf("the attempt was cut %v after the lease was lost", took)
		}
		expect(t, n.sink, "p critical")
	})
}

// So are those of an owner that is stopping: its drain time is longer than its lease.
func TestLostLeaseCutsAttemptsOfAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := nodes(t, 2, nil)
		var cut time.Time
		all[0].sink.answer = func(ctx context.Context, _ *relay.Delivery) error {
			<-ctx.Done()
			cut = time.Now()
			return ctx.Err()
		}
		accept(t, all[0].Relay, event(t, "1", "p", "critical"))
		time.Sleep(time.Second)
		all[0].db.Cut(memstore.RequestsLost)
		at := time.Now()
		all[0].end()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if took := cut.Sub(at); cut.IsZero() || took > 3100*time.Millisecond {
			t.Errorf("the attempt was cut after %v, and the lease lasts 3 s", took)
		}
		expect(t, all[1].sink, "p critical")
	})
}

// A second of the lease is left when a request begins: the request takes time, and the process may
// be held up before it is on the wire.
func TestRequestLeavesASecondOfTheLease(t *testing.T) {
	for slow := 500 * time.Millisecond; slow < 3*time.Second; slow += 100 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			_, all := nodes(t, 2, nil)
			owner, other := all[0], all[1]
			var began time.Time
			owner.sink.answer = func(context.Context, *relay.Delivery) error {
				began = time.Now()
				return nil
			}
			owner.db.Intercept(func(c memstore.Call, do func() error) error {
				err := do()
				if c.Method == "Mark" {
					owner.db.Cut(memstore.RequestsLost) // the lease is not renewed any more
					time.Sleep(slow)
				}
				return err
			})
			accept(t, other.Relay, event(t, "1", "p", "critical"))
			for other.Stats().Lanes[0].State == relay.Standby {
				time.Sleep(10 * time.Millisecond)
			}
			if left := time.Since(began); !began.IsZero() && left < time.Second {
				t.Errorf("a request began %v before another node was the owner", left)
			}
			if began.IsZero() && slow < time.Second {
				t.Error("no request began, with more than a second of the lease left")
			}
		})
	}
}

// The report of a sink that returns late, in a tenure that is over, does not reach the next one.
func TestLateReportOfAnEarlierTenure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := nodes(t, 1, nil)
		n := all[0]
		deaf := make(chan error)
		var attempts atomic.Int32
		n.sink.set(func(context.Context, *relay.Delivery) error {
			if attempts.Add(1) == 1 {
				return <-deaf
			}
			return nil
		})
		accept(t, n.Relay, event(t, "1", "p", "critical"))
		time.Sleep(time.Second)
		n.db.Pause()
		time.Sleep(10 * time.Second)
		n.db.Resume()
		time.Sleep(time.Minute)
		expect(t, n.sink, "p critical")
		deaf <- relay.Permanent(errors.New("refused"))
		time.Sleep(time.Minute)
		if s := n.Stats().Lanes[0]; s.Delivered != 1 || s.Dead != 0 || s.State != relay.Idle {
			t.Errorf("after the late report the lane has the figures %+v", s)
		}
		h, err := n.db.History(t.Context(), "lane", "p")
		if err != nil || len(h) != 1 || h[0].Outcome != store.Delivered {
			t.Errorf("the entry has ended as %+v, %v", h, err)
		}
	})
}
