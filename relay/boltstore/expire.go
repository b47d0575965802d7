package boltstore

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A commit looks at more records and dead letters of a lane than it can have added. So everything
// that is too old is found while half as many are added.
const (
	expireLook       = 16
	expireLookAtOpen = 20_000
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

// expire deletes what is too old in the lanes of the commit and in one lane more. So a lane without
// events is expired too.
func (c *commit) expire() error {
	for _, l := range c.lanes {
		if err := l.expire(expireLook + 2*l.written); err != nil {
			return err
		}
	}
	next := c.nextLane()
	if next == nil || c.lanes[next] != nil {
		return nil
	}
	l, err := c.laneTx(next)
	if err != nil {
		return err
	}
	return l.expire(expireLook)
}

// nextLane returns the lane whose turn it is; nil if there is none. After the last comes the first.
func (c *commit) nextLane() *laneIndex {
	s := c.store
	for range s.index.all {
		s.expired = (s.expired + 1) % len(s.index.all)
		if l := s.index.all[s.expired]; l != nil && l.id != 0 {
			return l
		}
	}
	return nil
}

// expireAtOpen looks at a large part of each lane, before the committer runs. Its commit has all
// lanes, and so publish shows what each of them holds.
func (s *Store) expireAtOpen() error {
	r := newRequest(expireOp{})
	s.commitBatch([]*request{r})
	return <-r.result
}

// An expireOp deletes what is too old in all lanes.
type expireOp struct{ noOperation }

func (expireOp) write(c *commit) error {
	for _, lane := range c.store.index.all {
		l, err := c.laneTx(lane)
		if err != nil {
			return err
		}
		if err := l.expire(expireLookAtOpen); err != nil {
			return err
		}
	}
	return nil
}

// expire deletes old records and dead letters. It looks at no more than look of each.
func (l *laneTx) expire(look int) error {
	if err := l.expireRecords(look); err != nil {
		return err
	}
	return l.expireDeadLetters(look)
}

// lostRecords counts the records of open problems that a commit deleted. Their recoveries will not
// be sent, and somebody has to resolve the incidents by hand.
type lostRecords struct {
	tooMany, tooOld int
	problem         string // one of them
}

func (o *lostRecords) add(problem string, tooOld bool) {
	o.problem = problem
	if tooOld {
		o.tooOld++
	} else {
		o.tooMany++
	}
}

func (o *lostRecords) report(log *slog.Logger, lane string) {
	if o.tooMany > 0 {
		log.Error("boltstore: there are more records than MaxRecords: records of open problems "+
			"were deleted, and their recoveries will not be sent; resolve them at the target, or "+
			"raise MaxRecords", "lane", lane, "forgotten", o.tooMany, "problem", o.problem)
	}
	if o.tooOld > 0 {
		log.Warn("boltstore: problems were open for 30 days without a change: their records were "+
			"deleted, and their recoveries will not be sent; resolve them at the target",
			"lane", lane, "forgotten", o.tooOld, "problem", o.problem)
	}
}

// expireRecords deletes records that are too old and those above MaxRecords. Closed ones go first,
// and of each kind those that have not changed for the longest time.
func (l *laneTx) expireRecords(look int) error {
	more, err := l.expireOldest(l.part(closedPart), closedRecordAge, l.excess(), look)
	if err != nil {
		return err
	}
	excess := l.excess()
	if more {
		excess = 0 // the next commit deletes closed ones
	}
	_, err = l.expireOldest(l.part(openPart), openRecordAge, excess, look)
	return err
}

// excess is the number of records above the bound.
func (l *laneTx) excess() int { return l.records - l.opts().MaxRecords }

// expireOldest deletes the records that are older than age, and more of the oldest until it has
// deleted excess. It looks at no more than look records; more reports whether there are others. The
// record of a problem with something pending or dead is not deleted: it counts as changed now.
func (l *laneTx) expireOldest(byAge *bolt.Bucket, age time.Duration, excess, look int) (
	more bool, err error,
) {
	var oldest [][]byte
	tooOld := 0
	c := byAge.Cursor()
	k, _ := c.First()
	for ; k != nil && len(oldest) < look; k, _ = c.Next() {
		if l.commit.now-ageKeyTime(k) > age+time.Second { // the key has whole seconds
			tooOld++
		} else if len(oldest) >= excess {
			break
		}
		oldest = append(oldest, slices.Clone(k))
	}
	more = k != nil
	for i, ageKey := range oldest {
		l.commit.changed = true
		key := ageRecord(ageKey)
		r, err := readRecord(l.part(recordsPart), key)
		switch {
		case err != nil, r.changed == 0, l.byAge(&r) != byAge,
			!slices.Equal(r.ageKey(key), ageKey):
			// The record is damaged, and stays, so that a reader gets the error. Or the key is
			// not of this record: damage has left it over.
			err = l.deleteAge(byAge, ageKey)
		case l.holds(key):
			err = l.putRecord(key, r, record{r.Record, l.commit.now})
		default:
			err = errors.Join(l.deleteAge(byAge, ageKey), l.part(recordsPart).Delete(key))
			if r.Open {
				l.lost.add(string(key[len("p"):]), i < tooOld)
			}
		}
		if err != nil {
			return more, err
		}
	}
	return more, nil
}
