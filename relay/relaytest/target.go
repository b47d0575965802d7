package relaytest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// A Target is the server that a sink under test sends to.
type Target struct {
	// URL is http://, the loopback and a port, without a path.
	URL string

	server *http.Server

	mu       sync.Mutex
	handler  http.Handler
	requests []request
	arrived  chan struct{} // closed and replaced when a request has arrived
}

// A request is one that the target received.
type request struct {
	head string // request line and header fields, as far as net/http keeps them
	body []byte
}

// newTarget returns a target on the loopback. It is closed with the test.
func newTarget(t *testing.T) *Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("relaytest: the target of the suite needs a port on the loopback: %v", err)
	}
	target := &Target{URL: "http://" + l.Addr().String(), arrived: make(chan struct{})}
	target.server = &http.Server{Handler: http.HandlerFunc(target.serve)}
	go func() { _ = target.server.Serve(l) }() // returns after close
	t.Cleanup(target.close)
	return target
}

// close ends the server and every connection to it.
func (t *Target) close() { _ = t.server.Close() }

// handle answers all later requests with h.
func (t *Target) handle(h http.Handler) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.handler = h
}

func (t *Target) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	if err != nil {
		return // the sink closed the connection within its request
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s\n", r.Method, r.RequestURI)
	_ = r.Header.Write(&head) // a Buffer returns no error
	t.mu.Lock()
	t.requests = append(t.requests, request{head.String(), body})
	close(t.arrived)
	t.arrived = make(chan struct{})
	handler := t.handler
	t.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	handler.ServeHTTP(w, r)
}

// seen returns the requests so far.
func (t *Target) seen() []request {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.requests[:len(t.requests):len(t.requests)]
}

// forget deletes the requests so far.
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
			return fmt.Errorf("%d requests reached the target, waited for %d: %w", got, n,
				ctx.Err())
		}
	}
}

// answers returns a handler that answers with a status and with header fields, given in pairs. The
// body repeats the request, so that an error that quotes it shows the secrets of the sink.
func answers(status int, header ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "you sent %s\n", r.RequestURI)
		_ = r.Header.Write(w)
		_, _ = io.Copy(w, r.Body) // the client may be gone
	})
}

// hangs returns a handler that never answers.
func hangs() http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
}

// stalls returns a handler that begins a good answer and never ends it.
func stalls() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "{")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
}

// writes returns a handler that writes bytes, which need not be HTTP, and closes the connection:
// with a reset if there are none. A whole answer must have "Connection: close". Otherwise the next
// request may use the closed connection and never reach the target.
func writes(what string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(fmt.Errorf("relaytest: hijacking a connection: %w", err))
		}
		if tcp, ok := conn.(*net.TCPConn); ok && what == "" {
			_ = tcp.SetLinger(0)
		}
		_, _ = io.WriteString(conn, what)
		_ = conn.Close()
	})
}
