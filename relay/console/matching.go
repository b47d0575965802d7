package console

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A selection is what an action is about: one entry, or what a filter takes.
type selection struct {
	seq    uint64 // 0: many
	filter relay.Filter
	all    bool // the filter takes everything, and was asked for by name
}

// selectionOf reads what an action is about: seq, all=yes or a filter, and no two of them.
func selectionOf(p params) (s selection, err error) {
	filter, given, err := filterOf(p)
	if err != nil {
		return s, err
	}
	s = selection{filter: filter, all: p.Has("all")}
	if s.all && p.Get("all") != "yes" {
		return s, errorf(http.StatusBadRequest, "parameter \"all\": must be yes")
	}
	ways := 0
	for _, way := range []bool{p.Has("seq"), s.all, given} {
		if way {
			ways++
		}
	}
	switch {
	case ways != 1:
		return s, errorf(http.StatusBadRequest, "either \"seq\", or \"all\", or one or more of %q is "+
			"needed", filterParameters)
	case p.Has("seq"):
		s.seq, err = p.number("seq", 0, 1, 1<<63)
	}
	return s, err
}

// confirmed returns those of the entries that may be changed. The first call, without count and
// through, changes nothing: it says how many match, and their highest number. The second call names
// both, and gets no entry that came later, and an error if more match than were counted.
func confirmed(p params, matching []uint64) (seqs []uint64, r result, err error) {
	if !p.Has("count") && !p.Has("through") {
		r = result{Status: "confirm", Matching: len(matching)}
		for _, seq := range matching {
			r.Through = max(r.Through, seq)
		}
		r.Message = "nothing was changed; to go on, repeat the call with these as count and through"
		return nil, r, nil
	}
	count, err := p.number("count", 0, 1, 1<<31)
	if err != nil {
		return nil, r, err
	}
	through, err := p.number("through", 0, 1, 1<<63)
	if err != nil {
		return nil, r, err
	}
	seqs = slices.DeleteFunc(matching, func(seq uint64) bool { return seq > through })
	if uint64(len(seqs)) > count {
		return nil, r, errorf(http.StatusConflict, "%d entries match now, more than the %d that were "+
			"counted; nothing was changed; count again", len(seqs), count)
	}
	return seqs, r, nil
}

// dropMatching drops the pending entries that a filter takes, of those that the relay looks at.
func (c *console) dropMatching(
	ctx context.Context, lane string, p params, f relay.Filter, by string,
) (r result, err error) {
	m, err := c.relay.MatchWaiting(ctx, lane, f)
	if err != nil {
		return r, err
	}
	seqs, r, err := confirmed(p, m.Seqs)
	if err == nil && len(seqs) > 0 {
		r.Done, err = c.relay.DropMatching(ctx, lane, seqs, by)
	}
	r.Looked, r.Pending = m.Looked, m.Pending
	return r, err
}

// eachDead calls fn with the dead letters of a lane that a filter takes, until it fails.
func (c *console) eachDead(
	ctx context.Context, lane string, f relay.Filter, fn func(seq uint64) error,
) error {
	for after := uint64(0); ; {
		dead, err := c.relay.DeadLetters(ctx, lane, after, deadRead)
		if err != nil || len(dead) == 0 {
			return err
		}
		for i := range dead {
			after = dead[i].Seq
			if f.Match(&dead[i].Entry) {
				if err := fn(after); err != nil {
					return err
				}
			}
		}
	}
}

// onDead calls fn with the dead letters that the parameters select, and counts what became of them.
// What a filter takes must be confirmed.
func (c *console) onDead(
	ctx context.Context, lane string, p params, fn func(seq uint64) error,
) (r result, err error) {
	s, err := selectionOf(p)
	if err != nil {
		return r, err
	}
	act := func(seq uint64) error {
		err := fn(seq)
		switch {
		case err == nil:
			r.Done++
		case errors.Is(err, relay.ErrStale):
			r.Stale++
		case !errors.Is(err, store.ErrNotFound): // somebody else dropped or replayed it
			return err
		}
		return nil
	}
	switch {
	case s.seq > 0:
		if err = fn(s.seq); err == nil {
			r.Done = 1
		}
		return r, err
	case s.all:
		err = c.eachDead(ctx, lane, s.filter, act)
		return r, err
	}
	var matching []uint64
	err = c.eachDead(ctx, lane, s.filter, func(seq uint64) error {
		matching = append(matching, seq)
		return nil
	})
	if err != nil {
		return r, err
	}
	seqs, r, err := confirmed(p, matching)
	if err != nil {
		return r, err
	}
	for _, seq := range seqs {
		if err := act(seq); err != nil {
			return r, err
		}
	}
	return r, nil
}
