package boltstore

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A commit is one write transaction of the file, with what it changes.
type commit struct {
	tx      *bolt.Tx
	id      int
	store   *Store
	now     time.Duration // by the store's clock
	changed bool          // there is something to commit
	lanes   map[*laneIndex]*laneTx
	ids     map[string][]hash // that the commit accepted, by source
	renamed []string          // lanes, by the names that they had
}

func newCommit(s *Store, tx *bolt.Tx) *commit {
	s.encoded = s.encoded[:0]
	return &commit{
		tx: tx, id: tx.ID(), store: s, now: s.Clock(), lanes: make(map[*laneIndex]*laneTx),
	}
}

// lane returns a lane of the transaction, by any of its names; nil if the file does not have it.
func (c *commit) lane(name string) (*laneTx, error) {
	l := c.store.index.lanes[name]
	if l == nil || l.id == 0 {
		return nil, nil
	}
	return c.laneTx(l)
}

// laneTx returns a lane of the transaction. It creates the lane if the file does not have it.
func (c *commit) laneTx(l *laneIndex) (*laneTx, error) {
	if tx := c.lanes[l]; tx != nil {
		return tx, nil
	}
	if l.id == 0 {
		if err := c.createLane(l); err != nil {
			return nil, err
		}
	}
	tx := newLaneTx(c, l)
	c.lanes[l] = tx
	return tx, nil
}

// finish writes what the operations have left to be written once, and expires a little.
func (c *commit) finish() error {
	for _, l := range c.lanes {
		if err := l.flush(); err != nil {
			return err
		}
	}
	if err := c.saveWindows(); err != nil {
		return err
	}
	// The clock is in the page of the root bucket, which every commit writes: it costs nothing.
	if err := c.tx.Bucket(metaBucket).Put(clockKey, encodeClock(c.now)); err != nil {
		return err
	}
	return c.expire()
}

// toDisk writes the transaction to the disk. bbolt writes the changed pages and syncs, then writes
// the page that points to them, in place, and syncs again. A crash in between leaves the file as
// it was before.
func (c *commit) toDisk() error {
	if hook := c.store.commitHook.Load(); hook != nil {
		return (*hook)(c.tx.Commit)
	}
	return c.tx.Commit()
}

// rollback ends a transaction in any state, so that the file can be closed.
func rollback(tx *bolt.Tx) {
	if tx != nil {
		defer func() { _ = recover() }() // after a panic of bbolt, which has failed the store
		_ = tx.Rollback()                // the only error is that the transaction has ended
	}
}

// diskFull reports whether a write of the commit found no space. Then the file has nothing of the
// commit. It is false after a sync that found no space: then what the file has is not known.
func diskFull(err error) bool {
	if _, write := errors.AsType[*fs.PathError](err); write {
		return noSpace(err)
	}
	// bbolt grows the file before the first write. Of that error it keeps the text alone.
	text, grow := strings.CutPrefix(err.Error(), "file resize error: ")
	return grow && slices.ContainsFunc(noSpaceErrors, func(errno syscall.Errno) bool {
		return strings.HasSuffix(text, errno.Error())
	})
}

// noSpaceErrors are those of a full disk, a full quota and a limit on the size of files.
var noSpaceErrors = []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}

func noSpace(err error) bool {
	errno, ok := errors.AsType[syscall.Errno](err)
	return ok && slices.Contains(noSpaceErrors, errno)
}
