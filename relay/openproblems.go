package relay

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// An OpenProblem is a problem that the target of a lane may show: it was sent, and no recovery was
// delivered since.
type OpenProblem struct {
	Problem string `json:"problem"`
	// Level is the level that the target shows. LevelNone: it is not known that the target has taken
	// the problem.
	Level guance.Level `json:"-"`
	// Doubt reports that the answer to a request was lost.
	Doubt bool `json:"doubt,omitempty"`
	// Since is when the problem was last begun or settled, by the wall clock of that moment.
	Since time.Time `json:"since,omitzero"`
}

// ErrNoPage: no page begins where the caller said.
var ErrNoPage = errors.New("no page begins there")

// An OpenPage is a part of the open problems of a lane, in an order of the store's own.
type OpenPage struct {
	Lane     string        `json:"lane"`
	Problems []OpenProblem `json:"problems"`
	Next     string        `json:"next,omitempty"` // where the next page begins; empty: there is none
}

// OpenProblems returns up to limit problems that the target of a lane may show. from is empty, or
// Next of the page before; otherwise it fails with [ErrNoPage]. The lane need not be configured,
// and any node can tell. It fails with [ErrNoLane] if the lane is neither configured nor has
// anything in the store.
func (r *Relay) OpenProblems(
	ctx context.Context, lane, from string, limit int,
) (*OpenPage, error) {
	const doing = "reading the open problems"
	if limit < 1 || limit > mostWaiting {
		return nil, fmt.Errorf("relay: lane %q: %s: a limit of %d; it must be from 1 to %d", lane, doing,
			limit, mostWaiting)
	}
	start, err := base64.RawURLEncoding.DecodeString(from)
	if err != nil {
		return nil, fmt.Errorf("relay: lane %q: %s: %q: %w", lane, doing, from, ErrNoPage)
	}
	open, next, err := r.store.OpenProblems(ctx, lane, string(start), limit)
	if err == nil && len(open) == 0 && r.findLane(lane) == nil {
		err = r.checkHeld(ctx, lane)
	}
	if err != nil {
		return nil, fmt.Errorf("relay: lane %q: %s: %w", lane, doing, err)
	}
	p := &OpenPage{
		Lane: lane, Problems: []OpenProblem{}, Next: base64.RawURLEncoding.EncodeToString([]byte(next)),
	}
	for _, o := range open {
		p.Problems = append(p.Problems,
			OpenProblem{o.Problem, o.Record.Shown, o.Record.Doubt, o.Record.At})
	}
	return p, nil
}
