package relay

import (
	"iter"
	"math"
	"math/bits"
)

// A ref names a value of an arena in four bytes; 0 names none.
type ref int32

// An arena keeps values of one type close together, and names each with a ref. A pointer to a value is good until the value is removed. If the
// type has no pointers, the garbage collector has nothing to follow, however many there are; nothing is moved or copied when
// there are more, and what was taken for many is given back when they are gone. The zero arena is empty.
type arena[T any] struct {
	chunks []*chunk[T] // nil: it holds nothing
	roomy  []int32     // the chunks that are not full, each once
	spare  *chunk[T]   // one that became empty, so that a value that comes and goes costs no allocation
	len    int
}

type chunk[T any] struct {
	used  uint64 // a bit for each slot
	slots [64]T
}

// add returns a new value, which is zero.
func (a *arena[T]) add() (ref, *T) {
	if len(a.roomy) == 0 {
		a.roomy = append(a.roomy, int32(len(a.chunks)))
		a.chunks = append(a.chunks, nil)
	}
	last := len(a.roomy) - 1
	n := a.roomy[last]
	c := a.chunks[n]
	if c == nil {
		if c, a.spare = a.spare, nil; c == nil {
			c = new(chunk[T])
		}
		a.chunks[n] = c
	}
	i := bits.TrailingZeros64(^c.used)
	if c.used |= 1 << i; c.used == math.MaxUint64 {
		a.roomy = a.roomy[:last]
	}
	a.len++
	return ref(int(n)*len(c.slots) + i + 1), &c.slots[i]
}

// at returns a value that was added and not removed.
func (a *arena[T]) at(r ref) *T { return &a.chunks[(r-1)/64].slots[(r-1)%64] }

// all goes through the values. None may be added or removed meanwhile.
func (a *arena[T]) all() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for _, c := range a.chunks {
			for left := used(c); left != 0; left &= left - 1 {
				if !yield(&c.slots[bits.TrailingZeros64(left)]) {
					return
				}
			}
		}
	}
}

func used[T any](c *chunk[T]) uint64 {
	if c == nil {
		return 0
	}
	return c.used
}

func (a *arena[T]) remove(r ref) {
	n, i := (r-1)/64, (r-1)%64
	c := a.chunks[n]
	if c.used == math.MaxUint64 {
		a.roomy = append(a.roomy, int32(n))
	}
	var zero T
	c.slots[i] = zero
	if c.used &^= 1 << i; c.used == 0 {
		a.chunks[n], a.spare = nil, c
	}
	a.len--
}
