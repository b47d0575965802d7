package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A request that was not answered is forgotten after requestAge, if its caller could not delete it.
const requestAge = time.Minute

// Ask implements [store.Cluster]. If the owner loses its lease before it has answered, Ask returns
// [store.ErrUnavailable].
func (s *Store) Ask(ctx context.Context, lane string, request []byte) (answer []byte, err error) {
	var id int64
	forget := func() { s.forget(id) }
	err = s.change(ctx, func(ctx context.Context, c *pgx.Conn) error {
		err := c.QueryRow(ctx, `insert into requests (lane, token, kept, body)
			select l.id, l.token, x.now, $2 from names n join lanes l on l.id = n.lane
			join leases o on o.token = l.token
			cross join (select greatest(store_clock(), $3) as now) x
			where n.name = $1 and o.until > x.now returning id`, text(lane),
			append([]byte{}, request...), int64(s.clock.now())).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	}, forget)
	switch {
	case err != nil && ctx.Err() != nil && !errors.Is(err, store.ErrClosed):
		return nil, ctx.Err() // the request is forgotten
	case err != nil:
		return nil, err
	case id == 0:
		return nil, fmt.Errorf("pgstore: lane %q has no owner: %w", lane, store.ErrNotFound)
	}
	defer forget()
	s.asked.send() // the owner may be in this process
	s.notices.add(noticeAsked, 0)
	for {
		answered := s.answers.wait()
		var owned bool
		err := s.read(ctx, func(ctx context.Context, c *pgx.Conn) error {
			return c.QueryRow(ctx, `select answer,
				exists (select from leases o where o.token = r.token and o.until > store_clock())
				from requests r where id = $1`, id).Scan(&answer, &owned)
		})
		switch {
		case err != nil:
			return nil, err
		case answer != nil:
			return answer, nil
		case !owned:
			return nil, fmt.Errorf("pgstore: lane %q: its owner is gone and has not answered: %w", lane,
				store.ErrUnavailable)
		}
		select {
		case <-answered:
		case <-time.After(poll):
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
	}
}

// forget deletes a request.
func (s *Store) forget(id int64) {
	if id == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Timeout)
	defer cancel()
	_ = s.use(ctx, s.calls, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "delete from requests where id = $1", id)
		return err
	}) // otherwise it is deleted after requestAge
}

// Next implements [store.ClusterLease].
func (l *lease) Next(ctx context.Context) (*store.Request, error) {
	s := l.store
	names := make(map[int32]string)
	for name, id := range l.lanes {
		names[id] = name
	}
	first := &ownedLane{lease: l, name: l.names()[0]}
	for {
		asked := s.asked.wait()
		if err := first.owned(ctx); err != nil {
			return nil, err
		}
		var id int64
		var lane int32
		var body []byte
		err := s.change(ctx, func(ctx context.Context, c *pgx.Conn) error {
			err := c.QueryRow(ctx, `update requests set taken = true where id = (
				select id from requests where token = $1 and not taken order by id limit 1
				for update skip locked
			) returning id, lane, body`, l.token).Scan(&id, &lane, &body)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			return err
		}, func() { s.giveBack(id) })
		if err != nil && ctx.Err() != nil && !errors.Is(err, store.ErrClosed) {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		if id != 0 {
			return &store.Request{
				Lane: names[lane], Body: body,
				Answer: func(ctx context.Context, answer []byte) error { return s.answer(ctx, id, answer) },
			}, nil
		}
		select {
		case <-asked:
		case <-time.After(poll):
		case <-ctx.Done():
		case <-l.lost:
		}
	}
}

// giveBack has another Next return a request.
func (s *Store) giveBack(id int64) {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Timeout)
	defer cancel()
	_ = s.use(ctx, s.calls, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "update requests set taken = false where id = $1", id)
		return err
	}) // otherwise the caller of Ask waits in vain, as if the node had ended
	s.asked.send()
}

func (s *Store) answer(ctx context.Context, id int64, answer []byte) error {
	err := s.change(ctx, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "update requests set answer = $2 where id = $1", id,
			append([]byte{}, answer...))
		return err
	}, nil)
	if err == nil {
		s.answers.send()
		s.notices.add(noticeAnswered, 0)
	}
	return err
}
