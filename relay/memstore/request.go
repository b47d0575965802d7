package memstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A request is a call of Ask.
type request struct {
	ctx    context.Context // of its caller
	lane   string
	owner  *lease
	body   []byte
	taken  bool
	answer []byte
	done   bool
}

// Ask implements [store.Cluster]. A request whose caller got [store.ErrUnavailable] stays until ctx
// ends.
func (h *Handle) Ask(ctx context.Context, lane string, body []byte) (answer []byte, err error) {
	q := &request{ctx: ctx, lane: lane, body: slices.Clone(body)}
	asked := false
	err = h.await(ctx, Call{Method: "Ask", Lane: lane}, h.usable, func() (*wait, error) {
		switch o := h.lane(lane).owner; {
		case !asked && !o.live():
			return nil, fmt.Errorf("memstore: an owner of lane %q: %w", lane, store.ErrNotFound)
		case !asked:
			asked, q.owner = true, o
			h.requests = append(h.requests, q)
			h.wake()
		case q.done:
			answer = q.answer
			return nil, nil
		case !q.owner.live() || !slices.Contains(h.requests, q): // or a promotion has lost it
			return nil, errNoAnswer
		}
		return &wait{expired: time.After(time.Until(q.owner.expires))}, nil
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
		s.forget(func(q *request) bool { return q.ctx.Err() != nil })
		for _, q := range s.requests {
			if q.owner == l.lease && !q.taken {
				q.taken = true
				next = &store.Request{
					Lane: s.lane(q.lane).name, Body: slices.Clone(q.body), Answer: s.answer(q),
				}
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
			s.forget(func(other *request) bool { return other == q })
			s.wake()
			return nil
		})
	}
}

// forget removes requests. mu is held.
func (p *place) forget(which func(*request) bool) {
	p.requests = slices.DeleteFunc(p.requests, which)
}
