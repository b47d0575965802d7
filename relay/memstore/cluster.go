package memstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A Cluster is a place for several nodes, in the same process. It behaves as a database server
// does: each node opens a [Handle], and owns lanes by leases that are bound by time. In a
// testing/synctest bubble the time is that of the bubble. It is safe for concurrent use.
type Cluster struct{ place *place }

// NewCluster returns an empty cluster. Its leases last 3 seconds.
func NewCluster() *Cluster {
	c := &Cluster{newPlace()}
	c.place.term = 3 * time.Second
	return c
}

// SetLease sets how long a lease lasts from its acquisition, and from each renewal, from now on.
func (c *Cluster) SetLease(d time.Duration) {
	c.place.mu.Lock()
	defer c.place.mu.Unlock()
	c.place.term = d
}

// Open opens a handle for a node. It must be closed or killed: until then it renews its leases.
func (c *Cluster) Open(node string) *Handle { return &Handle{c.place.open(), c, node} }

// Observe has fn see each call that changes the engine, in the order in which the changes happen,
// and each Append: whether the caller gets the answer or not. The events of an Append say which
// entries they became. What the engine's standby does is a call with the name of its method here.
// fn must not use the cluster.
func (c *Cluster) Observe(fn func(Call)) {
	c.place.mu.Lock()
	defer c.place.mu.Unlock()
	c.place.observe = fn
}

// LimitLane is [Store.LimitLane] of every handle.
func (c *Cluster) LimitLane(entries int) {
	c.place.mu.Lock()
	defer c.place.mu.Unlock()
	c.place.laneLimit = entries
}

// Stop has the engine be out of reach: every call of every handle returns [store.ErrUnavailable],
// and no lease is renewed. Leases expire meanwhile.
func (c *Cluster) Stop() { c.reach(true) }

// Start ends a Stop.
func (c *Cluster) Start() { c.reach(false) }

func (c *Cluster) reach(down bool) {
	c.place.mu.Lock()
	defer c.place.mu.Unlock()
	c.place.down = down
	c.place.tell()
}

// Replicate has the standby of the engine receive all that is committed now, and nothing of what
// follows.
func (c *Cluster) Replicate() {
	c.place.mu.Lock()
	defer c.place.mu.Unlock()
	c.place.standby = c.place.clone()
	c.place.took(Call{Method: "Replicate"})
}

// LoseStandby is Replicate for an engine whose commits wait for the standby. Until CatchUp or
// Promote a write takes effect, and its caller gets [store.ErrUnavailable] nevertheless. No lease
// is renewed for its owner.
func (c *Cluster) LoseStandby() {
	c.place.mu.Lock()
	defer c.place.mu.Unlock()
	c.place.standby, c.place.unconfirmed = c.place.clone(), true
	c.place.took(Call{Method: "LoseStandby"})
}

// CatchUp has the standby receive all that it lacks.
func (c *Cluster) CatchUp() {
	c.place.mu.Lock()
	defer c.place.mu.Unlock()
	c.place.standby, c.place.unconfirmed = nil, false
	c.place.took(Call{Method: "CatchUp"})
	c.place.tell()
}

// Promote puts the standby in the place of the engine. Whatever was committed after the last
// Replicate or LoseStandby is lost, without one nothing: the standby lacks nothing until the next
// of them. All leases end. A handle that is paused or cut off notices it afterwards, and until
// then, or until its lease expires, nobody else acquires its lanes. Requests that have no answer
// are lost.
func (c *Cluster) Promote() {
	p := c.place
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.sorted()
	if p.standby == nil {
		p.standby = p.clone()
	}
	p.state, p.standby, p.unconfirmed, p.requests = *p.standby, nil, false, nil
	p.took(Call{Method: "Promote"})
	for _, l := range old {
		if l.owner.revoke(); l.owner.live() {
			for name := range l.owner.lanes {
				p.lane(name).owner = l.owner
			}
		}
		l.wake()
	}
	p.wake()
}

// A Handle is what one node has open of a [Cluster]. It is safe for concurrent use.
type Handle struct {
	*Store
	cluster *Cluster
	node    string
}

var _ store.Cluster = (*Handle)(nil)

// Restart closes the handle and opens another one for its node.
func (h *Handle) Restart() *Handle {
	_ = h.Close() // never fails
	return h.cluster.Open(h.node)
}

// Acquire implements [store.Store]. The lease is a [store.ClusterLease]. It is renewed after each
// third of its time, and ten times as often while that fails. Without Group.Node it has the node of
// the handle.
func (h *Handle) Acquire(ctx context.Context, g store.Group) (store.Lease, error) {
	g.Node = cmp.Or(g.Node, h.node)
	l, err := h.acquire(ctx, g)
	if err != nil {
		return nil, err
	}
	go l.renew()
	return &clusterLease{l}, nil
}

// renew renews the lease until it has ended.
func (l *lease) renew() {
	l.store.mu.Lock()
	pause := l.store.term / 3
	l.store.mu.Unlock()
	for {
		select {
		case <-l.lost:
			return
		case <-time.After(min(pause, time.Until(l.Until()))):
		}
		l.store.enter()
		pause = l.store.term / 3
		if !l.renewOnce() {
			pause /= 10
		}
		l.store.mu.Unlock()
	}
}

// renewOnce renews the lease or ends it. It reports false if the engine did not answer. mu is held.
func (l *lease) renewOnce() bool {
	s := l.store
	switch {
	case l.ended:
	case !time.Now().Before(l.until):
		l.end()
	case !s.reaches():
		return false
	case l.fenced || !l.live():
		if !s.hears() {
			return false
		}
		l.free()
	default:
		l.expires = time.Now().Add(s.term)
		for lane, figures := range l.published {
			l.figures[lane] = store.Owner{Figures: figures, At: time.Now()}
		}
		if !s.confirms() {
			return false
		}
		l.until = l.expires
		clear(l.published)
	}
	return true
}

// A clusterLease implements [store.ClusterLease].
type clusterLease struct{ *lease }

// Publish implements [store.ClusterLease].
func (l *clusterLease) Publish(lane string, figures []byte) {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	l.published[l.lane(lane).name] = slices.Clone(figures)
}

// Owners implements [store.Cluster].
func (h *Handle) Owners(ctx context.Context) (owners map[string]store.Owner, err error) {
	err = h.do(ctx, Call{Method: "Owners"}, func() error {
		owners = make(map[string]store.Owner)
		for _, l := range h.sorted() {
			if l.owner.live() {
				o := l.owner.figures[l.name]
				o.Node = l.owner.node
				owners[l.name] = o
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return owners, nil
}

// Pending implements [store.Cluster].
func (h *Handle) Pending(
	ctx context.Context, lane, problem string,
) (found []*store.Entry, err error) {
	c := Call{Method: "Pending", Lane: lane, Problems: []string{problem}}
	err = h.do(ctx, c, func() error {
		l := h.lane(lane)
		for _, e := range l.headers(0, len(l.order)) {
			if e.Problem == problem {
				found = append(found, e)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}
