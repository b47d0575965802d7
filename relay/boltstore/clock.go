package boltstore

import (
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// Clock implements [store.Store]. It is the time in the file, and the time since the file was
// opened by the monotonic clock.
func (s *Store) Clock() time.Duration { return s.clockAtOpen + time.Since(s.openedAt) }

// loadClock reads the time in the file.
func (s *Store) loadClock() error {
	return s.view(func(tx *bolt.Tx) (err error) {
		s.clockAtOpen, err = decodeClock(tx.Bucket(metaBucket).Get(clockKey))
		s.openedAt, s.savedClock = time.Now(), s.clockAtOpen
		return err
	})
}

// saveClock saves the time since the last commit when the store closes. On a full disk it is not
// counted, which makes everything a little younger.
func (s *Store) saveClock() {
	s.mu.Lock()
	failed := s.failed
	s.mu.Unlock()
	if failed != nil || s.Clock() == s.savedClock {
		return
	}
	_, err := s.tryCommit([]*request{newRequest(saveClockOp{})})
	if err != nil && !errors.Is(err, store.ErrFull) {
		s.closing = err
	}
}

// A saveClockOp makes a commit, which saves the clock.
type saveClockOp struct{ noOperation }

func (saveClockOp) write(c *commit) error { c.changed = true; return nil }

// encodeClock encodes the value of clockKey: a clock.
func encodeClock(now time.Duration) []byte {
	return seal(clockKey, appendClock(make([]byte, 4, 16), now))
}

func decodeClock(value []byte) (time.Duration, error) {
	b, err := unseal("clock", clockKey, value)
	if err != nil {
		return 0, err
	}
	d := decoder{b: b}
	now := d.clock()
	if d.bad || now == 0 {
		return 0, damaged("clock", clockKey)
	}
	return now, nil
}
