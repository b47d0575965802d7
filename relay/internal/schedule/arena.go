package schedule

import (
	"iter"
	"math"
	"math/bits"
)

// A ref names a value of an arena in four bytes; 0 names none.
type ref int32

// An arena keeps values of one type close together and names each with a ref. A pointer to a value
// is valid until the value is removed. If the type has no pointers, the garbage collector follows
// nothing. The arena grows without moving values and gives unused memory back. The zero arena is
// empty.
type arena[T any] struct {
	chunks []*chunk[T] // a nil chunk holds nothing
	free   []int32     // the chunks that are not full, each once
	spare  *chunk[T]   // an empty one, so that a value that comes and goes costs no allocation
	len    int
}

type chunk[T any] struct {
	used  uint64 // a bit for each slot
	slots [64]T
}

// add returns a new zero value.
func (a *arena[T]) add() (ref, *T) {
	if len(a.free) == 0 {
		a.free = append(a.free, int32(len(a.chunks)))
		a.chunks = append(a.chunks, nil)
	}
	last := len(a.free) - 1
	n := a.free[last]
	c := a.chunks[n]
	if c == nil {
		if c, a.spare = a.spare, nil; c == nil {
			c = new(chunk[T])
		}
		a.chunks[n] = c
	}
	i := bits.TrailingZeros64(^c.used)
	if c.used |= 1 << i; c.used == math.MaxUint64 {
		a.free = a.free[:last]
	}
	a.len++
	return ref(int(n)*len(c.slots) + i + 1), &c.slots[i]
}

// at returns a value that was added and not removed.
func (a *arena[T]) at(r ref) *T { return &a.chunks[(r-1)/64].slots[(r-1)%64] }

// all iterates over the values. None may be added or removed meanwhile.
func (a *arena[T]) all() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for _, c := range a.chunks {
			if c == nil {
				continue
			}
			for left := c.used; left != 0; left &= left - 1 {
				if !yield(&c.slots[bits.TrailingZeros64(left)]) {
					return
				}
			}
		}
	}
}

func (a *arena[T]) remove(r ref) {
	n, i := (r-1)/64, (r-1)%64
	c := a.chunks[n]
	if c.used == math.MaxUint64 {
		a.free = append(a.free, int32(n))
	}
	c.slots[i] = *new(T)
	if c.used &^= 1 << i; c.used == 0 {
		a.chunks[n], a.spare = nil, c
	}
	a.len--
}
