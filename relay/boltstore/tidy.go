package boltstore

import (
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay"
)

// How long records of problems are kept after they last changed, if nothing of the problem is pending or dead: those decide what may be
// sent, and so does the record then.
const (
	// closedRecord: nothing is open at the target. The record still tells a late event from a new one, and senders that repeat a
	// webhook or deliver a queue of their own are minutes late.
	closedRecord = 24 * time.Hour
	// openRecord: the target shows a problem that may last weeks, and only the record makes its recovery go out when the trigger
	// is long forgotten. A problem whose recovery never comes must not stay for ever.
	openRecord = 30 * 24 * time.Hour

	// deadShare is the part of MaxBytes that dead letters may take besides.
	deadShare = 4

	// A commit looks at some records and dead letters, more than it can have added, so that whatever is too old is found while half as
	// much as there is comes in.
	tidyLook   = 16
	tidyAtOpen = 20_000
)

func readRecord(records *bolt.Bucket, key []byte) (relay.Record, error) {
	v := records.Get(key)
	if v == nil {
		return relay.Record{}, nil
	}
	return decodeRecord(key, v)
}

// tidy forgets what is too old in the lanes of the commit and in one more, so that lanes which stand still have their turn.
func (c *commit) tidy() error {
	for _, l := range c.lanes {
		if err := l.tidy(tidyLook + 2*l.marked); err != nil {
			return err
		}
	}
	name := c.next(c.store.turn)
	if c.store.turn = name; name == "" || c.lanes[name] != nil {
		return nil
	}
	l, err := c.lane(name, false)
	if err != nil || l == nil {
		return err
	}
	return l.tidy(tidyLook)
}

// next returns the name of the lane after the given one, going round.
func (c *commit) next(name string) string {
	cur := c.tx.Bucket(lanesBucket).Cursor()
	k, _ := cur.Seek([]byte(name + "\x00"))
	if k == nil {
		k, _ = cur.First()
	}
	return string(k)
}

// tidyAtOpen looks at a large part of each lane, before the committer runs.
func (s *Store) tidyAtOpen() error {
	j := &job{write: func(c *commit) error {
		for name := range s.books.lanes {
			l, err := c.lane(name, false)
			if err != nil {
				return err
			}
			if err := l.tidy(tidyAtOpen); err != nil {
				return err
			}
		}
		return nil
	}, done: make(chan error, 1)}
	s.commitBatch([]*job{j})
	return <-j.done
}

// tidy looks at so many records and dead letters from where it stopped the last time, and deletes those that are too old.
func (l *lane) tidy(look int) error {
	now := l.commit.now
	var old [][]byte
	c := l.records.Cursor()
	k, v := c.Seek(l.nextRecord)
	for n := 0; n < look && k != nil; n++ {
		r, err := decodeRecord(k, v)
		age := closedRecord
		if r.Open {
			age = openRecord
		}
		// A damaged record stays: whoever asks for it must learn of the damage.
		if err == nil && !r.At.IsZero() && now.Sub(r.At) > age && l.problems[hashProblem(string(k[1:]))] == 0 {
			old = append(old, slices.Clone(k))
		}
		k, v = c.Next()
	}
	l.nextRecord = slices.Clone(k) // nil begins anew
	for _, k := range old {
		l.commit.changed = true
		if err := l.records.Delete(k); err != nil {
			return err
		}
	}

	type letter struct {
		key []byte
		h   header
	}
	var letters []letter
	c = l.deadOnes.Cursor()
	k, v = c.Seek(seqKey(l.nextDead))
	for n := 0; n < look && k != nil; n++ {
		st, h, err := decodeSettlement(k, v)
		if err == nil && !st.at.IsZero() && now.Sub(st.at) > l.commit.store.opts.DeadAge {
			letters = append(letters, letter{slices.Clone(k), h})
		}
		k, v = c.Next()
	}
	l.nextDead = keySeq(k)
	for i := range letters {
		if err := l.exhume(letters[i].key, &letters[i].h); err != nil {
			return err
		}
	}
	return nil
}
