package pgstore

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// beatEvery is a third of the shortest lease.
const beatEvery = time.Second

// beatLoop renews the leases of this node and goes on with the store's clock.
func (s *Store) beatLoop() {
	failing := false
	for wait := beatEvery; ; {
		select {
		case <-time.After(wait):
		case <-s.beatNow:
		case <-s.ctx.Done():
			return
		}
		// A connection that does not answer must leave time for another one.
		ctx, cancel := context.WithTimeout(s.ctx, s.hostTimeout())
		begin := time.Now()
		err := s.beat(ctx)
		cancel()
		if err != nil && s.ctx.Err() == nil {
			if !failing {
				s.log.Error("pgstore: the engine cannot be reached; leases that cannot be renewed end",
					"error", s.secrets.hide(reason(err)))
			}
			failing = true
			wait = beatEvery / 8
			continue
		}
		if failing {
			s.log.Info("pgstore: the engine can be reached again")
			failing = false
		}
		wait = max(beatEvery-time.Since(begin), beatEvery/8)
	}
}

// beat is one round trip of beatLoop. A lease counts as renewed from when the request was sent.
func (s *Store) beat(ctx context.Context) error {
	var tokens, publishers []int64
	var lanes []int32
	var figures [][]byte
	s.mu.Lock()
	asked := make([]*lease, 0, len(s.leases))
	for token, l := range s.leases {
		asked = append(asked, l)
		tokens = append(tokens, token)
		for lane, f := range l.figures {
			publishers, lanes = append(publishers, token), append(lanes, lane)
			figures = append(figures, f)
		}
		l.figures = nil
	}
	s.mu.Unlock()
	var now int64
	var alive []int64
	var sent time.Time
	err := s.use(ctx, s.beats, func(ctx context.Context, c *pgx.Conn) error {
		sent = time.Now()
		return c.QueryRow(ctx, `select clock, alive from beat($1, $2, $3, $4, $5, $6, $7, $8)`, s.node,
			s.host, int64(s.clock.now()), tokens, int64(s.opts.Lease), publishers, lanes, figures).
			Scan(&now, &alive)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		for i, token := range publishers { // figures that were not written go with the next beat
			if l := s.leases[token]; l != nil {
				if l.figures == nil {
					l.figures = make(map[int32][]byte)
				}
				if _, newer := l.figures[lanes[i]]; !newer {
					l.figures[lanes[i]] = figures[i]
				}
			}
		}
		return err
	}
	s.answeredNow()
	s.clock.observe(time.Duration(now), sent)
	for _, l := range asked {
		switch {
		case slices.Contains(alive, l.token):
			l.renew(sent.Add(s.opts.Lease))
		case !l.ended:
			s.log.Warn("pgstore: a lease has ended: another node owns the lanes, or they were renamed",
				"lanes", l.names())
			l.end()
		}
	}
	return nil
}

// leave ends the leases of this process and says that it closes the store.
func (s *Store) leave(tokens []int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Timeout)
	defer cancel()
	err := s.use(ctx, s.beats, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "select leave($1, $2, $3)", s.node, int64(s.clock.now()), tokens)
		if err == nil {
			_, err = c.Exec(ctx, notifySQL, s.opts.Schema, noticeFreed.payload(nil))
		}
		return err
	})
	if err != nil {
		return s.unavailable(err)
	}
	return nil
}
