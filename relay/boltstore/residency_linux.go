package boltstore

import (
	"sync/atomic"
	"syscall"

	bolt "go.etcd.io/bbolt"
)

// residency keeps the part of the file's map that counts as the process's memory small. bbolt maps the file, and whatever was read stays
// resident until the kernel wants the memory: a backlog of two gigabytes that was listed once looks like a leak of two gigabytes, to a
// person and to whatever limits resident memory. The pages are let go of, not lost: the next read finds them in the kernel's cache.
type residency struct{ segments atomic.Int64 }

// maxTouched segments may be resident. The kernel maps 64 KiB around each fault: 8 MiB, and a listing of a backlog lets go of them for every ten
// thousand events, which costs it nothing that can be measured.
const maxTouched = 128

// touched counts what was read.
func (r *residency) touched(segments int64) { r.segments.Add(segments) }

// trim lets go of the map's pages if much was read since the last time.
func (r *residency) trim(db *bolt.DB) {
	if r.segments.Load() > maxTouched {
		r.forget(db)
	}
}

// forget lets go of all pages of the map. MADV_DONTNEED on a shared file map discards nothing.
func (r *residency) forget(db *bolt.DB) {
	r.segments.Store(0)
	// The read transaction keeps the map where it is. An error leaves the pages resident, which harms nobody.
	_ = db.View(func(tx *bolt.Tx) error {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, db.Info().Data, uintptr(tx.Size()), syscall.MADV_DONTNEED)
		return nil
	})
}
