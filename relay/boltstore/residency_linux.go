package boltstore

import (
	"sync/atomic"
	"syscall"

	bolt "go.etcd.io/bbolt"
)

// residency limits how much of the file counts as resident memory of the process. bbolt maps the
// file, and pages that were read stay resident until the kernel needs memory: a backlog of two
// gigabytes that was listed once looks like a leak of two gigabytes. A page that is released is not
// lost: the next read finds it in the kernel's cache.
type residency struct{ segments atomic.Int64 }

// maxTouched is how many segments may be resident: 8 MiB, because the kernel maps 64 KiB around
// each fault. To list a backlog releases pages once for every ten thousand events, which has no
// cost that can be measured.
const maxTouched = 128

// touched counts segments that were read.
func (r *residency) touched(segments int64) { r.segments.Add(segments) }

// trim releases the pages if more than maxTouched segments were read since the last release.
func (r *residency) trim(db *bolt.DB) {
	if r.segments.Load() > maxTouched {
		r.release(db)
	}
}

// release releases all pages of the map. MADV_DONTNEED on a shared map of a file discards no data.
func (r *residency) release(db *bolt.DB) {
	r.segments.Store(0)
	// The read transaction keeps the map in its place. After an error the pages stay resident.
	_ = db.View(func(tx *bolt.Tx) error {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE,
			db.Info().Data, uintptr(tx.Size()), syscall.MADV_DONTNEED)
		return nil
	})
}
