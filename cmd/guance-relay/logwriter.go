package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// maxLog is how many bytes of log may wait to be written. At some 200 bytes a line it holds the log of a minute of trouble.
	maxLog = 1 << 20
	// lineCost is what a waiting line costs beside its bytes, so that empty lines are bounded too.
	lineCost = 64
	// noticeEvery bounds how often the log says that lines were lost, while it cannot keep up.
	noticeEvery = 10 * time.Second
	// flushTime is how long the end of the process waits for what is not written yet.
	flushTime = time.Second
)

// A logWriter writes lines in the background, so that nobody ever waits for the reader of the log: a full pipe, a terminal
// that was stopped, a disk that hangs. What does not fit into its bound is dropped and counted, and so is what cannot be written: the reader
// is gone, the disk is full. When writing works again, one line says how many were lost.
//
// Waiting for the log would stop the lanes and with them the alerts. An incident was 50 criticals answered with 202 and none sent, because
// nobody read stderr.
type logWriter struct {
	out  io.Writer
	done chan struct{} // closed when the last line was written, after close

	mu     sync.Mutex
	more   sync.Cond // a line came, or the writer was closed
	lines  [][]byte  // guarded by mu, the oldest first
	size   int       // guarded by mu: of lines, with their cost
	lost   uint64    // guarded by mu
	said   uint64    // guarded by mu: how many of lost the log has said
	closed bool      // guarded by mu
	// notice writes to out that n lines were lost; guarded by mu.
	notice func(out io.Writer, n uint64) error
}

// newLogWriter starts to write to out. Close it.
func newLogWriter(out io.Writer) *logWriter {
	w := &logWriter{out: out, done: make(chan struct{})}
	w.more.L = &w.mu
	w.notice = func(out io.Writer, n uint64) error {
		_, err := fmt.Fprintln(out, "server:", lostLines(n))
		return err
	}
	go w.run()
	return w
}

func lostLines(n uint64) string {
	return fmt.Sprintf("%d lines of this log were lost: they could not be written, or came faster than they could", n)
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
	w.more.Signal()
	return len(line), nil
}

// dropped returns how many lines were lost.
func (w *logWriter) dropped() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// check returns an error while lines are lost and the log does not say so, as then nobody may be reading it.
func (w *logWriter) check() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost == w.said {
		return nil
	}
	return fmt.Errorf("the log cannot be written: %d lines are lost; look at what reads stderr", w.lost-w.said)
}

// onLoss sets how the log says that lines were lost.
func (w *logWriter) onLoss(notice func(out io.Writer, n uint64) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notice = notice
}

// close writes what it can within flushTime. A write that hangs is left behind: nothing can end it but the end of the process.
func (w *logWriter) close() {
	w.mu.Lock()
	w.closed = true
	w.more.Signal()
	w.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(flushTime):
	}
}

// run is the goroutine that writes.
func (w *logWriter) run() {
	defer close(w.done)
	torn := false // the last write broke off inside a line
	noticed := time.Now()
	for line := w.next(); line != nil; line = w.next() {
		if torn {
			line = append([]byte("\n"), line...)
		}
		n, err := w.out.Write(line)
		if err != nil {
			// EPIPE, ENOSPC, EIO: the line is lost, and the next one is tried as if nothing had been.
			torn = torn && n == 0 || n > 0
			w.count()
			continue
		}
		torn = false
		if lost, notice := w.unsaid(time.Since(noticed) > noticeEvery); lost > 0 && notice(w.out, lost) == nil {
			noticed = time.Now()
			w.mu.Lock()
			w.said += lost
			w.mu.Unlock()
		}
	}
}

// next waits for a line and returns it, or nil after the last one.
func (w *logWriter) next() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.lines) == 0 && !w.closed {
		w.more.Wait()
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

func (w *logWriter) count() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost++
}

// unsaid returns how many lines the log has to say are lost: when it has caught up, or when that takes long.
func (w *logWriter) unsaid(long bool) (uint64, func(io.Writer, uint64) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lines) > 0 && !long {
		return 0, nil
	}
	return w.lost - w.said, w.notice
}
