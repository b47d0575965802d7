package pagerduty

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
)

// outbound is one request on its way out, with its own reader of the bytes, so
// that every attempt sends all of them, and with its own limit of time.
type outbound struct {
	body   []byte
	left   atomic.Bool // the request may have begun to leave
	reader bytes.Reader
	trace  httptrace.ClientTrace
	limit  attemptLimit
}

// request makes the request. standard says that it is for an http.Transport,
// which reports through httptrace and leaves URL and header alone, as the
// contract of RoundTripper has it. Not every other does; they get copies.
func (o *outbound) request(ctx context.Context, to *url.URL, standard bool) *http.Request {
	o.reader.Reset(o.body)
	header := requestHeader()
	if standard {
		// From here on the connection's own goroutine may write. Whether it
		// has done so by the time an attempt fails cannot be known.
		o.trace.GotConn = func(httptrace.GotConnInfo) { o.left.Store(true) }
		ctx = httptrace.WithClientTrace(ctx, &o.trace)
	} else {
		own := *to
		to, header = &own, header.Clone()
	}
	req := blankRequest.WithContext(ctx)
	req.URL, req.Host, req.Header = to, to.Host, header
	req.ContentLength = int64(len(o.body))
	req.Body = o.open(&o.reader, standard)
	req.GetBody = func() (io.ReadCloser, error) { return o.open(bytes.NewReader(o.body), standard), nil }
	return req
}

// blankRequest is what is the same in every request.
var blankRequest = http.Request{Method: http.MethodPost, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}

// requestHeader holds no key, and nothing that authorizes: the routing key is
// in the body, where PagerDuty documents it.
var requestHeader = sync.OnceValue(func() http.Header {
	return http.Header{"Content-Type": {"application/json"}, "User-Agent": {userAgent()}}
})

// open returns a body. The standard transport gets it bare: it writes what it
// knows to be in memory together with the header, and all else after it.
func (o *outbound) open(r *bytes.Reader, standard bool) io.ReadCloser {
	if standard {
		return io.NopCloser(r)
	}
	return &watchedBody{r: r, left: &o.left}
}

// watchedBody tells when it is first read, which is when it begins to leave:
// a transport reads no body before it has a connection to send it on.
type watchedBody struct {
	r    *bytes.Reader
	left *atomic.Bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.left.Store(true)
	return b.r.Read(p)
}

func (b *watchedBody) Close() error { return nil }
