package torn

import (
	"math/rand/v2"
	"slices"
)

// sector is the number of bytes that a disk writes completely or not at all.
const sector = 512

// A Disk is one file on a disk, with operations that are not synced.
type Disk struct {
	safe  []byte // synced
	later []Op   // since the last sync
}

// NewDisk returns a disk whose file has the given content, synced.
func NewDisk(content []byte) *Disk { return &Disk{safe: slices.Clone(content)} }

// Do applies an operation.
func (d *Disk) Do(op Op) {
	switch op.Kind {
	case Output:
	case Sync:
		for _, op := range d.later {
			d.safe = apply(d.safe, op, nil)
		}
		d.later = nil
	default:
		d.later = append(d.later, op)
	}
}

// Pending returns the number of operations that are not synced.
func (d *Disk) Pending() int { return len(d.later) }

// A Mode says what a crash does to operations that are not synced.
type Mode int

// The modes of a crash.
const (
	DropAll  Mode = iota // all are lost
	KeepAll              // none is lost
	TearLast             // only half of the last write is lost
	TearSome             // some are lost, and some sectors of others
)

// Crash returns a content that the file may have after a crash now. It does not change the disk.
func (d *Disk) Crash(m Mode, rng *rand.Rand) []byte {
	content := slices.Clone(d.safe)
	for i, op := range d.later {
		switch {
		case m == DropAll:
		case m == TearLast && i == len(d.later)-1:
			content = apply(content, op, func(s int) bool { return s%2 == 0 })
		case m == KeepAll || m == TearLast:
			content = apply(content, op, nil)
		case rng.IntN(3) == 0: // keep all of it
			content = apply(content, op, nil)
		case rng.IntN(2) == 0: // keep some sectors
			content = apply(content, op, func(int) bool { return rng.IntN(2) == 0 })
		}
	}
	return content
}

// apply applies op to content, for each sector for which keep is true; nil keeps all.
func apply(content []byte, op Op, keep func(sector int) bool) []byte {
	grow := func(size int64) {
		if n := size - int64(len(content)); n > 0 {
			content = append(content, make([]byte, n)...)
		}
	}
	switch op.Kind {
	case Resize:
		grow(op.Size)
		return content[:op.Size]
	case Grow:
		grow(op.Size)
		return content
	}
	for i, data := 0, op.Data; len(data) > 0; i++ {
		at := op.Offset + int64(len(op.Data)-len(data))
		n := min(sector-int(at%sector), len(data))
		if keep == nil || keep(i) {
			grow(at + int64(n))
			copy(content[at:], data[:n])
		}
		data = data[n:]
	}
	return content
}
