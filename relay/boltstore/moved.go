package boltstore

import (
	"errors"
	"fmt"
	"os"
)

// ErrMoved: the file that the store has open is not at its path any more. Somebody has removed or
// replaced it, or its directory: a program that cleans up temporary files, or a restore by mv.
// Nothing was kept of the call.
var ErrMoved = errors.New("the store's file is not in its place")

// inPlace returns [ErrMoved] if the file is not at its path: what is written to a file without a
// name is gone when the process ends. It does not return [store.ErrFailed], which would end the
// process and lose the whole file. Marks go on, and so what was accepted before is delivered. If
// the file is put back, the store takes events again. The committer calls it.
func (s *Store) inPlace() error {
	info, err := os.Lstat(s.path)
	if err == nil && os.SameFile(info, s.info) {
		if s.moved {
			s.moved = false
			s.log.Info("boltstore: the file is in its place again; events are accepted",
				"file", s.path)
		}
		return nil
	}
	what := "another file is there"
	if err != nil {
		what = err.Error()
	}
	moved := fmt.Errorf("boltstore: %s: %w (%s); nothing was kept. This process still delivers "+
		"what was accepted before. Put the file back, or wait until nothing is pending and "+
		"restart the process; see docs/operations.md", s.path, ErrMoved, what)
	if !s.moved {
		s.moved = true
		s.log.Error("boltstore: no event is accepted", "error", moved.Error())
	}
	return moved
}
