package relay_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// Promise 8: what is in flight at a stop may end within the drain time, and has then ended; what is
// cut off is handed back, and a stop is no failure of the event's, even of one that may not fail
// once more.
func TestStopDrains(t *testing.T) {
	tests := map[string]struct {
		takes time.Duration // of the attempt that is in flight
		held  store.Holdings
	}{
		"what ends in time": {4 * time.Second, store.Holdings{}},
		"what does not":     {time.Hour, store.Holdings{Pending: 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := memstore.New()
				r, err := relay.New(db, &relay.Options{Logger: slog.New(slog.DiscardHandler),
					DrainTimeout: 5 * time.Second})
				if err != nil {
					t.Fatal(err)
				}
				r.Handle("lane", relay.SinkFunc(func(ctx context.Context, d *relay.Delivery) error {
					if d.Problem != "slow" {
						return nil
					}
					select {
					case <-time.After(test.takes):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				}), &relay.SinkOptions{MaxAttempts: 1, AttemptTimeout: 2 * time.Hour})
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- r.Run(ctx) }()
				time.Sleep(time.Minute) // the budget has some requests
				accept(t, r, event(t, "1", "slow", "critical"))
				// so that a failure of the slow one would count
				accept(t, r, event(t, "2", "quick", "critical"))
				time.Sleep(time.Second)
				stop()
				if err := <-done; err != nil {
					t.Errorf("Run: %v", err)
				}
				if held, err := db.Holdings(t.Context()); err != nil || held["lane"] != test.held {
					t.Errorf("holdings %+v, %v; want %+v", held["lane"], err, test.held)
				}
			})
		})
	}
}

// After Run has returned, no lane runs, and the statistics say so.
func TestStoppedLaneIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := relay.New(memstore.New(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Handle("lane", &recorder{}, nil)
		stop := running(t, r)
		synctest.Wait()
		if s := r.Stats().Lanes[0].State; s == relay.Stopped {
			t.Errorf("a lane that runs is %s", s)
		}
		stop()
		if s := r.Stats().Lanes[0].State; s != relay.Stopped {
			t.Errorf("after Run the lane is %s, want stopped", s)
		}
	})
}
