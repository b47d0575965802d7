package pgstore

import (
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// Unexpire has a lease that has ended go on in this process, as in one whose clock stands still.
func Unexpire(l store.Lease) {
	own := l.(*lease)
	own.store.mu.Lock()
	defer own.store.mu.Unlock()
	own.ended, own.until, own.lost = false, time.Now().Add(time.Hour), make(chan struct{})
}

// AcceptUnsafe has Open accept a server without fsync, or not.
func AcceptUnsafe(accept bool) { unsafeForTests = accept }
