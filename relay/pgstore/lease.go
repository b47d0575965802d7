package pgstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A lease is the ownership of a group of lanes. The row in the table leases says when it ends by
// the store's time, and lanes.token says which lease owns a lane. Every write of an owner checks
// the token. Renewals are the beat's.
type lease struct {
	store *Store
	token int64 // a random number: what a roll-back of the engine has lost is never given out again
	lanes map[string]int32
	lost  chan struct{} // closed when the lease has ended

	// Guarded by store.mu:
	ended   bool
	until   time.Time // with the monotonic clock
	timer   *time.Timer
	figures map[int32][]byte // that Publish got since the last renewal
}

// Acquire implements [store.Store].
func (s *Store) Acquire(ctx context.Context, g store.Group) (store.Lease, error) {
	if len(g.Lanes) == 0 {
		return nil, errors.New("pgstore: the group has no lane; nothing was changed")
	}
	for _, name := range g.Lanes {
		if err := checkLane(name); err != nil {
			return nil, fmt.Errorf("pgstore: %w; nothing was changed", err)
		}
	}
	if !isText(g.Node) || !isText(g.Name) {
		return nil, errors.New("pgstore: the name of a group or node is not valid UTF-8; nothing was " +
			"changed")
	}
	token := rand.Int64()
	for {
		freed := s.freed.wait()
		l, wait, err := s.tryAcquire(ctx, g, token)
		switch {
		case ctx.Err() != nil && l == nil && !errors.Is(err, store.ErrClosed):
			return nil, ctx.Err() // what was acquired is released
		case err != nil:
			return nil, err
		case l != nil:
			return l, nil
		}
		select {
		case <-time.After(min(wait, poll)):
		case <-freed:
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
	}
}

// poll is how often a call looks that waits for what another node does.
const poll = time.Second

// tryAcquire returns a lease, or how long the lease of another node lasts.
func (s *Store) tryAcquire(ctx context.Context, g store.Group, token int64) (
	acquired *lease, wait time.Duration, err error,
) {
	var now int64
	var left *int64
	var busy *string
	var ids []int32
	var ended []int64
	s.mu.Lock()
	s.mine[token] = time.Now()
	mine := make([]int64, 0, len(s.mine))
	for t, used := range s.mine {
		if s.leases[t] == nil && time.Since(used) > s.opts.Timeout+10*s.opts.Lease {
			delete(s.mine, t) // it was not renewed since
			continue
		}
		mine = append(mine, t)
	}
	s.mu.Unlock()
	var sent time.Time
	err = s.change(ctx, func(ctx context.Context, c *pgx.Conn) error {
		if err := s.makeNames(ctx, c, g.Lanes); err != nil {
			return err
		}
		sent = time.Now()
		return c.QueryRow(ctx, `select clock, busy, wait, ids, ended
			from acquire($1, $2, $3, $4, $5, $6, $7, $8)`, g.Node, g.Name, g.Lanes, token,
			int64(s.opts.Lease), int64(s.clock.now()), mine, engineOf(c)).Scan(&now,
			&busy, &left, &ids, &ended)
	}, func() { _ = s.release(token) })
	if err != nil {
		return nil, 0, err
	}
	s.clock.observe(time.Duration(now), sent)
	if busy != nil {
		return nil, max(time.Duration(*left), 0) + 5*time.Millisecond, nil
	}
	l := &lease{store: s, token: token, lanes: make(map[string]int32), lost: make(chan struct{})}
	for i, name := range g.Lanes {
		l.lanes[name] = ids[i]
	}
	until := sent.Add(s.opts.Lease)
	s.mu.Lock()
	for _, t := range ended {
		if old := s.leases[t]; old != nil {
			old.end()
		}
		delete(s.mine, t)
	}
	s.mine[token] = time.Now()
	closed := s.closed
	if !closed {
		s.leases[token] = l
		l.renew(until)
	}
	s.mu.Unlock()
	if closed {
		_ = s.release(token)
		return nil, 0, fmt.Errorf("pgstore: %w", store.ErrClosed)
	}
	return l, 0, nil
}

// renew sets when the lease ends. The store's mu is held.
func (l *lease) renew(until time.Time) {
	if l.ended {
		return
	}
	l.until = until
	if l.timer == nil {
		l.timer = time.AfterFunc(time.Until(until), l.expired)
	} else {
		l.timer.Reset(time.Until(until))
	}
}

// expired ends the lease if it was not renewed in time.
func (l *lease) expired() {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.ended || time.Until(l.until) > 0 {
		return
	}
	s.log.Warn("pgstore: a lease has ended, as it could not be renewed in time",
		"lanes", l.names())
	l.end()
}

func (l *lease) names() []string {
	var names []string
	for name := range l.lanes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// end ends the lease in this process. The store's mu is held.
func (l *lease) end() {
	if l.ended {
		return
	}
	l.ended = true
	if l.timer != nil {
		l.timer.Stop()
	}
	close(l.lost)
	delete(l.store.leases, l.token)
}

// endLeases ends all leases in this process. mu is held.
func (s *Store) endLeases() {
	for _, l := range s.leases {
		l.end()
	}
}

// Lane implements [store.Lease].
func (l *lease) Lane(name string) store.Lane {
	id, ok := l.lanes[name]
	if !ok {
		panic(fmt.Sprintf("pgstore: the group of the lease does not name lane %q", name))
	}
	return &ownedLane{l, name, id}
}

// Lost implements [store.Lease].
func (l *lease) Lost() <-chan struct{} { return l.lost }

// Until implements [store.Lease].
func (l *lease) Until() time.Time {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	return l.until
}

// Publish implements [store.ClusterLease].
func (l *lease) Publish(lane string, figures []byte) {
	id, ok := l.lanes[lane]
	if !ok {
		panic(fmt.Sprintf("pgstore: the group of the lease does not name lane %q", lane))
	}
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if l.figures == nil {
		l.figures = make(map[int32][]byte)
	}
	l.figures[id] = append([]byte{}, figures...)
}

// Release implements [store.Lease]. If the engine cannot be reached, it returns
// [store.ErrUnavailable], and the lease ends by time.
func (l *lease) Release() error {
	s := l.store
	s.mu.Lock()
	over := l.ended
	l.end()
	closed := s.closed
	s.mu.Unlock()
	if over || closed {
		return nil
	}
	return s.release(l.token)
}

// release gives lanes free for other nodes.
func (s *Store) release(token int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Timeout)
	defer cancel()
	err := s.use(ctx, s.calls, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "select release($1)", token)
		return err
	})
	if err != nil {
		return s.failure(err)
	}
	s.mu.Lock()
	delete(s.mine, token)
	s.mu.Unlock()
	s.freed.send()
	s.notices.add(noticeFreed, 0)
	return nil
}

// uncertain ends the lease if it is not known whether a call took effect that cannot be repeated.
func (l *lease) uncertain(err error) {
	if !errors.Is(err, store.ErrUnavailable) {
		return
	}
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if !l.ended {
		l.store.log.Warn("pgstore: it is not known whether a call of the owner took effect: the "+
			"lease has ended", "lanes", l.names())
	}
	l.end()
}

// fenced returns the error for a lease that has ended, and ends it in this process.
func (l *ownedLane) fenced() error {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	l.end()
	return fmt.Errorf("pgstore: lane %q: %w", l.name, store.ErrFenced)
}
