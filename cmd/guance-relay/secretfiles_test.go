package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// writerFunc is a function that is a writer.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A bad file is one ERROR line a minute. SIGHUP checks at once.
func TestReport14BadFilesAreSaidOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // the goroutine of run reads and writes what is below
		var trouble error
		var out bytes.Buffer
		say := func(err error) {
			mu.Lock()
			defer mu.Unlock()
			trouble = err
		}
		log := slog.New(slog.NewTextHandler(writerFunc(func(line []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return out.Write(line)
		}), nil))
		s, reload := &secretFiles{}, make(chan os.Signal, 1)
		s.add("the old ones stay good", func() error {
			mu.Lock()
			defer mu.Unlock()
			return trouble
		})
		s.add("", func() error { return nil })
		ctx, stop := context.WithCancel(t.Context())
		go s.run(ctx, log, reload)
		expect := func(after time.Duration, level string, lines int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Count(out.String(), "level="+level); got != lines ||
				strings.Count(out.String(), "\n") != lines {
				t.Errorf("%d lines of level %s, want %d and no other:\n%s", got, level, lines, out.String())
			}
			out.Reset()
		}
		expect(time.Hour, "ERROR", 0)
		say(errors.New("tokens: no such file"))
		expect(secretsInterval, "ERROR", 1)
		if err := s.err(); err == nil || err.Error() != "tokens: no such file; the old ones stay good" {
			t.Errorf("err = %v", err)
		}
		expect(10*time.Minute, "ERROR", 10)
		reload <- syscall.SIGHUP
		expect(0, "ERROR", 1)
		say(nil)
		expect(secretsInterval, "INFO", 1)
		if err := s.err(); err != nil {
			t.Errorf("err = %v after the file was mended", err)
		}
		reload <- syscall.SIGHUP
		expect(0, "INFO", 1)
		stop()
		synctest.Wait()
	})
}
