package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// How long the record of a problem is kept after its last change, by the store's time, once
// nothing of the problem is pending or dead. Options.MaxRecords bounds the number besides.
const (
	// closedRecordAge: the record tells a late event from a new one. Senders that repeat a
	// webhook, or have a queue of their own, are minutes late.
	closedRecordAge = 24 * time.Hour
	// openRecordAge: a problem may be open at the target for weeks. Without the record, its
	// recovery is not sent. But a problem whose recovery never comes must not stay for ever.
	openRecordAge = 30 * 24 * time.Hour
)

const (
	// nonceAge: a caller repeats an Append for some seconds.
	nonceAge = 10 * time.Minute
	// expireLook is how much one step deletes of each kind, and how many records it looks at.
	expireLook = 1000
	// expireEvery is the time between two steps while there is nothing more to delete. Each is of
	// one lane.
	expireEvery = time.Second
	// deadShare: dead letters may take MaxBytes divided by it, in addition to pending entries.
	deadShare = 4
	// countEvery: one of so many looks at a lane counts its records and the bytes of dead letters.
	countEvery = 30
)

// expireLoop deletes what is too old or too many, in small steps. One node at a time does so.
func (s *Store) expireLoop() {
	e := expiry{looks: make(map[int32]int)}
	for wait := expireEvery; ; {
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
			return
		}
		wait = expireEvery
		if more, err := s.expire(&e, false); err == nil && more {
			wait = expireEvery / 20
		}
	}
}

// An expiry is where the deletion has got to.
type expiry struct {
	lane    int32  // the last one
	problem []byte // the last record that was looked at
	looks   map[int32]int
}

// expire makes one step: it looks at the next lane, or at what belongs to no lane. count counts
// records and bytes, which takes time.
func (s *Store) expire(e *expiry, count bool) (more bool, err error) {
	var lane int32
	var name *string
	var lost, stale int64
	var example, problem []byte
	o := &s.opts
	e.looks[e.lane]++
	count = count || e.looks[e.lane]%countEvery == 1
	if e.problem == nil {
		e.problem = []byte{}
	}
	err = s.change(s.ctx, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, `select lane, more, name, lost, coalesce(stale, 0), example, next_problem
			from expire($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
			e.lane, int64(s.clock.now()), expireLook, int64(o.History), int64(o.MaxDead),
			int64(o.DeadAge), o.MaxBytes/deadShare, int64(o.MaxRecords), int64(closedRecordAge),
			int64(openRecordAge), int64(o.Remembered), int64(nonceAge), int64(requestAge), count,
			e.problem).Scan(&lane, &more, &name, &lost, &stale, &example, &problem)
	}, nil)
	if err != nil {
		return false, err
	}
	e.problem, e.lane = problem, lane
	s.reportLost(name, lost, stale, string(example))
	return more, nil
}

// reportLost logs the records of open problems that were deleted. Their recoveries will not be
// sent, and somebody has to resolve the incidents by hand.
func (s *Store) reportLost(lane *string, tooMany, tooOld int64, problem string) {
	if tooMany > 0 && lane != nil {
		s.log.Error("pgstore: there are more records than MaxRecords: records of open problems "+
			"were deleted, and their recoveries will not be sent; resolve them at the target, or "+
			"raise MaxRecords", "lane", *lane, "forgotten", tooMany, "problem", problem)
	}
	if tooOld > 0 {
		s.log.Warn("pgstore: problems were open for 30 days without a change: their records were "+
			"deleted, and their recoveries will not be sent; resolve them at the target",
			"forgotten", tooOld, "problem", problem)
	}
}
