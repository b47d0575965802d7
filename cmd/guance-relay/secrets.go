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
	secretsEvery  = 5 * time.Second // between two looks at the files
	complainEvery = time.Minute     // between two lines of the log, while a file is not good
)

// secrets looks after the files that secrets are read from. Whoever uses a file follows it by himself and goes on with what it held
// last; here it shows that the file is no longer good: as an ERROR line once a minute, and in the answer of readyz.
type secrets struct {
	files []func() error // not changed once run began

	mu      sync.Mutex
	trouble error // guarded by mu
}

// watch adds a file. Check reads it and returns why it is not good; meanwhile says what holds until it is.
func (s *secrets) watch(meanwhile string, check func() error) {
	s.files = append(s.files, func() error {
		if err := check(); err != nil {
			return fmt.Errorf("%w; %s", err, meanwhile)
		}
		return nil
	})
}

// check returns what was wrong with the files when they were last looked at.
func (s *secrets) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

// look reads all files.
func (s *secrets) look() error {
	var trouble error
	for _, check := range s.files {
		trouble = errors.Join(trouble, check())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = trouble
	return trouble
}

// run looks at the files until ctx ends, and whenever reload says so.
func (s *secrets) run(ctx context.Context, log *slog.Logger, reload <-chan os.Signal) {
	every := time.NewTicker(secretsEvery)
	defer every.Stop()
	var said time.Time // when the log last said that a file is not good; zero if all are
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		case <-reload:
			asked = true
		}
		switch trouble := s.look(); {
		case trouble != nil && (asked || time.Since(said) >= complainEvery):
			log.Error("a file of secrets is not good; mend it, no restart is needed", "error", oneLine(trouble))
			said = time.Now()
		case trouble != nil:
		case asked:
			log.Info("SIGHUP: the files of secrets were read again", "files", len(s.files))
			said = time.Time{}
		case !said.IsZero():
			log.Info("the files of secrets are good again")
			said = time.Time{}
		}
	}
}
