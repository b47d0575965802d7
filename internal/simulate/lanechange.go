package simulate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// remove takes the sink from a lane, and restore gives it back, while the process runs or before
// the next one starts.
type (
	remove  struct{ lane int }
	restore struct{ lane int }
)

func (r remove) do(w *world)  { w.senders.Go(func() { w.remove(r.lane) }) }
func (r restore) do(w *world) { w.senders.Go(func() { w.restore(r.lane) }) }

func (r remove) String() string  { return fmt.Sprintf("lane number %d is removed", r.lane) }
func (r restore) String() string { return fmt.Sprintf("lane number %d is there again", r.lane) }

// rename gives a lane another name while the process runs.
type rename struct{ lane int }

func (r rename) do(w *world)    { w.senders.Go(func() { w.rename(r.lane) }) }
func (r rename) String() string { return fmt.Sprintf("lane number %d is renamed", r.lane) }

// renameStopped stops the process, and starts it again with another name for a lane.
type renameStopped struct {
	lane int
	down time.Duration
}

func (r renameStopped) do(w *world) {
	w.stop()
	<-w.change
	w.mu.Lock()
	if l := w.lanes[r.lane]; w.canRename(l) {
		w.lanes = w.lanes.change(r.lane, renamed)
	}
	w.mu.Unlock()
	w.change <- struct{}{}
	time.Sleep(r.down)
	w.start()
}

func (r renameStopped) String() string {
	return fmt.Sprintf("the process is stopped, and back after %v with a new name of lane number %d",
		r.down.Round(time.Millisecond), r.lane)
}

// renamed gives a lane a name that was never used.
func renamed(l *Lane) { l.Formerly, l.Name = l.Name, l.Name+"'" }

// canRename reports whether a lane has taken over its former name, so that it can be renamed again.
// Otherwise nothing would lead to the first name any more. w.mu is held.
func (w *world) canRename(l Lane) bool {
	names, err := w.store.Renamed(context.Background())
	if err != nil {
		panic(err)
	}
	return !l.Removed && (l.Formerly == "" || names[l.Formerly] == l.Name)
}

func (w *world) remove(id int) {
	w.reconfigure(func(lanes Lanes) []laneChange {
		if l := lanes[id]; l.Key == "" || l.Removed { // a chat would lose its settings
			return nil
		}
		return []laneChange{takeAway(lanes, id)}
	})
}

func (w *world) restore(id int) {
	w.reconfigure(func(lanes Lanes) []laneChange {
		if !lanes[id].Removed {
			return nil
		}
		return []laneChange{w.set(lanes.change(id, func(l *Lane) { l.Removed = false }), id)}
	})
}

func (w *world) rename(id int) {
	w.reconfigure(func(lanes Lanes) []laneChange {
		if !w.canRename(lanes[id]) {
			return nil
		}
		return []laneChange{takeAway(lanes, id), w.set(lanes.change(id, renamed), id)}
	})
}

// A laneChange is one change of the lanes of a process that runs.
type laneChange struct {
	to   Lanes
	call func(context.Context, *process) error
}

func takeAway(lanes Lanes, id int) laneChange {
	to := lanes.change(id, func(l *Lane) { l.Removed = true })
	return laneChange{to, func(ctx context.Context, p *process) error {
		return p.relay.RemoveLane(ctx, lanes[id].Name)
	}}
}

func (w *world) set(to Lanes, id int) laneChange {
	l := to[id]
	return laneChange{to, func(ctx context.Context, p *process) error {
		return p.relay.SetLane(ctx, l.Name, p.sink(w, l), w.options(l))
	}}
}

// reconfigure makes the changes that plan returns for the lanes that the next process will have. It
// makes them one after the other, if the present process has these lanes too. If that process ends
// before, the next one has the new lanes. plan is called with w.mu held.
func (w *world) reconfigure(plan func(Lanes) []laneChange) {
	<-w.change
	defer func() { w.change <- struct{}{} }()
	w.mu.Lock()
	p := w.processes[0]
	same := p.lanes.equal(w.lanes)
	changes := plan(w.lanes)
	if len(changes) > 0 {
		w.lanes = changes[len(changes)-1].to
	}
	w.mu.Unlock()
	for _, c := range changes {
		if !same || !w.reconfigureOnce(p, c) {
			return
		}
	}
}

// reconfigureOnce makes one change, again after a failure, and reports whether the process has it.
func (w *world) reconfigureOnce(p *process, c laneChange) bool {
	w.mu.Lock()
	if p == w.processes[0] {
		w.inForce = append(w.inForce, inForce{time.Now(), []Lanes{p.lanes, c.to}})
	}
	w.mu.Unlock()
	for range 30 {
		ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
		err := c.call(ctx, p)
		cancel()
		w.mu.Lock()
		gone := p != w.processes[0] || !p.up() || p.failed()
		if err == nil && !gone {
			p.lanes = c.to
			w.inForce = append(w.inForce, inForce{time.Now(), []Lanes{c.to}})
		}
		if err != nil && !gone && !errors.Is(err, store.ErrFull) {
			w.stops = append(w.stops, fmt.Errorf("the lanes cannot be changed: %w", err))
		}
		w.mu.Unlock()
		if err == nil || gone {
			return err == nil && !gone
		}
		time.Sleep(5 * time.Second)
	}
	return false
}
