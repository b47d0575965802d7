package console

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// lookEvery is how often the figures are compared while somebody reads the stream.
	lookEvery = time.Second
	// quiet is how long a stream says nothing at most.
	quiet = 15 * time.Second
	// mostReaders is how many may read the stream at a time.
	mostReaders = 200
	// streamWrite bounds one write to a reader.
	streamWrite = 10 * time.Second
)

// A stream tells its readers of each change. The figures are read once for all of them, without a
// lock that a lane waits for.
type stream struct {
	figures func() []byte

	mu      sync.Mutex
	readers map[chan []byte]bool
	last    []byte
	looking bool
}

// join adds a reader. It returns nil if there are too many.
func (s *stream) join() chan []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.readers) >= mostReaders {
		return nil
	}
	if s.readers == nil {
		s.readers = make(map[chan []byte]bool)
	}
	if !s.looking {
		s.looking = true
		go s.look()
	}
	ch := make(chan []byte, 1)
	s.readers[ch] = true
	return ch
}

func (s *stream) leave(ch chan []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.readers, ch)
}

// look runs while there are readers. A reader that is slow gets the newest figures only.
func (s *stream) look() {
	for {
		figures := s.figures()
		s.mu.Lock()
		if len(s.readers) == 0 {
			s.last, s.looking = nil, false
			s.mu.Unlock()
			return
		}
		if !bytes.Equal(figures, s.last) {
			s.last = figures
			for ch := range s.readers {
				select {
				case <-ch:
				default:
				}
				ch <- figures
			}
		}
		s.mu.Unlock()
		time.Sleep(lookEvery)
	}
}

// events is GET api/events: an event "lanes" with the answer of api/lanes, at the beginning and
// after each change.
func (c *console) events(w http.ResponseWriter, req *http.Request) error {
	ch := c.stream.join()
	if ch == nil {
		return errorf(http.StatusServiceUnavailable, "%d streams are open; try again later", mostReaders)
	}
	defer c.stream.leave(ch)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx must not hold it back
	out := http.NewResponseController(w)
	send := func(text []byte) bool {
		_ = out.SetWriteDeadline(time.Now().Add(streamWrite)) // not every writer can
		if _, err := w.Write(text); err != nil {
			return false
		}
		return out.Flush() == nil
	}
	if !send([]byte("retry: 3000\n\n")) || !send(message(c.stream.figures())) {
		return nil
	}
	ping := time.NewTicker(quiet)
	defer ping.Stop()
	for {
		text := []byte(": still here\n\n")
		select {
		case <-req.Context().Done():
			return nil
		case figures := <-ch:
			text = message(figures)
		case <-ping.C:
		}
		if !send(text) {
			return nil
		}
	}
}

// message returns an event of the stream.
func message(figures []byte) []byte {
	return fmt.Appendf(nil, "event: lanes\ndata: %s\n\n", bytes.TrimSpace(figures))
}
