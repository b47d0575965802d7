package memstore_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// nodes runs a test in a bubble with two handles of a cluster.
func nodes(t *testing.T, test func(t *testing.T, c *memstore.Cluster, a, b *memstore.Handle)) {
	synctest.Test(t, func(t *testing.T) {
		c := memstore.NewCluster()
		a, b := c.Open("a"), c.Open("b")
		defer a.Close()
		defer b.Close()
		test(t, c, a, b)
	})
}

func own(t *testing.T, h *memstore.Handle) store.Lease {
	t.Helper()
	l, err := h.Acquire(t.Context(), store.Group{Name: "lane", Lanes: []string{"lane"}})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// took checks how long h needs to acquire the lane.
func took(t *testing.T, h *memstore.Handle, want time.Duration) store.Lease {
	t.Helper()
	start := time.Now()
	l := own(t, h)
	if got := time.Since(start); got != want {
		t.Errorf("Acquire: took %v, want %v", got, want)
	}
	return l
}

func isLost(l store.Lease) bool {
	synctest.Wait()
	select {
	case <-l.Lost():
		return true
	default:
		return false
	}
}

func keep(h *memstore.Handle, id string) error {
	return h.Append(context.Background(), &store.Batch{Events: []*store.Event{{
		ID: id, Problem: id, State: guance.StateProblem, Wanted: []store.Offer{{Lane: "lane"}},
	}}})
}

func TestKilledHandleKeepsItsLease(t *testing.T) {
	nodes(t, func(t *testing.T, _ *memstore.Cluster, a, b *memstore.Handle) {
		l := own(t, a)
		time.Sleep(1500 * time.Millisecond) // renewed after 1 s
		a.Kill()
		if !isLost(l) {
			t.Error("a killed handle has a lease that is not lost")
		}
		if err := l.Release(); err != nil {
			t.Errorf("Release after Kill: %v", err)
		}
		if err := keep(a, "1"); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Append after Kill: %v", err)
		}
		took(t, b, 2500*time.Millisecond)
	})
}

func TestClosedHandleReleases(t *testing.T) {
	nodes(t, func(t *testing.T, _ *memstore.Cluster, a, b *memstore.Handle) {
		own(t, a)
		next := a.Restart()
		defer next.Close()
		took(t, b, 0)
	})
}

func TestSetLease(t *testing.T) {
	nodes(t, func(t *testing.T, c *memstore.Cluster, a, b *memstore.Handle) {
		c.SetLease(30 * time.Second)
		l := own(t, a)
		if left := time.Until(l.Until()); left != 30*time.Second {
			t.Errorf("Until: %v from now", left)
		}
		a.Kill()
		took(t, b, 30*time.Second)
	})
}

func TestPausedHandle(t *testing.T) {
	nodes(t, func(t *testing.T, _ *memstore.Cluster, a, b *memstore.Handle) {
		l := own(t, a)
		start := time.Now()
		a.Pause()
		time.AfterFunc(10*time.Second, a.Resume)
		returned := make(chan error, 1)
		go func() { returned <- keep(a, "1") }()
		took(t, b, 3*time.Second)
		if isLost(l) {
			t.Error("the paused handle has noticed the end of its lease")
		}
		if held, err := b.Holdings(t.Context()); err != nil || len(held) > 0 {
			t.Errorf("the paused handle has appended: %v, %v", held, err)
		}
		if err := <-returned; err != nil || time.Since(start) != 10*time.Second {
			t.Errorf("Append in a pause: %v after %v, want nil after the pause", err, time.Since(start))
		}
		if a.Wait(); !isLost(l) {
			t.Error("the handle was resumed, and its lease has not ended")
		}
	})
}

func TestStoppedEngine(t *testing.T) {
	nodes(t, func(t *testing.T, c *memstore.Cluster, a, b *memstore.Handle) {
		l := own(t, a)
		c.Stop()
		for _, h := range []*memstore.Handle{a, b} {
			if err := keep(h, "1"); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Append while the engine is stopped: %v", err)
			}
		}
		time.Sleep(2 * time.Second)
		c.Start()
		time.Sleep(10 * time.Second)
		if isLost(l) {
			t.Error("the engine was away for less than the lease, which is lost")
		}
		c.Stop()
		time.Sleep(4 * time.Second)
		if !isLost(l) {
			t.Error("the engine was away for longer than the lease, which is not lost")
		}
		c.Start()
		took(t, b, 0)
	})
}

// The engine loses the lease of an owner that it cannot tell. The lane has one owner nevertheless.
func TestPromoteWhileOwnerIsCutOff(t *testing.T) {
	nodes(t, func(t *testing.T, c *memstore.Cluster, a, b *memstore.Handle) {
		c.Replicate()
		l := own(t, a)
		a.Cut(memstore.RequestsLost)
		c.Promote()
		if isLost(l) {
			t.Error("a handle that is cut off knows of the promotion")
		}
		now := took(t, b, 3*time.Second)
		a.Cut(memstore.Connected)
		if !isLost(l) || isLost(now) {
			t.Errorf("lost: %v of the old owner, %v of the new one", isLost(l), isLost(now))
		}
	})
}

// An owner that is connected again before its lease has expired is told, and frees the lane.
func TestPromoteIsToldLater(t *testing.T) {
	nodes(t, func(t *testing.T, c *memstore.Cluster, a, b *memstore.Handle) {
		l := own(t, a)
		a.Pause()
		c.Promote()
		time.AfterFunc(time.Second, a.Resume)
		took(t, b, time.Second)
		if !isLost(l) {
			t.Error("the owner from before the promotion has not lost its lease")
		}
	})
}

// expectPending checks how many entries the lane has, as h shows it.
func expectPending(t *testing.T, h *memstore.Handle, want int) {
	t.Helper()
	held, err := h.Holdings(t.Context())
	if err != nil || held["lane"].Pending != want {
		t.Errorf("Holdings: %v, %v; want %d pending", held, err, want)
	}
}

func TestPromote(t *testing.T) {
	nodes(t, func(t *testing.T, c *memstore.Cluster, a, b *memstore.Handle) {
		if err := keep(a, "1"); err != nil {
			t.Fatal(err)
		}
		c.Replicate()
		if err := errors.Join(keep(a, "2"), keep(b, "3")); err != nil {
			t.Fatal(err)
		}
		expectPending(t, b, 3)
		c.Promote()
		expectPending(t, b, 1)
		if err := keep(b, "2"); err != nil {
			t.Fatal(err)
		}
		c.Promote() // of a standby that lacks nothing
		expectPending(t, b, 2)
	})
}

// Commits wait for a standby that is away. They take effect, nobody is told so, and a promotion
// loses them.
func TestLoseStandby(t *testing.T) {
	nodes(t, func(t *testing.T, c *memstore.Cluster, a, b *memstore.Handle) {
		l := own(t, a)
		c.LoseStandby()
		for _, id := range []string{"1", "1"} { // the second one is a duplicate
			if err := keep(b, id); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Append without a standby: %v", err)
			}
		}
		expectPending(t, b, 1)
		time.Sleep(3 * time.Second)
		if !isLost(l) {
			t.Error("a lease was renewed, and its renewal is not on the standby")
		}
		c.Promote()
		expectPending(t, b, 0)
		l = took(t, a, 0)
		c.LoseStandby()
		if err := keep(b, "1"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Append without a standby: %v", err)
		}
		c.CatchUp()
		time.Sleep(10 * time.Second)
		if expectPending(t, b, 1); isLost(l) {
			t.Error("a lease was lost although the standby was away for a moment")
		}
	})
}

// Rename ends the ownership of another node, at once or at the end of its time.
func TestRenameOfAnotherNodesLane(t *testing.T) {
	nodes(t, func(t *testing.T, _ *memstore.Cluster, a, b *memstore.Handle) {
		for _, cut := range []memstore.Cut{memstore.Connected, memstore.RequestsLost} {
			l := took(t, a, 0)
			a.Cut(cut)
			if err := b.Rename(t.Context(), "lane", "name "+string('0'+rune(cut))); err != nil {
				t.Fatal(err)
			}
			if isLost(l) != (cut == memstore.Connected) {
				t.Errorf("lost: %v, with the cut %v", isLost(l), cut)
			}
			now := took(t, b, time.Duration(cut)*3*time.Second)
			a.Cut(memstore.Connected)
			if err := now.Release(); err != nil || !isLost(l) {
				t.Errorf("Release: %v; the first owner has lost the lane: %v", err, isLost(l))
			}
		}
	})
}

// A request is lost with the owner that it went to, and with a promotion.
func TestAskEndsWithTheOwner(t *testing.T) {
	nodes(t, func(t *testing.T, c *memstore.Cluster, a, b *memstore.Handle) {
		asked := make(chan error, 1)
		ask := func() {
			_, err := b.Ask(t.Context(), "lane", []byte("request"))
			asked <- err
		}
		l := own(t, a)
		go ask()
		if _, err := l.(store.ClusterLease).Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.Kill()
		if err := <-asked; !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Ask of an owner that was killed: %v", err)
		}
		took(t, b, 0)
		go ask()
		synctest.Wait()
		c.Promote()
		if err := <-asked; !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Ask that a promotion has lost: %v", err)
		}
	})
}
