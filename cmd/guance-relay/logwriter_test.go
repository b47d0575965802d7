package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A reader of the log, which can hang or fail.
type reader struct {
	bytes.Buffer
	stuck chan struct{} // writes wait until it is closed
	err   error
	part  int // bytes that are written before err
}

func (r *reader) Write(p []byte) (int, error) {
	<-r.stuck
	if r.err != nil {
		r.Buffer.Write(p[:r.part])
		return r.part, r.err
	}
	return r.Buffer.Write(p)
}

// flowing returns a reader that takes everything.
func flowing() *reader {
	r := &reader{stuck: make(chan struct{})}
	close(r.stuck)
	return r
}

func TestReport10NobodyWaitsForTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &reader{stuck: make(chan struct{})}
		release := sync.OnceFunc(func() { close(out.stuck) })
		time.AfterFunc(time.Hour, release) // who waits is found out, and does not wait for ever
		w := newLogWriter(out)
		began := time.Now()
		line := strings.Repeat("x", 200-lineCost-1) + "\n"
		const lines = 2 * maxLog / 200
		for range lines {
			if n, err := w.Write([]byte(line)); n != len(line) || err != nil {
				t.Fatalf("Write = %d, %v", n, err)
			}
		}
		synctest.Wait()
		lost := w.dropped()
		if time.Since(began) != 0 || lost < lines/2-2 || lost > lines/2+2 {
			t.Errorf("%d of %d lines are lost after %v; want half of them at once", lost, lines,
				time.Since(began))
		}
		if err := w.check(); err == nil || !strings.Contains(err.Error(), fmt.Sprint(lost)) {
			t.Errorf("check = %v, want the %d lines", err, lost)
		}
		release()
		synctest.Wait()
		if got := strings.Count(out.String(), line); got != lines-int(lost) {
			t.Errorf("%d lines are written, want %d", got, lines-int(lost))
		}
		if want := fmt.Sprintf("guance-relay: %d lines", lost); !strings.HasPrefix(lastLine(out.String()),
			want) || strings.Count(out.String(), "lost") != 1 {
			t.Errorf("the log ends with %q, want %q, once", lastLine(out.String()), want)
		}
		if err := w.check(); err != nil {
			t.Errorf("check = %v after the log said so", err)
		}
		w.close()
	})
}

// The number of waiting lines is bounded too.
func TestLogIsBoundedInLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &reader{stuck: make(chan struct{})}
		w := newLogWriter(out)
		for range maxLog {
			_, _ = w.Write([]byte("\n")) // it never fails
		}
		if kept := maxLog - int(w.dropped()); kept > maxLog/lineCost+1 {
			t.Errorf("%d empty lines wait, want %d at most", kept, maxLog/lineCost+1)
		}
		close(out.stuck)
		w.close()
	})
}

func TestReport09WriteErrorsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := flowing()
		w := newLogWriter(out)
		say := func(line string) {
			_, _ = w.Write([]byte(line + "\n")) // it never fails
			synctest.Wait()
		}
		say("first")
		out.err, out.part = errors.New("no space left on device"), 3
		say("second")
		out.part = 0
		say("third")
		if w.dropped() != 2 || w.check() == nil {
			t.Errorf("%d lines are lost, check %v; want 2 and an error", w.dropped(), w.check())
		}
		out.err = nil
		say("fourth")
		if want := "first\nsec\nfourth\nguance-relay: " + lostLines(2) + "\n"; out.String() != want {
			t.Errorf("the log is %q, want %q", out.String(), want)
		}
		w.close()
	})
}

// The report of lost lines has the format of the log.
func TestLostLinesAreSaidInTheFormOfTheLog(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		synctest.Test(t, func(t *testing.T) {
			out := flowing()
			w := newLogWriter(out)
			c := config{logLevel: "error", logFormat: format}
			log, err := c.logger(w)
			if err != nil {
				t.Fatal(err)
			}
			out.err = errors.New("broken pipe")
			log.Error("lost")
			synctest.Wait()
			out.err = nil
			log.Error("kept")
			w.close()
			want := map[string]string{"text": "level=ERROR msg=", "json": `"level":"ERROR","msg":`}[format]
			if last := lastLine(out.String()); !strings.Contains(last, want+`"1 lines of`) {
				t.Errorf("%s: the log ends with %q", format, last)
			}
		})
	}
}

// close waits a second for the reader of the log, and no longer.
func TestCloseOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &reader{stuck: make(chan struct{})}
		w := newLogWriter(out)
		slog.New(slog.NewTextHandler(w, nil)).Info("the last word")
		began := time.Now()
		time.AfterFunc(flushTimeout/2, func() { close(out.stuck) })
		w.close()
		if !strings.Contains(out.String(), "the last word") || time.Since(began) != flushTimeout/2 {
			t.Errorf("after %v the log is %q, want the last word", time.Since(began), out.String())
		}
		_, _ = w.Write([]byte("too late\n"))
		if w.dropped() != 1 {
			t.Error("a line after the close is not counted")
		}

		out = &reader{stuck: make(chan struct{})}
		w = newLogWriter(out)
		_, _ = w.Write([]byte("never\n"))
		began = time.Now()
		w.close()
		if time.Since(began) != flushTimeout {
			t.Errorf("close of a log that hangs takes %v, want %v", time.Since(began), flushTimeout)
		}
		close(out.stuck)
	})
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	return lines[len(lines)-1]
}
