package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// lookEvery is how often a node reads who owns the lanes.
const lookEvery = 2 * time.Second

// watchOwners reads who owns the lanes, with their figures, until ctx ends.
func (r *Relay) watchOwners(ctx context.Context) {
	for ok := true; ok; ok = sleep(ctx, lookEvery) {
		owners, err := r.cluster.Owners(ctx)
		if err != nil {
			continue // while the store cannot be reached, the last ones are shown
		}
		r.owners.Store(&owners)
	}
}

// ownersFigures returns the figures of a lane on standby as its owner has published them.
func (r *Relay) ownersFigures(s LaneStats) LaneStats {
	owners := r.owners.Load()
	if owners == nil {
		return s
	}
	lease, ok := (*owners)[s.Name]
	if !ok {
		return s
	}
	var owner LaneStats
	_ = json.Unmarshal(lease.Figures, &owner) // none yet, or of another version: only the name counts
	owner.Name, owner.Owner, owner.State, owner.Until = s.Name, lease.Node, Standby, time.Time{}
	owner.Ignored, owner.Dead = max(owner.Ignored, s.Ignored), max(owner.Dead, s.Dead)
	return owner
}

// standsBy reports whether another node has to do what is asked of a lane.
func (r *Relay) standsBy(lane string) bool {
	l := r.findLane(lane)
	return r.cluster != nil && l != nil && l.stats.Load().State == Standby
}

// A command is what a node asks of the owner of a lane. Nodes of two versions may run side by side:
// members are only added.
type command struct {
	Do      string   `json:"do"`
	Seq     uint64   `json:"seq,omitempty"`
	Seqs    []uint64 `json:"seqs,omitempty"`
	Problem string   `json:"problem,omitempty"`
	By      string   `json:"by,omitempty"`
	Reason  string   `json:"reason,omitempty"`

	For     time.Duration   `json:"for,omitempty"`
	Waiting *WaitingOptions `json:"waiting,omitempty"`
}

const (
	doReplay  = "replay"
	doDrop    = "drop"
	doKill    = "drop pending"
	doKillAll = "drop matching"
	doMatch   = "match"
	doExplain = "explain"
	doPause   = "pause"
	doResume  = "resume"
	doSendNow = "send now"
	doWaiting = "waiting"
	// doHandOver asks for the lanes themselves.
	doHandOver = "hand over"
)

// An answer is what the owner says.
type answer struct {
	Error   string          `json:"error,omitempty"`
	Kind    string          `json:"kind,omitempty"` // of the error, see errorKinds
	History *ProblemHistory `json:"history,omitempty"`
	Waiting *WaitingPage    `json:"waiting,omitempty"`
	Matches *Matches        `json:"matches,omitempty"`
	Dropped int             `json:"dropped,omitempty"`
}

// errorKinds are the errors that callers compare.
var errorKinds = map[string]error{
	"stale": ErrStale, "no lane": ErrNoLane, "in flight": ErrInFlight, "not found": store.ErrNotFound,
	"damaged": store.ErrDamaged,
}

const (
	// askTimeout bounds how long an owner may take for what changes something.
	askTimeout = 10 * time.Second
	// explainTimeout bounds how long it may take to explain a problem. The store can say less, at
	// once.
	explainTimeout = 2 * time.Second
)

// ask has the owner of a lane do something.
func (r *Relay) ask(ctx context.Context, lane string, c command) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := json.Marshal(c)
	if err != nil {
		return answer{}, err
	}
	body, err := r.cluster.Ask(ctx, lane, request)
	if errors.Is(err, store.ErrNotFound) {
		return answer{}, errors.New("no node owns the lane at the moment; try again")
	}
	if err != nil {
		return answer{}, fmt.Errorf("asking the node that owns the lane, which may have done it: %w", err)
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return answer{}, fmt.Errorf("the answer of the node that owns the lane cannot be read: %w", err)
	}
	if a.Error == "" {
		return a, nil
	}
	if kind := errorKinds[a.Kind]; kind != nil {
		return a, fmt.Errorf("%w: on the node that owns the lane: %s", kind, a.Error)
	}
	return a, fmt.Errorf("on the node that owns the lane: %s", a.Error)
}

// serve does what other nodes ask of the lanes of a lease, until ctx ends. handOver ends the lease
// for another node.
func (r *Relay) serve(ctx context.Context, lease store.ClusterLease, handOver func() error) {
	for {
		request, err := lease.Next(ctx)
		if errors.Is(err, store.ErrUnavailable) && sleep(ctx, reachAgain) {
			continue
		}
		if err != nil {
			return
		}
		go func() {
			ctx, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			body, err := json.Marshal(r.answer(ctx, request, handOver))
			if err == nil { // also if the command has ended the tenure
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
				defer cancel()
				err = request.Answer(ctx, body)
			}
			if err != nil && ctx.Err() == nil {
				r.log.Warn("relay: what another node asked of a lane was done, but it cannot be told so",
					"lane", request.Lane, "error", err.Error())
			}
		}()
	}
}

// answer does what another node asked.
func (r *Relay) answer(
	ctx context.Context, request *store.Request, handOver func() error,
) answer {
	var a answer
	err := r.execute(ctx, request, handOver, &a)
	if err != nil {
		a.Error = err.Error()
		for kind, is := range errorKinds {
			if errors.Is(err, is) {
				a.Kind = kind
			}
		}
	}
	return a
}

// execute does what a command says. What it returns beside an error is put into a.
func (r *Relay) execute(
	ctx context.Context, request *store.Request, handOver func() error, a *answer,
) (err error) {
	var c command
	if err := json.Unmarshal(request.Body, &c); err != nil {
		return err
	}
	lane := request.Lane
	switch c.Do {
	case doReplay:
		return r.Replay(ctx, lane, c.Seq)
	case doDrop:
		return r.Drop(ctx, lane, c.Seq)
	case doKill:
		return r.DropPending(ctx, lane, c.Seq, c.By)
	case doKillAll:
		a.Dropped, err = r.DropMatching(ctx, lane, c.Seqs, c.By)
		return err
	case doMatch:
		if c.Waiting == nil {
			return errors.New("the command has no filter")
		}
		a.Matches, err = r.MatchWaiting(ctx, lane, c.Waiting.Filter)
		return err
	case doPause:
		return r.Pause(ctx, lane, c.For, c.By, c.Reason)
	case doResume:
		return r.Resume(ctx, lane, c.By)
	case doSendNow:
		return r.SendNow(ctx, lane, c.Seq)
	case doWaiting:
		a.Waiting, err = r.Waiting(ctx, lane, c.Waiting)
		return err
	case doHandOver:
		return handOver()
	case doExplain:
		l := r.findLane(lane)
		if l == nil {
			return ErrNoLane
		}
		h, err := r.history(ctx, l, c.Problem)
		a.History = &h
		return err
	}
	return fmt.Errorf("this version does not know how to %q", c.Do)
}
