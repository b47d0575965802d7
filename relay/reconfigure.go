package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A run is what one call of Run has started.
type run struct {
	ctx     context.Context // ends when the relay stops
	stop    context.CancelFunc
	wg      sync.WaitGroup
	tenures map[*account]*tenure // guarded by Relay.change

	mu   sync.Mutex
	errs []error // guarded by mu
}

func (r *run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

// SetLane adds a lane, or gives a lane another sink and other options. It may be called while Run
// runs. Then it first ends the attempts of the lanes that share the account of the lane, as Run
// does at its end, and starts these lanes again. The backlog stays, and so do the pause after a 429
// and, in a store of one process and unless PerMinute has changed, the budget.
//
// It returns an error where Handle panics, and an error of the store. Then nothing has changed,
// unless the error is [store.ErrFailed] or [store.ErrUnavailable].
func (r *Relay) SetLane(ctx context.Context, name string, s Sink, opts *SinkOptions) error {
	c, err := r.newConfig(name, s, opts)
	if err != nil {
		return err
	}
	return r.reconfigure(ctx, c, func(list []*laneConfig) ([]*laneConfig, error) {
		i := slices.IndexFunc(list, func(old *laneConfig) bool { return old.name == name })
		if i < 0 {
			return append(list, c), nil
		}
		c.figures = list[i].figures
		list[i] = c
		return list, nil
	})
}

// RemoveLane takes the sink from a lane. It may be called while Run runs, and ends attempts as
// SetLane does. The lane takes no new problems. What it has stays in the store: see the package
// comment on lanes without a sink. RemoveLane fails with [ErrNoLane] if there is no such lane.
func (r *Relay) RemoveLane(ctx context.Context, name string) error {
	return r.reconfigure(ctx, nil, func(list []*laneConfig) ([]*laneConfig, error) {
		i := slices.IndexFunc(list, func(c *laneConfig) bool { return c.name == name && c.sink != nil })
		if i < 0 {
			return nil, fmt.Errorf("relay: removing lane %q: %w; lanes here are %q", name, ErrNoLane,
				r.lanes.Load().names())
		}
		list[i] = list[i].withoutSink()
		return list, nil
	})
}

// adopt adds lanes without a sink, unless there are lanes of these names.
func (r *Relay) adopt(ctx context.Context, names []string) error {
	return r.reconfigure(ctx, nil, func(list []*laneConfig) ([]*laneConfig, error) {
		for _, name := range names {
			if slices.ContainsFunc(list, func(c *laneConfig) bool { return c.name == name }) {
				continue
			}
			c, err := r.newLaneWithoutSink(name, nil)
			if err != nil {
				return nil, err
			}
			list = append(list, c)
		}
		return list, nil
	})
}

// reconfigure changes the lanes. added is the lane that change adds, or nil. If the relay runs, it
// stops the accounts that change and starts them with their new lanes.
func (r *Relay) reconfigure(
	ctx context.Context, added *laneConfig, change func([]*laneConfig) ([]*laneConfig, error),
) error {
	if err := r.change.take(ctx); err != nil {
		return fmt.Errorf("relay: waiting for another change of the lanes; no lane was changed: %w", err)
	}
	defer r.change.giveBack()
	if r.closing.Load() {
		return errors.New("relay: closing; no lane was changed")
	}
	old := r.lanes.Load()
	configs, err := change(old.configs())
	if err != nil {
		return err
	}
	takesOver := ""
	if added != nil {
		takesOver = added.opts.Formerly
		if l := old.lane(takesOver); l != nil && l.sink != nil {
			return fmt.Errorf("relay: lane %q has a sink; remove it before lane %q takes it over",
				takesOver, added.name)
		}
		configs = slices.DeleteFunc(configs, func(c *laneConfig) bool { return c.name == takesOver })
	}
	if err := r.checkName(ctx, added, configs); err != nil {
		return err
	}
	next, gone, err := old.next(configs)
	if err != nil {
		return err
	}
	if r.running == nil {
		for _, a := range gone {
			for _, l := range a.lanes {
				close(l.ended)
			}
		}
		r.lanes.Store(next)
		if takesOver == "" {
			r.named.CompareAndSwap(old, next)
		}
		return nil
	}
	for _, a := range gone {
		r.running.tenures[a].stop(errLanesChange)
	}
	budgets := make(map[string]*budget)
	for _, a := range gone {
		<-r.running.tenures[a].ended
		delete(r.running.tenures, a)
		budgets[a.key] = a.budget
	}
	if takesOver != "" {
		if err = r.takeOver(ctx, added); err != nil { // go on with the lanes as they were
			next, _, _ = next.next(old.configs())
		}
	}
	r.lanes.Store(next)
	r.named.Store(next)
	for _, a := range next.accounts {
		if r.running.tenures[a] == nil {
			a.budget = budgets[a.key]
			r.begin(r.running, a)
		}
	}
	return err
}

// namedLanes returns the lanes once they have taken over their former names. An event must not come
// to a lane before: two lanes that both have had events cannot become one.
func (r *Relay) namedLanes(ctx context.Context) (*laneSet, error) {
	for {
		lanes := r.lanes.Load()
		if r.named.Load() == lanes {
			return lanes, nil
		}
		if err := r.takeOverNames(ctx, lanes); err != nil {
			return nil, err
		}
	}
}

// takeOverNames has the lanes of a set take over their former names, unless they did or another set
// has taken its place.
func (r *Relay) takeOverNames(ctx context.Context, lanes *laneSet) error {
	if r.named.Load() == lanes {
		return nil
	}
	if err := r.naming.take(ctx); err != nil {
		return fmt.Errorf("relay: waiting for lanes to take over their former names: %w", err)
	}
	defer r.naming.giveBack()
	if r.named.Load() == lanes || r.lanes.Load() != lanes {
		return nil
	}
	for _, l := range lanes.all {
		if l.opts.Formerly != "" {
			if err := r.takeOver(ctx, l.laneConfig); err != nil {
				return err
			}
		}
	}
	r.named.Store(lanes)
	return nil
}

// checkName returns an error if the store has another of these lanes under the name of the added
// one, because that lane was renamed. Two lanes on one backlog would take it from each other.
func (r *Relay) checkName(ctx context.Context, added *laneConfig, configs []*laneConfig) error {
	if added == nil || r.running == nil { // Run checks all names
		return nil
	}
	renamed, err := r.store.Renamed(ctx)
	if err != nil {
		return r.stopIfFailed(fmt.Errorf("relay: reading the names of lanes: %w", err))
	}
	present := renamed[added.name]
	if slices.ContainsFunc(configs, func(c *laneConfig) bool { return c.name == present }) {
		return oneLane(added.name, present)
	}
	return nil
}

// oneLane returns the error for two lanes that are one in the store.
func oneLane(name, present string) error {
	return fmt.Errorf("relay: lanes %q and %q are one lane in the store, because %q has taken over "+
		"%q; give one of them a name that was never used", name, present, present, name)
}

// takeOver gives a lane what the lane of its former name has.
func (r *Relay) takeOver(ctx context.Context, c *laneConfig) error {
	err := r.store.Rename(ctx, c.opts.Formerly, c.name)
	if errors.Is(err, store.ErrInUse) {
		return fmt.Errorf("relay: lane %q cannot take over lane %q, because both have had events; "+
			"remove Formerly, and drop or replay what lane %q has: %w", c.name, c.opts.Formerly,
			c.opts.Formerly, err)
	}
	if err != nil {
		return r.stopIfFailed(fmt.Errorf("relay: lane %q takes over lane %q: %w", c.name,
			c.opts.Formerly, err))
	}
	return nil
}
