package pagerdutytest

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// Server is a [Fake] on a loopback address, over plain HTTP.
type Server struct {
	*Fake
	// URL is the base URL, such as http://127.0.0.1:43210, without a slash at the end.
	URL string

	http   *http.Server
	served sync.WaitGroup
}

// NewServer starts a Server with a Fake of its own. Close it. Like
// httptest.NewServer it panics if there is no loopback address to listen on.
func NewServer() *Server { return New().NewServer() }

// NewServer starts a Server over f. Closing it ends what hangs in f for good.
func (f *Fake) NewServer() *Server {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		if listener, err = net.Listen("tcp6", "[::1]:0"); err != nil {
			panic(fmt.Sprintf("pagerdutytest: no loopback address to listen on: %v", err))
		}
	}
	s := &Server{
		Fake: f,
		URL:  "http://" + listener.Addr().String(),
		// Broken connections are what this server is for: no word about them.
		http: &http.Server{Handler: f, ErrorLog: log.New(io.Discard, "", 0)},
	}
	s.served.Go(func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(fmt.Sprintf("pagerdutytest: serving: %v", err))
		}
	})
	return s
}

// Close breaks every connection and stops the server. What the Fake saw can
// still be asked for.
func (s *Server) Close() {
	s.close()
	_ = s.http.Close() // the listener and connections are gone either way
	s.served.Wait()
}

// ServeHTTP makes a Fake an [http.Handler], to be mounted in a server of
// one's own. Faults of the connection need one that can be hijacked (HTTP/1).
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := f.serve(r.Context(), r.Method, r.URL.Path, r.Header, r.Body)
	switch x.fault.Connection {
	case DropBeforeRead, DropAfterRead:
		reset(w)
		return
	case Hang:
		f.hang(r.Context())
		reset(w)
		return
	}
	header := w.Header()
	for name, values := range x.answer.header {
		header[name] = values
	}
	header.Set("Content-Type", x.answer.contentType)
	body := x.answer.body
	if x.fault.Connection == CutAnswer {
		header.Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(x.answer.status)
		_, _ = io.WriteString(w, body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // which is how net/http is told to cut
	}
	w.WriteHeader(x.answer.status)
	_, _ = io.WriteString(w, body) // a client that went away is its own affair
}

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
