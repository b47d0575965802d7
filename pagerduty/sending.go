package pagerduty

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// sending is one request on its way out: whether it may have left, and on which connection.
type sending struct {
	left atomic.Bool
	conn atomic.Pointer[net.Conn]
}

// request returns a copy of req for the transport, which may change it, bound to ctx.
//
// That a request may have left is told by its body: no transport reads one before it has a connection to send it on. net/http then
// sends the header and the body in two packets. Refused: going by httptrace for http.Transport and by the body for any other, which
// spares the packet and is two ways to be wrong.
func (s *sending) request(ctx context.Context, req *http.Request) *http.Request {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { s.conn.Store(&info.Conn) },
	})
	out := req.Clone(ctx)
	out.Body = &watchedBody{req.Body, &s.left}
	out.GetBody = func() (io.ReadCloser, error) {
		body, err := req.GetBody()
		return &watchedBody{body, &s.left}, err
	}
	return out
}

// closeConnection closes the connection that the request was sent on, if the transport told of one, so that no request uses it again.
//
// An HTTP/2 connection that swallows everything in silence, as behind a NAT that has forgotten it, looks as good as any to net/http, which
// ends the one stream and goes on using the connection (golang/go#36026, golang/go#30702). Other requests on the connection are lost
// with it; they are tried again, and would most likely have met the same silence.
func (s *sending) closeConnection() {
	conn := s.conn.Load()
	if conn == nil {
		return
	}
	raw := *conn
	if secured, ok := raw.(interface{ NetConn() net.Conn }); ok {
		raw = secured.NetConn() // the Close of a tls.Conn may wait five seconds for a farewell to be written
	}
	_ = raw.Close() // there is nothing more to do to it
}

// watchedBody tells when it is first read, which is when it begins to leave.
type watchedBody struct {
	io.ReadCloser
	left *atomic.Bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.left.Store(true)
	return b.ReadCloser.Read(p)
}
