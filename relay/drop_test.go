package relay_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A pending entry that is dropped is a dead letter that says who dropped it, and can be replayed.
// What is behind it is sent.
func TestDropPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{answer: down}
		r, _ := run(t, sink, &relay.SinkOptions{EveryEvent: true})
		accept(t, r, event(t, "1", "p", "critical"), event(t, "2", "p", "error"),
			event(t, "3", "p", "warning"), event(t, "4", "q", "critical"))
		time.Sleep(time.Minute)
		for _, seq := range []uint64{2, 1, 4} { // one behind the first, the first, and one alone
			synctest.Wait() // until no attempt is in flight
			if err := r.DropPending(t.Context(), "lane", seq, "li@example.org"); err != nil {
				t.Errorf("DropPending of entry %d: %v", seq, err)
			}
		}
		if err := r.DropPending(t.Context(), "lane", 2, "li"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("DropPending of a dropped entry: %v, want ErrNotFound", err)
		}
		if got := figuresOf(t, r, "lane"); got.Backlog != 1 || got.Dead != 3 {
			t.Errorf("figures %+v, want one pending and three dead entries", got)
		}
		sink.set(nil)
		time.Sleep(5 * time.Minute)
		expect(t, sink, "p warning")
		dead := deadLetters(t, r)
		if len(dead) != 3 || dead[0].Reason != "dropped by li@example.org" {
			t.Fatalf("dead letters %+v", dead)
		}
		if err := r.Replay(t.Context(), "lane", 4); err != nil {
			t.Errorf("Replay: %v", err)
		}
		if err := r.Replay(t.Context(), "lane", 1); !errors.Is(err, relay.ErrStale) {
			t.Errorf("Replay of what is older than the last that was sent: %v, want ErrStale", err)
		}
		time.Sleep(time.Minute)
		expect(t, sink, "p warning", "q critical")
	})
}

// What is in flight, or was delivered and is to be sent a second time, is not dropped.
func TestDropInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := true
		sink := &recorder{answer: func(ctx context.Context, d *relay.Delivery) error {
			if lost {
				lost = false
				d.LostAnswer()
			}
			time.Sleep(10 * time.Second)
			return nil
		}}
		r, _ := run(t, sink, nil)
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(5 * time.Second)
		err := r.DropPending(t.Context(), "lane", 1, "li")
		if !errors.Is(err, relay.ErrInFlight) {
			t.Errorf("DropPending of what is in flight: %v, want ErrInFlight", err)
		}
		accept(t, r, event(t, "2", "p", "ok"))
		time.Sleep(30 * time.Second)
		err = r.DropPending(t.Context(), "lane", 2, "li")
		if !errors.Is(err, relay.ErrInFlight) || !strings.Contains(err.Error(), "has taken it") {
			t.Errorf("DropPending of a delivered recovery: %v, want ErrInFlight", err)
		}
		if err := r.DropPending(t.Context(), "none", 1, "li"); !errors.Is(err, relay.ErrNoLane) {
			t.Errorf("DropPending in no lane: %v, want ErrNoLane", err)
		}
		time.Sleep(2 * time.Minute)
		expect(t, sink, "p critical", "p ok", "p ok")
	})
}

// What a lane without a sink has can be dropped.
func TestDropPendingWithoutSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		before := over(t, db)
		before.Handle("gone", &recorder{}, nil)
		accept(t, before, event(t, "1", "p", "critical"))
		r := laneOver(t, db, &recorder{})
		defer running(t, r)()
		time.Sleep(time.Minute)
		if err := r.DropPending(t.Context(), "gone", 1, "li"); err != nil {
			t.Error(err)
		}
		if got := figuresOf(t, r, "gone"); got.Backlog != 0 || got.Dead != 1 {
			t.Errorf("figures %+v", got)
		}
	})
}
