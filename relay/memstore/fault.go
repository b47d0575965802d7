package memstore

import (
	"context"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A Call is one call of a method of a [Store] or of a lane, as [Store.Intercept] shows it.
type Call struct {
	Context  context.Context
	Method   string         // such as "Append" or "Mark"
	Lane     string         // of Rename: from; empty for Append, Acquire, Check, Holdings and Renamed
	Events   []*store.Event // of Append
	Marks    []store.Mark   // of Mark
	Problems []string       // of Records; of History: one
	Seq      uint64         // of Load, Revive and Drop; of Read and DeadLetters: after
}

// Intercept has fn make every call from now on, except Clock and those of a lease. do makes the
// call. fn may wait before or after it, return an error in place of it, or another one after it.
// With that a test has a disk that is slow, refuses, is damaged, or does not say what it has
// written. fn is called concurrently.
func (s *Store) Intercept(fn func(c Call, do func() error) error) { s.intercept.Store(&fn) }

// call makes a call, through the function that intercepts it.
func (s *Store) call(c Call, do func() error) error {
	if fn := s.intercept.Load(); fn != nil {
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
