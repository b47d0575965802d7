package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A tenure is the time in which the lanes of an account run.
type tenure struct {
	stop  context.CancelCauseFunc
	ended chan struct{} // closed when all lanes have ended
}

var (
	// errLanesChange ends a tenure that another one follows.
	errLanesChange = errors.New("relay: the lanes change")
	// errLeaseLost ends a tenure at once: another node may own the lanes already.
	errLeaseLost = errors.New("relay: the lease is lost")
)

// reachAgain is how long a node waits before it tries again, if the store cannot be reached.
const reachAgain = time.Second

// begin runs the lanes of an account until ctx ends, the tenure is stopped or the store fails. An
// error ends the run. If the lease is lost, the node stands by for the next tenure. r.change is
// taken.
func (r *Relay) begin(run *run, a *account) {
	ctx, stop := context.WithCancelCause(run.ctx)
	t := &tenure{stop, make(chan struct{})}
	run.tenures[a] = t
	run.wg.Go(func() {
		err := r.own(ctx, a)
		stop(nil)
		close(t.ended)
		switch {
		case err == nil:
		case errors.Is(err, errHandOver):
			r.log.Info("relay: another node gets lanes that it has asked for", "group",
				a.group(r.node).Name)
			r.standBy(run, a, handOverRest)
		case r.cluster != nil && lostLease(err):
			r.log.Warn("relay: this node is no longer the owner of lanes; it stands by",
				"group", a.group(r.node).Name, "error", eachOnce(err))
			r.standBy(run, a, 0)
		default:
			run.fail(err)
			run.stop()
		}
	})
}

// eachOnce returns the lines of an error, each of them once, in one line: a lease that ends has
// every call of its lanes fail alike.
func eachOnce(err error) string {
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

// lostLease reports whether an error ends a tenure and no more: the lease has ended, or the store
// cannot be reached.
func lostLease(err error) bool {
	return errors.Is(err, errLeaseLost) || errors.Is(err, store.ErrFenced) ||
		errors.Is(err, store.ErrUnavailable)
}

// standBy begins the next tenure of an account, unless its lanes have changed meanwhile. The node
// rests before it acquires them.
func (r *Relay) standBy(run *run, a *account, rest time.Duration) {
	_ = r.change.take(context.Background())
	defer r.change.giveBack()
	if run.tenures[a] == nil || run.ctx.Err() != nil {
		return
	}
	delete(run.tenures, a)
	old := r.lanes.Load()
	set, next := old.renew(a)
	next.rest = rest
	r.lanes.Store(set)
	r.named.CompareAndSwap(old, set)
	r.begin(run, next)
}

// own acquires the lanes of an account and runs them until ctx ends, the lease is lost or the store
// fails. It returns errHandOver if another node is to have them.
func (r *Relay) own(ctx context.Context, a *account) error {
	lease, err := r.acquire(ctx, a)
	if err != nil {
		for _, l := range a.lanes {
			close(l.ended)
		}
		if ctx.Err() != nil { // stopped before it began
			return nil
		}
		return fmt.Errorf("relay: acquiring the lanes of account %q: %w", a.group(r.node).Name, err)
	}
	for _, l := range a.lanes {
		r.telemetry.tenures.Add(ctx, 1, byLane(l.name))
	}
	a.budget = a.budget.with(a.perMinute, r.cluster != nil, r.clock.now())
	ctx, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	var beside sync.WaitGroup
	beside.Go(func() {
		select {
		case <-lease.Lost():
			lose(errLeaseLost)
		case <-ctx.Done():
		}
	})
	if l, ok := lease.(store.ClusterLease); ok {
		beside.Go(func() { r.publish(ctx, a, l) })
		beside.Go(func() { r.serve(ctx, l, a.handOver(time.Now(), lose)) })
	}
	errs := make([]error, len(a.lanes))
	var wg sync.WaitGroup
	for i, l := range a.lanes {
		wg.Go(func() {
			if errs[i] = l.run(ctx, r.store, lease); errs[i] == nil {
				return
			}
			if r.cluster == nil || !lostLease(errs[i]) {
				l.log.Error("relay: a lane stopped", "error", errs[i].Error())
			}
			lose(errs[i]) // stops the other lanes of the account
		})
	}
	wg.Wait()
	cause := context.Cause(ctx)
	lose(nil)
	beside.Wait()
	if errors.Is(cause, errLeaseLost) {
		errs = append(errs, cause)
		if r.cluster == nil { // why: the store has failed, or was closed
			errs = append(errs, r.store.Check(context.WithoutCancel(ctx)))
		}
	}
	if err := errors.Join(append(errs, lease.Release())...); err != nil {
		return err
	}
	if errors.Is(cause, errHandOver) {
		return errHandOver
	}
	return nil
}

// acquire waits until this node owns the lanes of an account.
func (r *Relay) acquire(ctx context.Context, a *account) (lease store.Lease, err error) {
	if r.cluster != nil {
		for _, l := range a.lanes {
			l.stats.Store(&LaneStats{Name: l.name, State: Standby})
		}
		if a.rest > 0 && !sleep(ctx, a.rest) {
			return nil, ctx.Err()
		}
		claiming, stop := context.WithCancel(ctx)
		var claims sync.WaitGroup
		claims.Go(func() { r.claim(claiming, a) })
		defer claims.Wait()
		defer stop()
	}
	err = r.untilAvailable(ctx, func() error {
		lease, err = r.store.Acquire(ctx, a.group(r.node))
		return err
	})
	return lease, err
}

// untilAvailable calls fn until the store can be reached, and returns its error. At most once a
// minute it logs that the store cannot.
func (r *Relay) untilAvailable(ctx context.Context, fn func() error) error {
	for {
		err := fn()
		if !errors.Is(err, store.ErrUnavailable) {
			return err
		}
		r.unavailable.do(func(n uint64) {
			r.log.Error("relay: the store cannot be reached; nothing is sent until it can",
				"error", err.Error(), "attempts", n)
		})
		if !sleep(ctx, reachAgain) {
			return ctx.Err()
		}
	}
}

// publishEvery is how often an owner shows its figures to the other nodes.
const publishEvery = time.Second

// publish shows the figures of the lanes of a to the other nodes when they have changed, until ctx
// ends.
func (r *Relay) publish(ctx context.Context, a *account, lease store.ClusterLease) {
	type version struct {
		stats         *LaneStats
		ignored, dead uint64 // at once
	}
	last := make([]version, len(a.lanes))
	for ok := true; ok; ok = sleep(ctx, publishEvery) {
		for i, l := range a.lanes {
			v := version{l.stats.Load(), l.atOnce[store.Ignored].Load(), l.atOnce[store.Dead].Load()}
			if v == last[i] {
				continue
			}
			figures, err := json.Marshal(l.shown(r.clock.ahead()))
			if err == nil {
				last[i] = v
				lease.Publish(l.name, figures)
			}
		}
	}
}

// sleep reports whether ctx has not ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
