package main

import (
	"container/list"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// strangersMax is how many connections all networks together have that no webhook can come from. They are not refused, because
// the probes of a load balancer or of Kubernetes come to the same listener.
const strangersMax = 32

// connections is a listener that bounds what a server has open. A limit alone (netutil.LimitListener) turns a thousand idle connections
// into a wall in front of the webhook. Here one connection makes room for the next: of the address that has most of them, the one that waits
// for the longest. So whoever opens a thousand displaces himself, and a sender that is slow keeps its place.
//
// A connection waits, for a request or for the rest of one, unless the server owes it an answer: a thousand senders that announce a body and
// never send it are no better than a thousand that say nothing. If none waits, because all are being answered, the next waits for one of
// them.
type connections struct {
	net.Listener
	max     int
	allow   []netip.Prefix // who may send webhooks; empty: everybody
	proxies []netip.Prefix // speak for many, so that each of their connections counts as an address of its own

	mu        sync.Mutex
	changed   sync.Cond          // a connection began to wait or is gone, or the listener was closed
	open      map[net.Conn]*held // guarded by mu
	holders   map[origin]*holder // guarded by mu; those of open
	strangers int                // guarded by mu: how many of open are those of strangers
	turns     uint64             // guarded by mu: counts how often a connection began to wait
	closed    bool               // guarded by mu
}

// An origin is who holds connections: an address, a network of 64 bits of IPv6, which is what one customer has (RFC 6177), or one
// connection alone.
type origin struct {
	network netip.Prefix
	conn    net.Conn
}

// A holder has the connections of an origin.
type holder struct {
	stranger bool
	open     int
	waiting  list.List // of *held, the one that waits for the longest first
}

// held is a connection.
type held struct {
	conn    net.Conn
	origin  origin
	holder  *holder
	waiting *list.Element // nil while a request that has arrived whole is answered
	since   uint64        // the turn in which it began to wait
}

// limit bounds the connections that a server takes from a listener.
func limit(server *http.Server, l net.Listener, most int, allow, proxies []netip.Prefix) net.Listener {
	c := &connections{Listener: l, max: most, allow: allow, proxies: proxies, open: make(map[net.Conn]*held), holders: make(map[origin]*holder)}
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
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		taken, err := c.take(conn)
		if err != nil || taken {
			return conn, err
		}
	}
}

// take makes room for a connection. It closes one that there is no room for.
func (c *connections) take(conn net.Conn) (bool, error) {
	from, stranger := c.origin(conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if stranger && c.strangers >= min(strangersMax, max(1, c.max/2)) && !c.displace(true) {
		_ = conn.Close() // to wait for a stranger would let everybody wait
		return false, nil
	}
	for len(c.open) >= c.max && !c.closed {
		if !c.displace(false) {
			c.changed.Wait()
		}
	}
	if c.closed {
		_ = conn.Close() // nobody will answer it
		return false, net.ErrClosed
	}
	h := c.holders[from]
	if h == nil {
		h = &holder{stranger: stranger}
		c.holders[from] = h
	}
	h.open++
	if stranger {
		c.strangers++
	}
	c.open[conn] = &held{conn: conn, origin: from, holder: h}
	c.wait(conn)
	return true, nil
}

// origin returns who a connection comes from, and whether no webhook can come from there.
func (c *connections) origin(conn net.Conn) (origin, bool) {
	remote, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return origin{conn: conn}, len(c.allow) > 0 // no TCP
	}
	addr := remote.Addr().Unmap().WithZone("")
	within := func(p netip.Prefix) bool { return p.Contains(addr) }
	if slices.ContainsFunc(c.proxies, within) {
		return origin{conn: conn}, false
	}
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	network, _ := addr.Prefix(bits) // the bits fit
	return origin{network: network}, len(c.allow) > 0 && !slices.ContainsFunc(c.allow, within)
}

// displace closes the connection that has waited for the longest, of the holder that has most of them; of two that have as many, the one
// that waits for longer. It reports whether there was one. It looks at all holders, at most as many as there are connections. It is called with
// mu held.
func (c *connections) displace(strangers bool) bool {
	var leaves *held
	for _, h := range c.holders {
		first := h.waiting.Front()
		if first == nil || strangers && !h.stranger {
			continue
		}
		oldest := first.Value.(*held)
		if leaves == nil || h.open > leaves.holder.open || h.open == leaves.holder.open && oldest.since < leaves.since {
			leaves = oldest
		}
	}
	if leaves == nil {
		return false
	}
	c.forget(leaves)
	_ = leaves.conn.Close() // its server goroutine sees it and ends
	return true
}

// forget is called with mu held.
func (c *connections) forget(e *held) {
	if e.waiting != nil {
		e.holder.waiting.Remove(e.waiting)
	}
	delete(c.open, e.conn)
	if e.holder.stranger {
		c.strangers--
	}
	if e.holder.open--; e.holder.open == 0 {
		delete(c.holders, e.origin)
	}
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
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateActive, http.StateIdle:
		c.wait(conn)
	case http.StateClosed, http.StateHijacked:
		if e := c.open[conn]; e != nil {
			c.forget(e)
			c.changed.Signal()
		}
	}
}

// wait puts a connection at the end of those that wait, unless it was sent away. It is called with mu held.
func (c *connections) wait(conn net.Conn) {
	e := c.open[conn]
	if e == nil {
		return
	}
	if e.waiting != nil {
		e.holder.waiting.Remove(e.waiting)
	}
	c.turns++
	e.since, e.waiting = c.turns, e.holder.waiting.PushBack(e)
	c.changed.Signal()
}

// answer keeps a connection until its request is answered, unless it was sent away.
func (c *connections) answer(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.open[conn]; e != nil && e.waiting != nil {
		e.holder.waiting.Remove(e.waiting)
		e.waiting = nil
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
