package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

// metered is a sink of an account.
type metered struct {
	recorder
	account string
}

func (m *metered) Account() string { return m.account }

// Promise 5: lanes of one account share its budget, and each gets a part.
func TestLanesShareAnAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sent []time.Time // by lanes of the account "one"; guarded by mu
		sinks := map[string]*metered{"a": {account: "one"}, "b": {account: "one"}, "c": {account: "one"},
			"own": {}, "other": {account: "two"}}
		r := over(t, memstore.New())
		for name, sink := range sinks {
			perMinute := 0
			if name == "b" {
				perMinute = 60 // the least counts
			}
			if sink.account == "one" {
				sink.answer = func(context.Context, *relay.Delivery) error {
					mu.Lock()
					defer mu.Unlock()
					sent = append(sent, time.Now())
					return nil
				}
			}
			r.Handle(name, sink, &relay.SinkOptions{PerMinute: perMinute, Concurrency: 1})
		}
		stop := running(t, r)
		for i := range 600 {
			accept(t, r, event(t, fmt.Sprint(i), fmt.Sprint("p", i), "critical"))
		}
		time.Sleep(4 * time.Minute)
		stop()
		slices.SortFunc(sent, time.Time.Compare)
		relay.CheckWindows(t, sent, 60)
		if len(sent) < 4*60*85/100 {
			t.Errorf("%d requests in four minutes: an allowance of 60 is not used", len(sent))
		}
		for name, sink := range sinks {
			n, least := len(sink.taken()), len(sent)/6 // a third each, by chance
			if sink.account != "one" {
				least = 4 * 120 * 85 / 100
			}
			if n < least {
				t.Errorf("lane %s has sent %d events, want %d at least", name, n, least)
			}
		}
	})
}

// A 429 to one lane pauses all lanes of the account.
func TestThrottledAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		angry, calm, stranger := &metered{account: "one"}, &metered{account: "one"},
			&metered{account: "two"}
		angry.answer = func(context.Context, *relay.Delivery) error {
			return relay.RetryAfter(errors.New("429"), 5*time.Minute)
		}
		r := over(t, memstore.New())
		r.Handle("angry", angry, nil)
		r.Handle("calm", calm, nil)
		r.Handle("stranger", stranger, nil)
		stop := running(t, r)
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(10 * time.Second)
		before := len(calm.taken())
		accept(t, r, event(t, "2", "q", "critical"))
		time.Sleep(4 * time.Minute)
		if n := len(calm.taken()); n != before {
			t.Errorf("%d events were sent while the account was to be left alone", n-before)
		}
		if s := r.Stats().Lanes[1]; s.State != relay.Paused {
			t.Errorf("the other lane of the account is %s, want paused", s.State)
		}
		if n := len(stranger.taken()); n != 2 {
			t.Errorf("the lane of another account has sent %d events, want 2", n)
		}
		stop()
	})
}

// After a 429 one request is in flight until it succeeds. Then there are as many as before.
func TestThrottledLaneRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		sink := &recorder{answer: func(ctx context.Context, _ *relay.Delivery) error {
			if asked.Add(1) == 1 {
				return relay.RetryAfter(errors.New("429"), time.Second)
			}
			select {
			case <-time.After(10 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		r, _ := run(t, sink, &relay.SinkOptions{PerMinute: 6000, Concurrency: 8})
		for i := range 20 {
			accept(t, r, event(t, fmt.Sprint(i), fmt.Sprint("p", i), "critical"))
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(30 * time.Second) // the pause, one attempt, and two times eight
		if n := len(sink.taken()); n < 9 {
			t.Errorf("%d events are through, want eight at a time after the first", n)
		}
	})
}

// Lanes whose sinks name no account have a budget each.
func TestLanesWithoutAnAccountAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := over(t, memstore.New())
		sinks := []*recorder{{}, {}}
		for i, sink := range sinks {
			r.Handle(fmt.Sprint("lane ", i), sink, &relay.SinkOptions{PerMinute: 60})
		}
		defer running(t, r)()
		time.Sleep(time.Minute) // each has its burst of five
		for i := range 5 {
			accept(t, r, event(t, fmt.Sprint(i), fmt.Sprint("problem ", i), "critical"))
		}
		time.Sleep(100 * time.Millisecond)
		for i, sink := range sinks {
			if n := len(sink.taken()); n != 5 {
				t.Errorf("lane %d has sent %d of 5 at once", i, n)
			}
		}
	})
}
