package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// maxLog is how many bytes of log may wait. With lines of some 200 bytes, that is the log of a
	// minute of trouble.
	maxLog = 1 << 20
	// lineCost is added to the size of each waiting line, so that empty lines are bounded too.
	lineCost = 64
	// reportEvery is the time between two reports of lost lines while the log is behind.
	reportEvery = 10 * time.Second
	// flushTimeout is how long close waits for the lines that are not written yet.
	flushTimeout = time.Second
)

// A logWriter writes lines in the background, so that no caller waits for the reader of the log: a
// full pipe, a stopped terminal, a disk that hangs. A line that does not fit, or whose write fails,
// is dropped and counted. When writing works again, one line reports how many were lost.
//
// If callers waited, the lanes would stop. In one incident, 50 critical alerts were answered with
// 202 and none was sent, because nobody read stderr.
type logWriter struct {
	out  io.Writer
	done chan struct{} // closed when the last line is written

	mu       sync.Mutex
	changed  sync.Cond // there is a new line, or the writer is closed
	lines    [][]byte  // guarded by mu: oldest first
	size     int       // guarded by mu: of lines, with their cost
	lost     uint64    // guarded by mu
	reported uint64    // guarded by mu: how many of lost are in the log
	closed   bool      // guarded by mu
	// report writes to out that n lines were lost; guarded by mu.
	report func(out io.Writer, n uint64) error
}

// newLogWriter starts to write to out. The caller must close it.
func newLogWriter(out io.Writer) *logWriter {
	w := &logWriter{out: out, done: make(chan struct{})}
	w.changed.L = &w.mu
	w.report = func(out io.Writer, n uint64) error {
		_, err := fmt.Fprintln(out, "guance-relay:", lostLines(n))
		return err
	}
	go w.run()
	return w
}

func lostLines(n uint64) string {
	return fmt.Sprintf("%d lines of this log were lost: "+
		"writing them failed, or they came faster than they could be written", n)
}

// Write takes one line. It never waits and never fails.
func (w *logWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.size+len(line)+lineCost > maxLog {
		w.lost++
		return len(line), nil
	}
	w.lines = append(w.lines, bytes.Clone(line))
	w.size += len(line) + lineCost
	w.changed.Signal()
	return len(line), nil
}

// dropped returns how many lines were lost.
func (w *logWriter) dropped() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// check returns an error while lines are lost and not reported: nobody may be reading the log.
func (w *logWriter) check() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost == w.reported {
		return nil
	}
	return fmt.Errorf("the log cannot be written: %d lines are lost; check what reads stderr",
		w.lost-w.reported)
}

// onLoss sets the function that reports lost lines.
func (w *logWriter) onLoss(report func(out io.Writer, n uint64) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.report = report
}

// close writes what it can within flushTimeout. A write that hangs is left behind: only the end of
// the process ends it.
func (w *logWriter) close() {
	w.mu.Lock()
	w.closed = true
	w.changed.Signal()
	w.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(flushTimeout):
	}
}

// run writes the lines.
func (w *logWriter) run() {
	defer close(w.done)
	partial := false // the last write ended inside a line
	reportedAt := time.Now()
	for line := w.next(); line != nil; line = w.next() {
		if partial {
			line = append([]byte("\n"), line...)
		}
		n, err := w.out.Write(line)
		if err != nil { // EPIPE, ENOSPC, EIO: the line is lost, and the next one is tried
			partial = partial && n == 0 || n > 0
			w.mu.Lock()
			w.lost++
			w.mu.Unlock()
			continue
		}
		partial = false
		lost, report := w.unreported(time.Since(reportedAt) > reportEvery)
		if lost > 0 && report(w.out, lost) == nil {
			reportedAt = time.Now()
			w.mu.Lock()
			w.reported += lost
			w.mu.Unlock()
		}
	}
}

// next waits for a line and returns it, or nil after the last one.
func (w *logWriter) next() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.lines) == 0 && !w.closed {
		w.changed.Wait()
	}
	if len(w.lines) == 0 {
		return nil
	}
	line := w.lines[0]
	w.lines[0] = nil
	w.lines = w.lines[1:]
	w.size -= len(line) + lineCost
	return line
}

// unreported returns how many lost lines to report now, and how. Unless it is overdue, the report
// waits until no line waits.
func (w *logWriter) unreported(overdue bool) (uint64, func(io.Writer, uint64) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lines) > 0 && !overdue {
		return 0, nil
	}
	return w.lost - w.reported, w.report
}
