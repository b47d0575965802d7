package memstore

import (
	"context"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A Call is one call of a method of a [Store] or of a lane, as [Store.Intercept] shows it.
type Call struct {
	Context  context.Context
	Method   string         // such as "Append" or "Mark"
	Lane     string         // of Rename: from; empty where a method names none or several
	To       string         // of Rename
	Events   []*store.Event // of Append
	Served   []string       // of Append
	Marks    []store.Mark   // of Mark
	Problems []string       // of Records; of History and Pending: one
	Seq      uint64         // of Load, Revive and Drop; of Read and DeadLetters: after
}

// Intercept has fn make every call from now on, except Clock and those of a lease, of which it has
// Next alone. do makes the call. fn may wait before or after it, return an error in place of it, or
// another one after it. With that a test has a disk that is slow, refuses, is damaged, or does not
// say what it has written. fn is called concurrently.
func (s *Store) Intercept(fn func(c Call, do func() error) error) { s.intercept.Store(&fn) }

// call makes a call, through the function that intercepts it.
func (s *Store) call(c Call, do func() error) error {
	if fn := s.intercept.Load(); fn != nil {
		defer s.Wait()
		return (*fn)(c, do)
	}
	return do()
}

// A failure is what becomes of the next write.
type failure struct {
	err    error
	landed bool
}

// Fail has the next write fail as if a disk refused it. Every call returns [store.ErrFailed] with
// err from then on. If landed is true, the write took effect nevertheless, as it may on a disk:
// [Store.Restart] shows it.
func (s *Store) Fail(err error, landed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = &failure{err, landed}
}

// A Cut is what becomes of the calls of a [Handle] that is cut off from the engine.
type Cut int

const (
	// Connected: nothing is lost.
	Connected Cut = iota
	// RequestsLost: a call has no effect, and returns [store.ErrUnavailable].
	RequestsLost
	// AnswersLost: a call has its effect, and returns [store.ErrUnavailable] nevertheless. A lease
	// is renewed in the engine, and the handle does not learn it.
	AnswersLost
)

var (
	errUnreached = fmt.Errorf("memstore: the engine cannot be reached: %w", store.ErrUnavailable)
	errNoAnswer  = fmt.Errorf("memstore: the engine's answer is lost: %w", store.ErrUnavailable)
	errFenced    = fmt.Errorf("memstore: the lease has ended: %w", store.ErrFenced)
)

// Cut cuts the handle off from the engine, or with Connected connects it again. A call that waits
// ends. A lease goes on to the end of its time, unless a write of its owner fails.
func (h *Handle) Cut(c Cut) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cut = c
	h.tell()
}

// Pause stops all that the handle does, as SIGSTOP does with a process. No call returns, and no
// lease is renewed or ends in the handle, until Resume, Close or Kill. Time goes on.
func (h *Handle) Pause() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.paused == nil && !h.closed {
		h.paused = make(chan struct{})
	}
}

// Resume ends a Pause. A lease whose time is over ends.
func (h *Handle) Resume() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.run()
	for l := range h.leases {
		if !time.Now().Before(l.until) {
			l.end()
		}
	}
	h.tell()
}

// Kill ends the handle as SIGKILL ends a process: its leases stay in the engine until they expire.
// Every call returns [store.ErrClosed] from now on, and leases are shown as lost, so that what used
// the handle ends.
func (h *Handle) Kill() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.close(false)
}

// Wait returns at once unless the handle is paused, and otherwise when it is resumed. A test calls
// it in what else belongs to the process, such as its sink.
func (s *Store) Wait() {
	s.enter()
	s.mu.Unlock()
}

// enter locks mu once the store is not paused.
func (s *Store) enter() {
	for {
		s.mu.Lock()
		paused := s.paused
		if paused == nil {
			return
		}
		s.mu.Unlock()
		<-paused
	}
}

// run ends a pause, and has the calls that wait look again. mu is held.
func (s *Store) run() {
	if s.paused != nil {
		close(s.paused)
		s.paused = nil
	}
	s.wake()
}

// reaches reports whether a call reaches the engine. mu is held.
func (s *Store) reaches() bool {
	return !s.closed && !s.down && s.cut != RequestsLost && s.paused == nil
}

// hears reports whether the answer to a call comes back. mu is held.
func (s *Store) hears() bool { return s.reaches() && s.cut != AnswersLost }

// confirms is hears for a write. mu is held.
func (s *Store) confirms() bool { return s.hears() && !s.unconfirmed }

// writes reports whether the engine commits something for the call. That of Append is one in any
// case: otherwise a second try would be told that the first one's events are kept, which the
// standby may lack.
func (c *Call) writes() bool {
	switch c.Method {
	case "Append", "Rename", "Acquire", "Mark", "Revive", "Drop", "Answer":
		return true
	}
	return false
}
