package memstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A request is a call of Ask.
type request struct {
	lane   string
	body   []byte
	seen   *lease // that took it last
	answer []byte
	done   bool
}

// Ask implements [store.Cluster]. If the owner ends without an answer, the next owner of the lane
// gets the request. A request whose caller got [store.ErrUnavailable] stays until ctx ends.
func (h *Handle) Ask(ctx context.Context, lane string, body []byte) (answer []byte, err error) {
	q := &request{lane: lane, body: slices.Clone(body)}
	asked := false
	err = h.await(ctx, Call{Method: "Ask", Lane: lane}, h.usable, func() (*wait, error) {
		switch {
		case !asked && !h.lane(lane).owner.live():
			return nil, fmt.Errorf("memstore: an owner of lane %q: %w", lane, store.ErrNotFound)
		case !asked:
			asked = true
			h.requests = append(h.requests, q)
			context.AfterFunc(ctx, func() {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.forget(q)
			})
			h.wake()
		case q.done:
			answer = q.answer
			return nil, nil
		case !slices.Contains(h.requests, q): // a promotion has lost it
			return nil, errNoAnswer
		}
		return &wait{}, nil
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// Next implements [store.ClusterLease].
func (l *clusterLease) Next(ctx context.Context) (next *store.Request, err error) {
	s := l.store
	err = s.await(ctx, Call{Method: "Next"}, l.usable, func() (*wait, error) {
		for _, q := range s.requests {
			if lane := s.lane(q.lane); lane.owner == l.lease && q.seen != l.lease {
				q.seen = l.lease
				next = &store.Request{Lane: lane.name, Body: slices.Clone(q.body), Answer: s.answer(q)}
				return nil, nil
			}
		}
		return &wait{}, nil
	})
	if err != nil {
		return nil, err
	}
	return next, nil
}

// answer returns the Answer of a request.
func (s *Store) answer(q *request) func(context.Context, []byte) error {
	return func(ctx context.Context, answer []byte) error {
		return s.do(ctx, Call{Method: "Answer", Lane: q.lane}, func() error {
			q.answer, q.done = slices.Clone(answer), true
			s.forget(q)
			s.wake()
			return nil
		})
	}
}

// forget removes a request. mu is held.
func (p *place) forget(q *request) {
	p.requests = slices.DeleteFunc(p.requests, func(other *request) bool { return other == q })
}
