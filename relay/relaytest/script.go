package relaytest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

// Takes returns a sink that takes everything.
func Takes() relay.Sink {
	return relay.SinkFunc(func(context.Context, *relay.Delivery) error { return nil })
}

// Fails returns a sink that returns err for each delivery.
func Fails(err error) relay.Sink {
	return relay.SinkFunc(func(context.Context, *relay.Delivery) error { return err })
}

// Refuses returns a sink that refuses each delivery with a permanent error.
func Refuses(reason string) relay.Sink { return Fails(relay.Permanent(errors.New(reason))) }

// Throttles returns a sink that asks for a pause of d. If d is zero, the lane chooses the pause.
func Throttles(d time.Duration) relay.Sink {
	return Fails(relay.RetryAfter(errors.New("too many requests"), d))
}

// Ignores returns a sink that ignores each delivery in Deliver. It is no relay.Ignorer.
func Ignores(reason string) relay.Sink { return Fails(relay.Ignore(reason)) }

// Panics returns a sink that panics with v.
func Panics(v any) relay.Sink {
	return relay.SinkFunc(func(context.Context, *relay.Delivery) error { panic(v) })
}

// Hangs returns a sink that returns when the context of the delivery ends, with its error.
func Hangs() relay.Sink {
	return relay.SinkFunc(func(ctx context.Context, _ *relay.Delivery) error {
		<-ctx.Done()
		return ctx.Err()
	})
}

// Slow returns a sink that waits for d and then calls then. It returns early if the context ends.
func Slow(d time.Duration, then relay.Sink) relay.Sink {
	return relay.SinkFunc(func(ctx context.Context, del *relay.Delivery) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return then.Deliver(ctx, del)
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// Times returns a sink that passes the first n deliveries to first and all others to then.
func Times(n int, first, then relay.Sink) relay.Sink {
	var mu sync.Mutex
	return relay.SinkFunc(func(ctx context.Context, d *relay.Delivery) error {
		mu.Lock()
		s := then
		if n > 0 {
			n, s = n-1, first
		}
		mu.Unlock()
		return s.Deliver(ctx, d)
	})
}

// ByProblem returns a sink that looks up the problem key in table, and passes the delivery to the
// sink found or to otherwise. The table must not change afterwards.
func ByProblem(table map[string]relay.Sink, otherwise relay.Sink) relay.Sink {
	return relay.SinkFunc(func(ctx context.Context, d *relay.Delivery) error {
		if s, ok := table[d.Problem]; ok {
			return s.Deliver(ctx, d)
		}
		return otherwise.Deliver(ctx, d)
	})
}

// EachProblem returns a sink that calls script for each new problem and passes the problem's
// deliveries to the sink returned.
func EachProblem(script func(problem string) relay.Sink) relay.Sink {
	var mu sync.Mutex
	scripts := make(map[string]relay.Sink)
	return relay.SinkFunc(func(ctx context.Context, d *relay.Delivery) error {
		mu.Lock()
		s, ok := scripts[d.Problem]
		if !ok {
			s = script(d.Problem)
			scripts[d.Problem] = s
		}
		mu.Unlock()
		return s.Deliver(ctx, d)
	})
}
