package boltstore

import (
	"errors"
	"fmt"
	"os"
)

// ErrMoved: the file that the store has open is not the one at its path any more. Somebody removed it, put another one in its place or
// removed its directory: a cleaner of temporary files, a restore by mv. Nothing was kept of the call.
var ErrMoved = errors.New("the store's file is not in its place")

// inPlace answers why appends are refused: what is written to a file without a name is gone once the process ends. The answer is not
// relay.ErrFailed, which would end the process and everything in the file with it: marks and deliveries go on, and so what was accepted
// before still gets out. A file that is put back is taken on. The committer calls it.
func (s *Store) inPlace() error {
	info, err := os.Lstat(s.path)
	if err == nil && os.SameFile(info, s.info) {
		if s.moved {
			s.moved = false
			s.log.Info("boltstore: the file is in its place again; events are accepted", "file", s.path)
		}
		return nil
	}
	what := "another file is there"
	if err != nil {
		what = err.Error()
	}
	moved := fmt.Errorf("boltstore: %s: %w (%s); nothing was kept. What was accepted before is still delivered, as long as this process lives: "+
		"put the file back, or wait until nothing is pending and restart the process; see docs/durability.md", s.path, ErrMoved, what)
	if !s.moved {
		s.moved = true
		s.log.Error("boltstore: no event is accepted", "error", moved.Error())
	}
	return moved
}
