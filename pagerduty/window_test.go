package pagerduty

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A pause holds up requests until its end, is only made longer, and a context may end it.
func TestWindowPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(-1)
		start := time.Now()
		w.pause(30 * time.Second)
		w.pause(10 * time.Second)
		const throttled = "waiting after a throttle (429): "
		short, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := w.Wait(short); !errors.Is(err, context.DeadlineExceeded) ||
			err.Error() != throttled+"context deadline exceeded" || time.Since(start) != 0 {
			t.Errorf("%v after %v: a wait that takes too long does not begin", err, time.Since(start))
		}
		ended, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		if err := w.Wait(ended); !errors.Is(err, context.Canceled) ||
			err.Error() != throttled+"context canceled" || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := w.Wait(t.Context()); err != nil || time.Since(start) != 30*time.Second {
			t.Errorf("%v after %v, want 30s", err, time.Since(start))
		}
		if err := w.Wait(t.Context()); err != nil || time.Since(start) != 30*time.Second {
			t.Errorf("%v after %v: there is no limit", err, time.Since(start))
		}
	})
}

func TestWindowErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(1)
		if err := w.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.Wait(short); !errors.Is(err, context.DeadlineExceeded) ||
			err.Error() != "waiting for the rate limit takes too long: context deadline exceeded" {
			t.Error(err)
		}
		ended, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		if err := w.Wait(ended); !errors.Is(err, context.Canceled) ||
			err.Error() != "waiting for the rate limit: context canceled" {
			t.Error(err)
		}
	})
	if DefaultPerMinute != 120 {
		t.Errorf("the default is %d requests a minute, and PagerDuty documents 120", DefaultPerMinute)
	}
}
