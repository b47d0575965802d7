package boltstore

import (
	"fmt"
	"os"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A full disk must not keep lanes from settling entries, which is what makes room. Before it commits events, the committer makes sure that
// the file has blocks for them and for spare more; marks need no more than what is left then, as each commit frees about as many pages as it
// writes. So it is here, before anything is written, that a full disk shows.
const (
	spareRoom = 1 << 20
	minGrowth = 1 << 20
	maxGrowth = 16 << 20
	// usualEvent is what Check asks room for: more than events have that are not outliers.
	usualEvent = 64 << 10
)

// reserve makes room for events of so many bytes, or answers relay.ErrFull. The committer calls it between transactions, or in one that
// has written nothing.
func (s *Store) reserve(bytes int64) error {
	need := 2*bytes + spareRoom // pages are not full, and some are written besides the events
	var used int64
	if err := s.view(func(tx *bolt.Tx) error { used = tx.Size(); return nil }); err != nil {
		return err
	}
	s.allocated = max(s.allocated, used)
	free := int64(s.db.Stats().FreePageN) * int64(os.Getpagesize())
	if s.allocated-used >= need || free >= 2*need {
		return nil
	}
	to := used + need + min(max(used/8, minGrowth), maxGrowth)
	err := allocate(s.file, s.allocated, to-s.allocated)
	if outOfRoom(err) { // perhaps there is room for what is needed now
		to = used + need
		err = allocate(s.file, s.allocated, to-s.allocated)
	}
	if outOfRoom(err) {
		return fmt.Errorf("boltstore: %s: %w: the disk has no room for %d bytes: %w", s.path, store.ErrFull, need, err)
	}
	if err != nil {
		return nil // not every file system can; the commit will find out
	}
	if err := s.file.Sync(); err != nil { // the file's size: a page beyond it would be lost
		return fmt.Errorf("syncing the file after it grew: %w", err)
	}
	s.allocated = to
	return nil
}

// zeros makes room on any file system, by writing it.
func zeros(f *os.File, off, n int64) error {
	buf := make([]byte, min(n, 1<<20))
	for n > 0 {
		m, err := f.WriteAt(buf[:min(n, int64(len(buf)))], off)
		if err != nil {
			return err
		}
		off, n = off+int64(m), n-int64(m)
	}
	return nil
}
