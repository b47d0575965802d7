package simulate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// remove takes the sink from a lane of a node, restore gives it back, and rotate gives it another
// routing key, while the process runs or before the next one starts.
type (
	remove  struct{ node, lane int }
	restore struct{ node, lane int }
	rotate  struct{ node, lane int }
)

func (r remove) do(w *world)  { w.senders.Go(func() { w.remove(r.node, r.lane) }) }
func (r restore) do(w *world) { w.senders.Go(func() { w.restore(r.node, r.lane) }) }
func (r rotate) do(w *world)  { w.senders.Go(func() { w.rotate(r.node, r.lane) }) }

func (r remove) String() string {
	return fmt.Sprintf("lane number %d of %s is removed", r.lane, nodeName(r.node))
}

func (r restore) String() string {
	return fmt.Sprintf("lane number %d of %s is there again", r.lane, nodeName(r.node))
}

func (r rotate) String() string {
	return fmt.Sprintf("lane number %d of %s gets another key", r.lane, nodeName(r.node))
}

// rename gives a lane another name while the one process runs.
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
	<-w.change[0]
	w.mu.Lock()
	if l := w.lanes[0][r.lane]; w.canRename(l) {
		w.lanes[0] = w.lanes[0].change(r.lane, renamed)
	}
	w.mu.Unlock()
	w.change[0] <- struct{}{}
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

func (w *world) remove(node, id int) {
	w.reconfigure(node, func(lanes Lanes) []laneChange {
		if l := lanes[id]; l.Key == "" || l.Removed { // a chat would lose its settings
			return nil
		}
		return []laneChange{takeAway(lanes, id)}
	})
}

func (w *world) restore(node, id int) {
	w.reconfigure(node, func(lanes Lanes) []laneChange {
		if !lanes[id].Removed {
			return nil
		}
		return []laneChange{w.set(lanes.change(id, func(l *Lane) { l.Removed = false }), id)}
	})
}

func (w *world) rotate(node, id int) {
	w.reconfigure(node, func(lanes Lanes) []laneChange {
		if lanes[id].Key == "" || lanes[id].Removed {
			return nil
		}
		return []laneChange{w.set(lanes.change(id, rotated), id)}
	})
}

func (w *world) rename(id int) {
	w.reconfigure(0, func(lanes Lanes) []laneChange {
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

// reconfigure makes the changes that plan returns for the lanes that the next process of a node
// will have. It makes them one after the other, if the present process has these lanes too. If that
// process ends before, the next one has the new lanes. plan is called with w.mu held.
func (w *world) reconfigure(node int, plan func(Lanes) []laneChange) {
	<-w.change[node]
	defer func() { w.change[node] <- struct{}{} }()
	w.mu.Lock()
	p := w.processes[node]
	same := p.lanes.equal(w.lanes[node])
	changes := plan(w.lanes[node])
	if len(changes) > 0 {
		w.lanes[node] = changes[len(changes)-1].to
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
	if p == w.processes[p.node] {
		w.inForce = append(w.inForce, inForce{p.node, time.Now(), []Lanes{p.lanes, c.to}})
	}
	w.mu.Unlock()
	p.link.keepAwake()
	defer p.link.mayPause()
	for range 30 {
		ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
		err := c.call(ctx, p)
		cancel()
		w.mu.Lock()
		gone := p != w.processes[p.node] || !p.up() || p.failed()
		if err == nil && !gone {
			p.lanes = c.to
			w.inForce = append(w.inForce, inForce{p.node, time.Now(), []Lanes{c.to}})
		}
		if err != nil && !gone && !errors.Is(err, store.ErrFull) &&
			!errors.Is(err, store.ErrUnavailable) {
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
