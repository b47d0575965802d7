package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// A watch is a target in this process, whose clock is that of the load: it tells when the first
// byte of a trigger came in.
type watch struct {
	url string

	mu   sync.Mutex
	seen map[string]chan time.Time // by problem key, of those that somebody waits for
	any  chan struct{}             // closed by the first request
	once sync.Once
}

func newWatch(b testing.TB) (*watch, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b.Cleanup(func() { _ = listener.Close() })
	w := &watch{url: "http://" + listener.Addr().String(), seen: make(map[string]chan time.Time),
		any: make(chan struct{})}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // it is closed
			}
			go w.serve(conn)
		}
	}()
	return w, nil
}

// expect returns where the time of a problem's trigger will be told.
func (w *watch) expect(key string) <-chan time.Time {
	c := make(chan time.Time, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[key] = c
	return c
}

// serve answers as PagerDuty does until the connection ends.
func (w *watch) serve(conn net.Conn) {
	defer conn.Close()
	requests := bufio.NewReaderSize(conn, 64<<10)
	for {
		if _, err := requests.Peek(1); err != nil {
			return
		}
		came := time.Now()
		r, err := http.ReadRequest(requests)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		_, rest, _ := bytes.Cut(body, []byte(`"dedup_key":"`))
		key, _, _ := bytes.Cut(rest, []byte(`"`))
		w.took(string(key), came)
		answer := fmt.Sprintf(`{"status":"success","message":"Event processed","dedup_key":%q}`,
			key)
		if _, err := fmt.Fprintf(conn, "HTTP/1.1 202 Accepted\r\nContent-Type: "+
			"application/json\r\nContent-Length: %d\r\n\r\n%s", len(answer), answer); err != nil {
			return
		}
	}
}

func (w *watch) took(key string, came time.Time) {
	w.once.Do(func() { close(w.any) })
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.seen[key]; c != nil {
		c <- came
		delete(w.seen, key)
	}
}

// first waits for the first request of all.
func (w *watch) first(atMost time.Duration) error {
	select {
	case <-w.any:
		return nil
	case <-time.After(atMost):
		return errors.New("the target saw nothing in " + atMost.String())
	}
}
