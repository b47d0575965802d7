package pagerdutytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// Server is a [Fake] on a loopback address, over plain HTTP/1.
type Server struct {
	*Fake
	// URL is the base URL, such as http://127.0.0.1:43210, without a slash at the end.
	URL string

	http   *http.Server
	cancel context.CancelFunc // ends what hangs or is delayed
	served sync.WaitGroup     // Serve, and the requests

	mu     sync.Mutex
	closed bool
}

// NewServer starts a Server with a Fake of its own. Close it. Like
// httptest.NewServer it panics if there is no loopback address to listen on.
func NewServer() *Server { return New().NewServer() }

// NewServer starts a Server over f. A Fake may have several.
func (f *Fake) NewServer() *Server {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		if listener, err = net.Listen("tcp6", "[::1]:0"); err != nil {
			panic(fmt.Sprintf("pagerdutytest: no loopback address to listen on: %v", err))
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{Fake: f, URL: "http://" + listener.Addr().String(), cancel: cancel}
	s.http = &http.Server{
		Handler:     http.HandlerFunc(s.serveHTTP),
		BaseContext: func(net.Listener) context.Context { return ctx },
		// Broken connections are what this server is for: no word about them.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	s.served.Go(func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(fmt.Sprintf("pagerdutytest: serving: %v", err))
		}
	})
	return s
}

// Close breaks every connection, stops the server and waits until no request
// is being treated. What the Fake saw can still be asked for. Close must not
// be called by a function that was given to [Fake.OnStep].
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	_ = s.http.Close() // the listener and connections are gone either way
	s.served.Wait()
}

// serveHTTP counts the requests that Close waits for.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	s.served.Add(1)
	s.mu.Unlock()
	defer s.served.Done()
	s.ServeHTTP(w, r)
}

// ServeHTTP makes a Fake an [http.Handler], to be mounted in a server of
// one's own. Faults of the connection need one that can be hijacked, which is
// HTTP/1; over HTTP/2 they abort the stream.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x, err := f.serve(r.Context(), r, r.Body)
	if err != nil { // the client went away
		panic(http.ErrAbortHandler)
	}
	switch x.fault.Connection {
	case Refuse, DropBeforeRead, DropAfterRead:
		reset(w)
		return
	case Hang:
		<-r.Context().Done()
		reset(w)
		return
	}
	header := w.Header()
	for name, values := range x.answer.header {
		header[name] = values
	}
	body := x.answer.body
	switch {
	case x.answer.status < http.StatusOK:
		w.WriteHeader(x.answer.status)
		reset(w)
	case x.fault.Connection == CutAnswer:
		header.Set("Content-Length", strconv.Itoa(promised(body)))
		w.WriteHeader(x.answer.status)
		_, _ = io.WriteString(w, body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // which is how net/http is told to cut
	default:
		w.WriteHeader(x.answer.status)
		_, _ = io.WriteString(w, body) // a client that went away is its own affair
	}
}

// promised is the length said of a body that will be cut: there must be
// something to miss.
func promised(body string) int { return max(len(body), 1) }

// reset closes the connection so that the client sees a reset, not an end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // at worst the close is a polite one
	}
	_ = conn.Close()
}
