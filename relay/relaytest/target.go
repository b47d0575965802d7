package relaytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// A Target is the server that a sink under test has to talk to.
type Target struct {
	// URL is http://, the loopback and a port, without a path.
	URL string

	listener net.Listener
	server   *http.Server

	mu       sync.Mutex
	mood     http.Handler
	requests []request
	arrived  chan struct{} // closed and replaced when a request has arrived
}

// A request is what a target was sent.
type request struct {
	head string // request line and header fields, as far as net/http keeps them
	body []byte
}

func newTarget() (*Target, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("relaytest: the suite's target needs a port on the loopback: %w", err)
	}
	t := &Target{URL: "http://" + l.Addr().String(), listener: l, arrived: make(chan struct{})}
	t.server = &http.Server{Handler: http.HandlerFunc(t.serve)}
	go func() { _ = t.server.Serve(l) }() // ends with close
	return t, nil
}

// close ends the server and every connection to it.
func (t *Target) close() { _ = t.server.Close() }

// as has requests from now on answered by h.
func (t *Target) as(h http.Handler) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mood = h
}

func (t *Target) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	if err != nil {
		return // the sink went away in the middle of its request
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s\n", r.Method, r.RequestURI)
	_ = r.Header.Write(&head) // a Buffer takes everything
	t.mu.Lock()
	t.requests = append(t.requests, request{head.String(), body})
	close(t.arrived)
	t.arrived = make(chan struct{})
	mood := t.mood
	t.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	mood.ServeHTTP(w, r)
}

// seen returns the requests so far.
func (t *Target) seen() []request {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.requests[:len(t.requests):len(t.requests)]
}

// forget drops the requests so far.
func (t *Target) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests = nil
}

// wait waits for the nth request.
func (t *Target) wait(ctx context.Context, n int) error {
	for {
		t.mu.Lock()
		got, arrived := len(t.requests), t.arrived
		t.mu.Unlock()
		if got >= n {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return fmt.Errorf("%d requests reached the target, waited for %d: %w", got, n, ctx.Err())
		}
	}
}

// answers returns a target that answers with a status, header fields given in pairs, and everything that it was sent: an error that
// quotes the answer then quotes the sink's own secrets.
func answers(status int, header ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "you sent %s\n", r.RequestURI)
		_ = r.Header.Write(w)
		_, _ = io.Copy(w, r.Body) // a client that is gone wants no answer
	})
}

// hangs returns a target that never answers.
func hangs() http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
}

// stalls returns a target that begins a good answer and never ends it.
func stalls() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "{")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
}

// says returns a target that writes bytes that need not be HTTP, and drops the connection: with a reset if it says nothing. An answer
// that is whole must say Connection: close: otherwise the next request may go out on the dead connection, and what it was to be
// answered is never seen.
func says(what string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(errors.Join(errors.New("relaytest: the target cannot take its connection over"), err))
		}
		if tcp, ok := conn.(*net.TCPConn); ok && what == "" {
			_ = tcp.SetLinger(0)
		}
		_, _ = io.WriteString(conn, what)
		_ = conn.Close()
	})
}
