package relay_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

// A sink that waits for its second request, in vain, learns that it must not send it, and its entry
// pays nothing for that.
func TestWaitThatGivesLeaveToNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		limit func() (context.Context, context.CancelFunc)
		want  error         // nil: the budget's own
		after time.Duration // from the beginning of the attempt
	}{
		"cancelled while it waits": {func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(3*time.Second, cancel)
			return ctx, cancel
		}, context.Canceled, 3 * time.Second},
		"a deadline that comes before the budget": {func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), 3*time.Second)
		}, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var second error
				var after time.Duration
				sink := &recorder{answer: func(ctx context.Context, d *relay.Delivery) error {
					if second != nil {
						return nil
					}
					if err := d.Wait(ctx); err != nil {
						t.Errorf("the first request, which is paid for: %v", err)
					}
					ctx, cancel := tc.limit()
					defer cancel()
					start := time.Now()
					second = d.Wait(ctx)
					after = time.Since(start)
					return second
				}}
				r, _ := run(t, sink, &relay.SinkOptions{PerMinute: 1, AttemptTimeout: time.Hour})
				accept(t, r, event(t, "1", "p", "critical"))
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				if second == nil || tc.want != nil && !errors.Is(second, tc.want) || after != tc.after {
					t.Errorf("Wait: %v after %v, want %v after %v", second, after, tc.want, tc.after)
				}
				if s := r.Stats().Lanes[0]; s.Delivered != 1 || s.Failed != 0 {
					t.Errorf("got %+v, want the entry delivered and no failure", s)
				}
			})
		})
	}
}

// A request that begins late, as the process was stopped or the disk is slow, is taken from the
// budget again: it counts in another window than the lane took it in.
func TestWaitAfterTheProcessWasStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waited []time.Duration
		sink := &recorder{answer: func(ctx context.Context, d *relay.Delivery) error {
			if len(waited) == 0 {
				time.Sleep(2 * time.Second) // stopped
			}
			start := time.Now()
			err := d.Wait(ctx)
			waited = append(waited, time.Since(start))
			return err
		}}
		r, _ := run(t, sink, &relay.SinkOptions{PerMinute: 6, AttemptTimeout: time.Minute})
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(5 * time.Minute)
		accept(t, r, event(t, "2", "q", "critical"))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if len(waited) != 2 || waited[0] < 5*time.Second || waited[1] != 0 {
			t.Errorf("waited %v, want the time for one request, and then none", waited)
		}
	})
}
