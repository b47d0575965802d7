package webhook

import (
	"bytes"
	"context"
	"sync"
)

// Decoding takes memory too: a body of 1 MiB with 100,000 short names takes 15 MiB. A small body
// reserves that memory. A large body waits for one of a few slots instead. So it is not refused,
// and no small body is refused because of it.
const (
	// memberSize is the estimate for a JSON member: its name and its place in a growing map.
	memberSize = 128
	// eventSize is the estimate for an event without its members.
	eventSize = 2 << 10
	// largeSize is the size, body and members together, above which a body is large.
	largeSize = 256 << 10
	// maxLarge is the number of large bodies that are decoded and stored at once.
	maxLarge = 2
	// bufferSize is more than most bodies have.
	bufferSize = 8 << 10
)

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// A Body is a body that has arrived whole, and the memory that is reserved for it. It must not be
// used concurrently.
type Body struct {
	Source string // the name of the source; empty for the one without a name

	bytes      []byte
	buffer     *[bufferSize]byte
	memory     reservation
	largeSlots chan struct{}
	hasSlot    bool
}

// Bytes returns the decompressed body. It is valid until FreeBytes or Release.
func (b *Body) Bytes() []byte { return b.bytes }

// FreeBytes gives the buffer of the body back. It may be called again.
func (b *Body) FreeBytes() {
	if b.buffer != nil {
		buffers.Put(b.buffer)
	}
	b.bytes, b.buffer = nil, nil
}

// ReserveDecoding reserves the memory for decoding. A large body gets a slot instead, and waits for
// it until ctx is done.
func (b *Body) ReserveDecoding(ctx context.Context) *Refusal {
	members := 1 + bytes.Count(b.bytes, []byte(",")) // at most
	size := int64(members) * memberSize
	if int64(len(b.bytes))+size <= largeSize {
		return b.memory.reserve(size)
	}
	select {
	case b.largeSlots <- struct{}{}:
		b.hasSlot = true
		return nil
	case <-ctx.Done():
		return busy()
	}
}

// ReserveEvents reserves the memory of n decoded events without their members.
func (b *Body) ReserveEvents(n int) *Refusal { return b.memory.reserve(int64(n) * eventSize) }

// Release frees all that the body holds. Call it before the handler returns: an eviction after that
// would abort the next request of the connection.
func (b *Body) Release() {
	b.FreeBytes()
	b.memory.release()
	if b.hasSlot {
		<-b.largeSlots
		b.hasSlot = false
	}
}
