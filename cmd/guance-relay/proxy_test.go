package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// A mood is what a proxy does with its tunnels.
type mood string

const (
	open     mood = "open"
	asks     mood = "407"               // Proxy Authentication Required
	fails    mood = "502"               // with a page of HTML
	redirect mood = "302"               // to a page for signing in
	cuts     mood = "cut"               // in the TLS handshake
	slow     mood = "slow"              // every packet 300 ms late
	swallows mood = "silent after some" // takes the request, and no answer ever comes back
)

// A badProxy is a forward proxy (HTTP CONNECT) that connects to one target, whatever the request
// names.
type badProxy struct {
	*httptest.Server
	target string

	mu      sync.Mutex
	mood    mood
	tunnels map[net.Conn]bool
	asked   chan struct{} // has one when a tunnel was asked for in this mood
}

func newBadProxy(t *testing.T, target string) *badProxy {
	p := &badProxy{target: target, mood: open, asked: make(chan struct{}, 1),
		tunnels: make(map[net.Conn]bool)}
	p.Server = httptest.NewServer(http.HandlerFunc(p.connect))
	t.Cleanup(func() { p.set(cuts); p.Close() })
	return p
}

// set changes the mood and closes the open tunnels, so that the next request meets the new mood.
func (p *badProxy) set(m mood) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.tunnels {
		_ = conn.Close() // twice at most
	}
	p.mood, p.asked = m, make(chan struct{}, 1)
}

// wait waits until a tunnel was requested in this mood.
func (p *badProxy) wait(t *testing.T, patience time.Duration) {
	t.Helper()
	p.mu.Lock()
	asked := p.asked
	p.mu.Unlock()
	select {
	case <-asked:
	case <-time.After(patience):
		t.Fatalf("nobody has asked for a tunnel in %v", patience)
	}
}

func (p *badProxy) connect(w http.ResponseWriter, req *http.Request) {
	p.mu.Lock()
	m := p.mood
	select {
	case p.asked <- struct{}{}:
	default: // it is known
	}
	p.mu.Unlock()
	if req.Method != http.MethodConnect {
		http.Error(w, "CONNECT", http.StatusMethodNotAllowed)
		return
	}
	page := func(status int) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		fmt.Fprint(w, "<html><body>Please sign in</body></html>")
	}
	switch m {
	case asks:
		w.Header().Set("Proxy-Authenticate", "Basic")
		page(http.StatusProxyAuthRequired)
		return
	case fails:
		page(http.StatusBadGateway)
		return
	case redirect:
		w.Header().Set("Location", "https://login.example/")
		page(http.StatusFound)
		return
	}
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	fmt.Fprint(client, "HTTP/1.1 200 Connection established\r\n\r\n")
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	if p.mood != m { // set has run meanwhile
		p.mu.Unlock()
		return
	}
	p.tunnels[client], p.tunnels[server] = true, true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.tunnels, client)
		delete(p.tunnels, server)
	}()
	var both sync.WaitGroup
	both.Go(func() { p.carry(server, client, m, false) })
	both.Go(func() { p.carry(client, server, m, true) })
	both.Wait()
}

// carry copies from one end of a tunnel to the other, as the mood says, and closes both at the end.
func (p *badProxy) carry(to, from net.Conn, m mood, answers bool) {
	defer to.Close()
	defer from.Close()
	buf, carried := make([]byte, 32<<10), 0
	for {
		n, err := from.Read(buf)
		carried += n
		switch {
		case m == cuts && carried > 100:
			return
		case m == swallows && answers && carried > 4<<10: // the handshake, and then nothing more
			continue
		case m == slow:
			time.Sleep(300 * time.Millisecond)
		}
		if _, writeErr := to.Write(buf[:n]); writeErr != nil || err != nil {
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				return // reset
			}
			return
		}
	}
}
