package pagerduty

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
)

// tracker follows one request: whether it may have left, and on which connection.
type tracker struct {
	sent  atomic.Bool // the request may have left
	trace httptrace.ClientTrace

	mu   sync.Mutex // guards conn: a transport may report connections from its own goroutines
	conn net.Conn   // the last one that the transport reported; nil: none
}

// request returns the request to pass to the transport. std: the transport is an *http.Transport.
//
// A request may have left once it has a connection, because another goroutine may then write at any
// time. httptrace reports that. Other transports may not use httptrace, so for them the first read
// of the body counts too. They also get copies, since a transport may break the contract of
// http.RoundTripper and change the request. An *http.Transport gets the body itself: it writes a
// body that is in memory together with the header. A wrapped body goes out in a second packet.
func (t *tracker) request(ctx context.Context, req *http.Request, std bool) *http.Request {
	t.trace.GotConn = t.gotConn
	ctx = httptrace.WithClientTrace(ctx, &t.trace)
	if std {
		out := req.WithContext(ctx)
		out.Header = requestHeader()
		return out
	}
	out := req.Clone(ctx)
	out.Header = requestHeader().Clone()
	out.Body = &trackedBody{req.Body, &t.sent}
	out.GetBody = func() (io.ReadCloser, error) {
		body, err := req.GetBody()
		return &trackedBody{body, &t.sent}, err
	}
	return out
}

// requestHeader has neither a key nor an Authorization: PagerDuty documents the routing key in the
// body.
var requestHeader = sync.OnceValue(func() http.Header {
	return http.Header{"Content-Type": {"application/json"}, "User-Agent": {userAgent()}}
})

func (t *tracker) gotConn(info httptrace.GotConnInfo) {
	t.sent.Store(true)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conn = info.Conn
}

// closeConnection closes the connection of the request, if the transport reported one, so that no
// request uses it again.
//
// An HTTP/2 connection may be silent, for example behind a NAT that has forgotten it. net/http ends
// the one stream and keeps using the connection (golang/go#36026, golang/go#30702). Other requests
// on the connection fail and are tried again; most likely they would have failed too.
func (t *tracker) closeConnection() {
	t.mu.Lock()
	conn := t.conn
	t.mu.Unlock()
	if conn == nil {
		return
	}
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secured.NetConn() // Close of a tls.Conn may wait five seconds to write its alert
	}
	_ = conn.Close() // nothing else can be done with it
}

// trackedBody sets sent when it is first read.
type trackedBody struct {
	io.ReadCloser
	sent *atomic.Bool
}

func (b *trackedBody) Read(p []byte) (int, error) {
	b.sent.Store(true)
	return b.ReadCloser.Read(p)
}
