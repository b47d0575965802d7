package webhook

import (
	"container/list"
	"sync"
)

// A memoryLimit bounds the memory of all webhooks that are being received. At the limit, a new
// request evicts the body that has been arriving longest, so that senders that never finish cannot
// keep out one that does. A body that has arrived whole is not evicted. If nothing can be evicted,
// the request is refused. It does not wait, because a request that waits holds memory too.
type memoryLimit struct {
	max int64

	mu       sync.Mutex
	used     int64     // guarded by mu
	arriving list.List // of *reservation, the oldest first; guarded by mu
}

// A reservation is the part of a memoryLimit that one request has. limit.mu guards its fields.
type reservation struct {
	limit   *memoryLimit
	abort   func()        // ends the reading of the body; nil if that is impossible
	element *list.Element // in arriving, or nil
	bytes   int64
	evicted bool
}

// reserve adds n bytes to the reservation, or returns why the request must be refused.
func (r *reservation) reserve(n int64) *Refusal {
	l := r.limit
	l.mu.Lock()
	defer l.mu.Unlock()
	for !r.evicted && l.used+n > l.max {
		oldest := l.arriving.Front()
		if oldest == nil {
			return busy()
		}
		oldest.Value.(*reservation).evict()
	}
	if r.evicted {
		return busy()
	}
	if r.element == nil && r.abort != nil {
		r.element = l.arriving.PushBack(r)
	}
	l.used += n
	r.bytes += n
	return nil
}

// evict must be called with limit.mu held. The memory counts as free a moment before it is.
func (r *reservation) evict() {
	r.abort()
	r.evicted = true
	r.free()
}

// free must be called with limit.mu held. It may be called again.
func (r *reservation) free() {
	r.leaveArriving()
	r.limit.used -= r.bytes
	r.bytes = 0
}

func (r *reservation) leaveArriving() {
	if r.element != nil {
		r.limit.arriving.Remove(r.element) // no effect the second time
	}
}

// arrived protects a body that has arrived whole from eviction. It returns a refusal if the body
// was evicted before.
func (r *reservation) arrived() *Refusal {
	r.limit.mu.Lock()
	defer r.limit.mu.Unlock()
	r.leaveArriving()
	if r.evicted {
		return busy()
	}
	return nil
}

// release ends the reservation. It may be called again.
func (r *reservation) release() {
	r.limit.mu.Lock()
	defer r.limit.mu.Unlock()
	r.free()
}
