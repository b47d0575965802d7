package boltstore

import (
	"fmt"
	"os"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// On a full disk, lanes must still settle entries, because that frees space. So before the
// committer writes events, it makes sure that the file has blocks on the disk for them and for
// spareSpace more. Marks use what is left then: each commit frees about as many pages as it writes.
// So a full disk shows in reserve, before anything is written.
const (
	spareSpace = 1 << 20
	minGrowth  = 1 << 20
	maxGrowth  = 16 << 20
)

// reserve makes sure that the file has space for so many bytes of events. It returns
// [store.ErrFull] if the disk is full. The committer calls it while it has written nothing.
func (s *Store) reserve(bytes int64) error {
	need := 2*bytes + spareSpace // pages are not full, and other pages are written too
	var used int64
	if err := s.view(func(tx *bolt.Tx) error { used = tx.Size(); return nil }); err != nil {
		return err
	}
	s.reserved = max(s.reserved, used)
	free := int64(s.db.Stats().FreePageN) * int64(os.Getpagesize())
	if s.reserved-used >= need || free >= 2*need {
		return nil
	}
	to := used + need + min(max(used/8, minGrowth), maxGrowth)
	err := allocate(s.file, s.reserved, to-s.reserved)
	if noSpace(err) { // try without the growth
		to = used + need
		err = allocate(s.file, s.reserved, to-s.reserved)
	}
	if noSpace(err) {
		return fmt.Errorf("boltstore: %s: %w: the disk has no space for %d bytes: %w",
			s.path, store.ErrFull, need, err)
	}
	if err != nil {
		return nil // not every file system can allocate; the commit shows whether there is space
	}
	if err := s.file.Sync(); err != nil { // the size of the file: without it, pages are lost
		return fmt.Errorf("syncing the file after it grew: %w", err)
	}
	s.reserved = to
	return nil
}

// writeZeros allocates on any file system.
func writeZeros(f *os.File, off, n int64) error {
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
