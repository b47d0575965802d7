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

// sending is one request on its way out: whether it may have left, and on which connection.
type sending struct {
	left  atomic.Bool
	trace httptrace.ClientTrace

	mu   sync.Mutex // guards conn: a transport may tell of connections from goroutines of its own
	conn net.Conn   // the last that the transport told of; nil: none
}

// request returns what the transport gets of req, bound to ctx. traced says that the transport is net/http's.
//
// The request may have left once it has a connection, as httptrace tells, for then another goroutine may write at any time. A transport
// of another kind need not tell; so its body is watched too, which nobody reads without a connection. It also gets copies, as it may
// break the contract of http.RoundTripper and change them. net/http's keeps it, and it writes a body that it knows to be in memory
// together with the header; a body that is watched goes out in a second packet, for which both ends wake up once more.
func (s *sending) request(ctx context.Context, req *http.Request, traced bool) *http.Request {
	s.trace.GotConn = s.gotConn
	ctx = httptrace.WithClientTrace(ctx, &s.trace)
	if traced {
		out := req.WithContext(ctx)
		out.Header = requestHeader()
		return out
	}
	out := req.Clone(ctx)
	out.Header = requestHeader().Clone()
	out.Body = &watchedBody{req.Body, &s.left}
	out.GetBody = func() (io.ReadCloser, error) {
		body, err := req.GetBody()
		return &watchedBody{body, &s.left}, err
	}
	return out
}

// requestHeader holds no key and nothing that authorizes: PagerDuty documents the routing key in the body.
var requestHeader = sync.OnceValue(func() http.Header {
	return http.Header{"Content-Type": {"application/json"}, "User-Agent": {userAgent()}}
})

func (s *sending) gotConn(info httptrace.GotConnInfo) {
	s.left.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = info.Conn
}

// closeConnection closes the connection that the request was sent on, if the transport told of one, so that no request uses it again.
//
// An HTTP/2 connection that swallows everything in silence, as behind a NAT that has forgotten it, looks as good as any to net/http, which
// ends the one stream and goes on using the connection (golang/go#36026, golang/go#30702). Other requests on the connection are lost
// with it; they are tried again, and would most likely have met the same silence.
func (s *sending) closeConnection() {
	s.mu.Lock()
	raw := s.conn
	s.mu.Unlock()
	if raw == nil {
		return
	}
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
