package pgstore_test

import (
	"encoding/binary"
	"io"
	"maps"
	"net"
	"sync"
	"testing"
	"time"
)

// A proxy stands between a store and the server. It can cut connections, silence them, refuse new
// ones, and keep back answers.
type proxy struct {
	listener net.Listener

	mu      sync.Mutex
	target  string // of new connections
	conns   map[net.Conn]bool
	silent  map[net.Conn]bool // nothing passes any more
	refuse  bool
	drop    bool          // answers are thrown away
	lose    bool          // results are thrown away, and their connections end
	frozen  time.Time     // nothing passes until then
	answers time.Duration // answers are late
}

func newProxy(t *testing.T, target string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, conns: make(map[net.Conn]bool)}
	t.Cleanup(func() { _ = l.Close(); p.cut() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	refuse, target := p.refuse, p.target
	p.mu.Unlock()
	if refuse {
		return
	}
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, client)
		delete(p.conns, server)
	}()
	go func() {
		_, _ = io.Copy(server, thawed{client, p})
		_ = server.Close()
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := server.Read(b)
		p.mu.Lock()
		drop, lose, late := p.drop || p.silent[server], p.lose, p.answers
		p.mu.Unlock()
		p.thaw()
		time.Sleep(late)
		if lose && hasResult(b[:n]) {
			return
		}
		if !drop && n > 0 {
			if _, err := client.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hasResult reports whether a message of the server says that a statement was executed, and not
// only prepared.
func hasResult(messages []byte) bool {
	for len(messages) >= 5 && messages[0] != 'C' {
		n := 1 + int(binary.BigEndian.Uint32(messages[1:]))
		messages = messages[min(n, len(messages)):]
	}
	return len(messages) > 0
}

// thaw waits until the proxy is not frozen.
func (p *proxy) thaw() {
	p.mu.Lock()
	d := time.Until(p.frozen)
	p.mu.Unlock()
	time.Sleep(d)
}

// A thawed reads what passes a proxy.
type thawed struct {
	net.Conn
	proxy *proxy
}

func (t thawed) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.proxy.thaw()
	return n, err
}

func (p *proxy) set(fn func(p *proxy)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn(p)
}

// silence has nothing pass on the present connections, which stay.
func (p *proxy) silence() {
	p.set(func(p *proxy) { p.silent = maps.Clone(p.conns) })
}

// cut breaks all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}
