package relay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// Nodes with two configurations, as in a rolling update, may leave a lane without service: its
// owner has no sink for it, or two nodes each own a part of the lanes of an account that another
// node needs together. Then a node that has a sink asks the owners to hand their lanes over.

// errHandOver ends a tenure because another node has asked for its lanes.
var errHandOver = errors.New("relay: another node has asked for the lanes")

const (
	// handOverAfter is how long a tenure with a sink lasts at least. Two nodes that ask each other
	// take turns by it.
	handOverAfter = time.Minute
	// handOverRest is how long a node waits after it has handed lanes over before it acquires them
	// again, so that the other node is the first.
	handOverRest = 5 * time.Second
)

// handOver returns what does the command to hand a lane over, in a tenure of a that began at since.
// lose ends the tenure.
func (a *account) handOver(since time.Time, lose context.CancelCauseFunc) func() error {
	return func() error {
		if a.hasSink() && time.Since(since) < handOverAfter {
			return fmt.Errorf("this node has owned the lanes for less than %v", handOverAfter)
		}
		lose(errHandOver)
		return nil
	}
}

func (a *account) hasSink() bool { return a.lanes[0].sink != nil } // all lanes have one, or none

// claim asks the owners of lanes of a to hand them over while some lane of a is not served, until
// ctx ends. It looks twice, as a lane that changes its owner has none for a moment.
func (r *Relay) claim(ctx context.Context, a *account) {
	if !a.hasSink() {
		return
	}
	for before := false; sleep(ctx, lookEvery); {
		owned, served := r.served(ctx, a)
		if before && !served {
			for _, lane := range owned {
				if _, err := r.ask(ctx, lane, command{Do: doHandOver}); err != nil && ctx.Err() == nil {
					r.log.Debug("relay: a node does not hand a lane over that is not served", "lane", lane,
						"error", err.Error())
				}
			}
		}
		before = !served
	}
}

// served returns which lanes of a have an owner, and whether each of them has one with a sink. If
// that is not known, they count as served.
func (r *Relay) served(ctx context.Context, a *account) (owned []string, served bool) {
	owners := r.owners.Load()
	if owners == nil {
		return nil, true
	}
	renamed, err := r.cluster.Renamed(ctx)
	if err != nil {
		return nil, true
	}
	served = true
	for _, l := range a.lanes {
		o, ok := (*owners)[cmp.Or(renamed[l.name], l.name)]
		if ok {
			owned = append(owned, l.name)
		}
		served = served && ok && !withoutSink(o)
	}
	return owned, served
}

// withoutSink reports whether an owner says that it has no sink for the lane.
func withoutSink(o store.Owner) bool {
	var s LaneStats
	return json.Unmarshal(o.Figures, &s) == nil && s.State == NoSink
}
