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

// Server serves a [Fake] on a loopback address, over plain HTTP/1.
type Server struct {
	*Fake
	// URL is the base URL, such as http://127.0.0.1:43210, without a slash at the end.
	URL string

	http   *http.Server
	cancel context.CancelFunc // ends requests that hang or are delayed
	served sync.WaitGroup     // Serve, and the requests

	mu     sync.Mutex
	closed bool
}

// NewServer starts a Server with a new Fake. The caller must call Close. It panics if there is no
// loopback address to listen on, as httptest.NewServer does.
func NewServer() *Server { return New().NewServer() }

// NewServer starts a Server for f. A Fake may have several.
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
		// Broken connections are expected: do not log them.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	s.served.Go(func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(fmt.Sprintf("pagerdutytest: serving: %v", err))
		}
	})
	return s
}

// Close closes all connections, stops the server and waits for the requests that are being handled.
// The Fake can still be used. A function that was passed to [Fake.OnStep] must not call Close.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	_ = s.http.Close() // the listener is closed even with an error
	s.served.Wait()
}

// serveHTTP counts the requests for which Close waits.
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

// ServeHTTP implements [http.Handler], for a Fake in a server of the caller's. Faults of the
// connection need HTTP/1, whose connections can be hijacked; over HTTP/2 they abort the stream.
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
	for name, values := range x.response.header {
		header[name] = values
	}
	body := x.response.body
	switch {
	case x.response.status < http.StatusOK:
		w.WriteHeader(x.response.status)
		reset(w)
	case x.fault.Connection == CutAnswer:
		header.Set("Content-Length", strconv.Itoa(promised(body)))
		w.WriteHeader(x.response.status)
		_, _ = io.WriteString(w, body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // closes the connection
	default:
		w.WriteHeader(x.response.status)
		_, _ = io.WriteString(w, body) // an error means that the client went away
	}
}

// promised returns the Content-Length of a body that will be cut; it is at least 1.
func promised(body string) int { return max(len(body), 1) }

// reset closes the connection so that the client gets a reset instead of an EOF.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the close is a normal one
	}
	_ = conn.Close()
}
