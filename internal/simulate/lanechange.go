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
	names, err := w.disk.store.Renamed(context.Background())
	if err != nil {
		panic(err)
	}
	return !l.Removed && (l.Formerly == "" || names[l.Formerly] == l.Name)
}

func (w *world) remove(id int) {
	<-w.change
	defer func() { w.change <- struct{}{} }()
	lanes, p := w.planned()
	if l := lanes[id]; l.Key != "" && !l.Removed { // a chat would lose its settings
		w.reconfigure(p, []laneChange{takeAway(lanes, id)})
	}
}

func (w *world) restore(id int) {
	<-w.change
	defer func() { w.change <- struct{}{} }()
	if lanes, p := w.planned(); lanes[id].Removed {
		to := lanes.change(id, func(l *Lane) { l.Removed = false })
		w.reconfigure(p, []laneChange{w.set(to, id)})
	}
}

func (w *world) rename(id int) {
	<-w.change
	defer func() { w.change <- struct{}{} }()
	lanes, p := w.planned()
	w.mu.Lock()
	can := w.canRename(lanes[id])
	w.mu.Unlock()
	if can {
		w.reconfigure(p, []laneChange{
			takeAway(lanes, id), w.set(lanes.change(id, renamed), id),
		})
	}
}

// planned returns the lanes that the next process will have, and the present process.
func (w *world) planned() (Lanes, *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lanes, w.process
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

// reconfigure makes changes, one after the other, if the process has the lanes that are planned. If
// it ends before, the next process has the new lanes. The caller has taken w.change.
func (w *world) reconfigure(p *process, changes []laneChange) {
	w.mu.Lock()
	same := p == w.process && p.lanes.equal(w.lanes)
	w.lanes = changes[len(changes)-1].to
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
	if p == w.process {
		w.inForce = append(w.inForce, inForce{time.Now(), []Lanes{p.lanes, c.to}})
	}
	w.mu.Unlock()
	for range 30 {
		ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
		err := c.call(ctx, p)
		cancel()
		w.mu.Lock()
		gone := p != w.process || !p.up() || p.mount.failed.Load()
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
