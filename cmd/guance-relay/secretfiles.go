package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	secretsInterval = 5 * time.Second // between two checks of the files
	secretsLogEvery = time.Minute     // between two ERROR lines about the same bad file
)

// secretFiles checks the files that hold secrets. A bad file is reported by an ERROR line once a
// minute and by a warning in the answer of /readyz. The reader of a file keeps its last good
// secrets meanwhile.
type secretFiles struct {
	reload func(context.Context) // after a signal, besides the check; nil: nothing

	mu     sync.Mutex
	checks []func() error // guarded by mu
	last   error          // guarded by mu: the result of the last check
	bad    int            // guarded by mu: files that the last check could not use
}

// add adds a file. Check reads the file and returns why it cannot be used; meanwhile is the part of
// the message that says what is in force until then.
func (s *secretFiles) add(meanwhile string, check func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks = append(s.checks, func() error {
		if err := check(); err != nil {
			return fmt.Errorf("%w; %s", err, meanwhile)
		}
		return nil
	})
}

// err returns the result of the last check.
func (s *secretFiles) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// unusable returns how many files the last check could not use.
func (s *secretFiles) unusable() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bad
}

func (s *secretFiles) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.checks)
}

// replace takes the files of another configuration instead.
func (s *secretFiles) replace(other *secretFiles) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks = other.checks
}

// check reads all files.
func (s *secretFiles) check() error {
	s.mu.Lock()
	checks := s.checks
	s.mu.Unlock()
	var err error
	bad := 0
	for _, check := range checks {
		if failed := check(); failed != nil {
			err = errors.Join(err, failed)
			bad++
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.bad = err, bad
	return err
}

// run checks the files at intervals, and at once after each signal of reload, until ctx ends.
func (s *secretFiles) run(ctx context.Context, log *slog.Logger, reload <-chan os.Signal) {
	ticker := time.NewTicker(secretsInterval)
	defer ticker.Stop()
	var logged time.Time // the last ERROR line; zero if all files are good
	for {
		reloaded := false
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-reload:
			reloaded = true
			if s.reload != nil {
				s.reload(ctx)
			}
		}
		switch err := s.check(); {
		case err != nil && (reloaded || time.Since(logged) >= secretsLogEvery):
			log.Error("a secret file cannot be used; correct it, no restart is needed",
				"error", oneLine(err))
			logged = time.Now()
		case err != nil:
		case reloaded:
			log.Info("SIGHUP: the secret files were read again", "files", s.count())
			logged = time.Time{}
		case !logged.IsZero():
			log.Info("the secret files are good again")
			logged = time.Time{}
		}
	}
}
