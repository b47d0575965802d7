package main

import (
	"container/list"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// maxUnlisted is how many connections all clients together have whose network may not send
// webhooks. They are not refused at once, because the probes of a load balancer or of Kubernetes
// use the same listener.
const maxUnlisted = 32

// connections is a listener that bounds the open connections of a server. At the limit it closes a
// connection of the client that has most of them: the one that has waited longest for a request.
// So a client that opens a thousand connections displaces itself, and a slow sender keeps its own.
// netutil.LimitListener has a limit alone: a thousand idle connections would keep webhooks out.
//
// A connection waits until it has delivered a whole request, header and body: a thousand clients
// that announce a body and never send it do the same harm as a thousand silent ones. A connection
// that is being answered is never closed. If all are, the new one waits.
type connections struct {
	net.Listener
	max     int
	proxies []netip.Prefix // each of their connections counts as a client of its own

	mu       sync.Mutex
	allow    []netip.Prefix           // guarded by mu: who may send webhooks; empty: everybody
	changed  sync.Cond                // a connection waits or is gone, or the listener is closed
	open     map[net.Conn]*connection // guarded by mu
	clients  map[clientKey]*client    // guarded by mu: those that have open connections
	unlisted int                      // guarded by mu: connections of unlisted clients
	waits    uint64                   // guarded by mu: how often a connection began to wait
	closed   bool                     // guarded by mu
}

// A clientKey identifies a client: an IPv4 address; an IPv6 network of 64 bits, which is what one
// customer has (RFC 6177); or, behind a trusted proxy, one connection.
type clientKey struct {
	network netip.Prefix
	conn    net.Conn
}

// A client is whoever has open connections.
type client struct {
	unlisted bool
	open     int
	waiting  list.List // of *connection, longest waiting first
}

// A connection is an open connection.
type connection struct {
	conn    net.Conn
	key     clientKey
	client  *client
	waiting *list.Element // nil while a request is answered
	since   uint64        // the value of connections.waits when it began to wait
}

// limitConnections bounds the connections that a server accepts from a listener.
func limitConnections(server *http.Server, l net.Listener, max int,
	allow, proxies []netip.Prefix) *connections {
	c := &connections{
		Listener: l, max: max, allow: allow, proxies: proxies,
		open: make(map[net.Conn]*connection), clients: make(map[clientKey]*client),
	}
	c.changed.L = &c.mu
	server.ConnState = c.track
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, accepted(conn))
	}
	server.Handler = c.handler(server.Handler)
	return c
}

// setAllow changes the networks that may send webhooks, for new connections.
func (c *connections) setAllow(allow []netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.allow = allow
}

// Accept returns the next connection, as soon as the limit allows one more.
func (c *connections) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		added, err := c.add(conn)
		if err != nil || added {
			return conn, err
		}
	}
}

// add adds a connection, after closing another one if it must. It reports false, and closes conn,
// if the unlisted clients have no room for it.
func (c *connections) add(conn net.Conn) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key, unlisted := c.identify(conn)
	if unlisted && c.unlisted >= min(maxUnlisted, max(1, c.max/2)) && !c.evict(true) {
		_ = conn.Close() // waiting for room would delay the listed clients behind it
		return false, nil
	}
	for len(c.open) >= c.max && !c.closed {
		if !c.evict(false) {
			c.changed.Wait()
		}
	}
	if c.closed {
		_ = conn.Close() // the server has stopped
		return false, net.ErrClosed
	}
	owner := c.clients[key]
	if owner == nil {
		owner = &client{unlisted: unlisted}
		c.clients[key] = owner
	}
	owner.open++
	if unlisted {
		c.unlisted++
	}
	c.open[conn] = &connection{conn: conn, key: key, client: owner}
	c.wait(conn)
	return true, nil
}

// identify returns the client of a connection, and whether its network may not send webhooks. mu is
// held.
func (c *connections) identify(conn net.Conn) (key clientKey, unlisted bool) {
	remote, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return clientKey{conn: conn}, len(c.allow) > 0 // not TCP
	}
	addr := remote.Addr().Unmap().WithZone("")
	contains := func(p netip.Prefix) bool { return p.Contains(addr) }
	if slices.ContainsFunc(c.proxies, contains) {
		return clientKey{conn: conn}, false
	}
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	network, _ := addr.Prefix(bits) // fails only for too many bits
	return clientKey{network: network}, len(c.allow) > 0 && !slices.ContainsFunc(c.allow, contains)
}

// evict closes the longest waiting connection of the client with most connections; of two such
// clients, the one that has waited longer. It reports whether there was one. The caller holds mu.
func (c *connections) evict(unlistedOnly bool) bool {
	var victim *connection
	for _, owner := range c.clients {
		first := owner.waiting.Front()
		if first == nil || unlistedOnly && !owner.unlisted {
			continue
		}
		oldest := first.Value.(*connection)
		if victim == nil || owner.open > victim.client.open ||
			owner.open == victim.client.open && oldest.since < victim.since {
			victim = oldest
		}
	}
	if victim == nil {
		return false
	}
	c.remove(victim)
	_ = victim.conn.Close() // the server's goroutine sees it and ends
	return true
}

// remove removes a connection. The caller holds mu.
func (c *connections) remove(e *connection) {
	if e.waiting != nil {
		e.client.waiting.Remove(e.waiting)
	}
	delete(c.open, e.conn)
	if e.client.unlisted {
		c.unlisted--
	}
	if e.client.open--; e.client.open == 0 {
		delete(c.clients, e.key)
	}
}

// Close closes the listener, and the connection that waits for room.
func (c *connections) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.changed.Broadcast()
	return c.Listener.Close()
}

// track is the server's ConnState hook.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	conn = accepted(conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateActive, http.StateIdle: // the wait begins anew with a header and with an answer
		c.wait(conn)
	case http.StateClosed, http.StateHijacked:
		if e := c.open[conn]; e != nil {
			c.remove(e)
			c.changed.Signal()
		}
	}
}

// accepted returns the connection that Accept has returned, below TLS.
func accepted(conn net.Conn) net.Conn {
	if secure, ok := conn.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return conn
}

// wait makes a connection the last of its client's waiting ones. The caller holds mu.
func (c *connections) wait(conn net.Conn) {
	e := c.open[conn]
	if e == nil {
		return // evicted
	}
	if e.waiting != nil {
		e.client.waiting.Remove(e.waiting)
	}
	c.waits++
	e.since, e.waiting = c.waits, e.client.waiting.PushBack(e)
	c.changed.Signal()
}

// serve keeps a connection open until its request is answered.
func (c *connections) serve(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.open[conn]; e != nil && e.waiting != nil {
		e.client.waiting.Remove(e.waiting)
		e.waiting = nil
	}
}

// connKey is the context key of a request's connection.
type connKey struct{}

// answerTimeout is how long a client may take to read an answer. All answers are small.
const answerTimeout = 5 * time.Second

// handler wraps the server's handler: it notices when a request has arrived whole.
func (c *connections) handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		conn := req.Context().Value(connKey{}).(net.Conn)
		if req.Body == http.NoBody {
			c.serve(conn)
		} else {
			req = req.WithContext(req.Context()) // net/http keeps using the Body of its own request
			req.Body = &body{req.Body, func() { c.serve(conn) }}
		}
		// Without this, the server's longer WriteTimeout would hold.
		defer func() {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout))
		}()
		h.ServeHTTP(w, req)
	})
}

// A body calls atEOF when it has been read to its end.
type body struct {
	io.ReadCloser
	atEOF func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.atEOF()
	}
	return n, err
}
