package boltstore

import (
	"os"
	"time"
)

// OpenAt opens a store whose clock is now.
func OpenAt(dir string, opts *Options, now func() time.Time) (*Store, error) {
	return open(dir, opts, now)
}

// FailNext has the next commit fail with err, before or after it has landed on the disk.
func (s *Store) FailNext(err error, landed bool) {
	done := make(chan struct{})
	s.jobs <- &job{check: func(*commit) error {
		s.sync = func(commit func() error) error {
			s.sync = func(commit func() error) error { return commit() }
			if landed {
				if err := commit(); err != nil {
					return err
				}
			}
			return err
		}
		close(done)
		return nil
	}, done: make(chan error, 1)}
	<-done
}

// File is the store's file.
func (s *Store) File() *os.File { return s.file }
