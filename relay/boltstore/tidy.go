package boltstore

import (
	"slices"
)

const (
	// deadShare is the part of MaxBytes that dead letters may take besides.
	deadShare = 4

	// A commit looks at some records and dead letters, more than it can have added, so that whatever is too old is found while half as
	// much as there is comes in.
	tidyLook   = 16
	tidyAtOpen = 20_000
)

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

// tidy looks at so many records, and at so many dead letters from where it stopped the last time, and deletes those that are too old.
func (l *lane) tidy(look int) error {
	if err := l.forgetRecords(look); err != nil {
		return err
	}
	type letter struct {
		key []byte
		h   header
	}
	var letters []letter
	c := l.deadOnes.Cursor()
	k, v := c.Seek(seqKey(l.nextDead))
	for n := 0; n < look && k != nil; n++ {
		st, h, err := decodeSettlement(k, v)
		if err == nil && l.commit.now-st.ended > l.commit.store.opts.DeadAge {
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
