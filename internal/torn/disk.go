package torn

import (
	"math/rand/v2"
	"slices"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// A Disk is a file of which not all may be safe.
type Disk struct {
	safe  []byte // as of the last sync
	later []Op   // since then
}

// NewDisk returns a disk with a file of the content given, safe.
func NewDisk(content []byte) *Disk { return &Disk{safe: slices.Clone(content)} }

// Do plays an operation.
func (d *Disk) Do(op Op) {
	switch op.Kind {
	case Note:
	case Sync:
		for _, op := range d.later {
			d.safe = apply(d.safe, op, nil)
		}
		d.later = nil
	default:
		d.later = append(d.later, op)
	}
}

// Pending returns how many operations are not safe.
func (d *Disk) Pending() int { return len(d.later) }

// How a crash treats what is not safe.
type Mercy int

// The extremes, and what lies between.
const (
	Nothing Mercy = iota // of what was not synced is there
	All                  // of it is
	Last                 // of it is, but half of the last write
	Some                 // writes are, and of some of them some sectors
)

// Crash returns what the file may hold after a crash now. It changes nothing.
func (d *Disk) Crash(m Mercy, rng *rand.Rand) []byte {
	content := slices.Clone(d.safe)
	for i, op := range d.later {
		switch {
		case m == Nothing:
		case m == Last && i == len(d.later)-1:
			content = apply(content, op, func(s int) bool { return s%2 == 0 })
		case m == All || m == Last:
			content = apply(content, op, nil)
		case rng.IntN(3) == 0: // the whole of it
			content = apply(content, op, nil)
		case rng.IntN(2) == 0: // some of it
			content = apply(content, op, func(int) bool { return rng.IntN(2) == 0 })
		}
	}
	return content
}

// apply does op to content, sector by sector as far as keep has it; nil keeps all.
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
