package main

import (
	"container/list"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// connections is a listener that bounds what a server has open. A limit alone (netutil.LimitListener) turns a thousand idle connections
// into a wall in front of the webhook; here the one that waits for the longest makes room for the next. A connection waits, for a request
// or for the rest of one, unless the server owes it an answer: a thousand senders that announce a body and never send it are
// no better than a thousand that say nothing. If none waits, because all are being answered, the next waits for one of them.
type connections struct {
	net.Listener
	max int

	mu      sync.Mutex
	changed sync.Cond                  // a connection began to wait or is gone, or the listener was closed
	open    map[net.Conn]*list.Element // guarded by mu; nil while a request that has arrived whole is answered
	waiting list.List                  // of net.Conn, the one that waits for the longest first; guarded by mu
	closed  bool                       // guarded by mu
}

// limit bounds the connections that a server takes from a listener.
func limit(server *http.Server, l net.Listener, most int) net.Listener {
	c := &connections{Listener: l, max: most, open: make(map[net.Conn]*list.Element)}
	c.changed.L = &c.mu
	server.ConnState = c.track
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connection{}, conn)
	}
	server.Handler = c.answering(server.Handler)
	return c
}

// Accept returns the next connection once there is room for it.
func (c *connections) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.open) >= c.max && !c.closed {
		oldest := c.waiting.Front()
		if oldest == nil {
			c.changed.Wait()
			continue
		}
		leaves := c.waiting.Remove(oldest).(net.Conn)
		delete(c.open, leaves)
		_ = leaves.Close() // its server goroutine sees it and ends
	}
	if c.closed {
		_ = conn.Close() // nobody will answer it
		return nil, net.ErrClosed
	}
	c.open[conn] = c.waiting.PushBack(conn)
	return conn, nil
}

// Close closes the listener and sends away who waits to be let in.
func (c *connections) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.changed.Broadcast()
	return c.Listener.Close()
}

// track is the server's ConnState. Each step that a client takes is a new start: a connection, the header of a request, an answer.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateActive, http.StateIdle:
		c.wait(conn)
	case http.StateClosed, http.StateHijacked:
		c.mu.Lock()
		defer c.mu.Unlock()
		if e := c.open[conn]; e != nil {
			c.waiting.Remove(e)
		}
		delete(c.open, conn)
		c.changed.Signal()
	}
}

// wait puts a connection at the end of those that wait, unless it was sent away.
func (c *connections) wait(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.open[conn]
	switch {
	case e != nil:
		c.waiting.MoveToBack(e)
	case ok:
		c.open[conn] = c.waiting.PushBack(conn)
		c.changed.Signal()
	}
}

// answer keeps a connection until its request is answered, unless it was sent away.
func (c *connections) answer(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.open[conn]; e != nil {
		c.waiting.Remove(e)
		c.open[conn] = nil
	}
}

// connection is the key of a request's connection in its context.
type connection struct{}

// readTime is how long a client may take to read an answer. All of them are small: one that is not read at once has nobody to read it.
const readTime = 5 * time.Second

// answering is a server's handler that knows whether a request has arrived whole.
func (c *connections) answering(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		conn := req.Context().Value(connection{}).(net.Conn)
		if req.Body == http.NoBody {
			c.answer(conn)
		} else {
			req = req.WithContext(req.Context()) // a copy: net/http looks at what is left of the body in its own
			req.Body = &arriving{req.Body, func() { c.answer(conn) }}
		}
		defer func() { _ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(readTime)) }() // else it is the server's
		h.ServeHTTP(w, req)
	})
}

// arriving is a body that says when it was read to its end.
type arriving struct {
	io.ReadCloser
	arrived func()
}

func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err == io.EOF {
		a.arrived()
	}
	return n, err
}
