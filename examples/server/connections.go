package main

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// connections is a listener that bounds what a server has open. A limit alone (netutil.LimitListener) turns a thousand idle connections
// into a wall in front of the webhook; here the one that has waited longest for a whole request makes room for the next. If none
// waits, because all are being answered, the next waits for one of them.
type connections struct {
	net.Listener
	max int

	mu      sync.Mutex
	changed sync.Cond                  // a connection began to wait or is gone, or the listener was closed
	open    map[net.Conn]*list.Element // guarded by mu; nil while a request is answered
	waiting list.List                  // of net.Conn, the oldest first; guarded by mu
	closed  bool                       // guarded by mu
}

// limit bounds the connections that a server takes from a listener.
func limit(server *http.Server, l net.Listener, most int) net.Listener {
	c := &connections{Listener: l, max: most, open: make(map[net.Conn]*list.Element)}
	c.changed.L = &c.mu
	server.ConnState = c.track
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

// track is the server's ConnState. A connection is new or idle until the whole header of a request was read, however slowly it comes.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.open[conn]
	if !ok || state == http.StateNew {
		return // it was sent away, or waits since it was accepted
	}
	if e != nil {
		c.waiting.Remove(e)
	}
	switch state {
	case http.StateIdle:
		c.open[conn] = c.waiting.PushBack(conn)
		c.changed.Signal()
	case http.StateActive:
		c.open[conn] = nil
	default:
		delete(c.open, conn)
		c.changed.Signal()
	}
}
