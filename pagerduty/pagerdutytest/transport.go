package pagerdutytest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Transport is an http.RoundTripper over a [Fake]. It opens no connection, and starts no goroutine
// but that of [Fault.IngestAfter]. So it works inside testing/synctest, where waiting takes no
// time. It answers for every host, over HTTP and HTTPS.
//
// A fault that hangs ends with the request's context. If a client in a synctest bubble has no
// timeout, synctest reports a deadlock.
type Transport struct {
	*Fake
}

// NewTransport returns a Transport with a new Fake.
func NewTransport() *Transport { return New().NewTransport() }

// NewTransport returns a Transport for f. A Fake may have several.
func (f *Fake) NewTransport() *Transport { return &Transport{f} }

// RoundTrip implements [http.RoundTripper]. Its errors are like those of net/http: the cause of the
// request's context, a *net.OpError for a broken connection, or an error about an invalid request.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	body := io.ReadCloser(http.NoBody)
	if r.Body != nil {
		body = r.Body
	}
	defer func() { _ = body.Close() }() // the error has no effect
	if err := checkRequest(r); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	x, err := t.serve(ctx, r, &measured{body: body, promised: r.ContentLength})
	if err != nil {
		return nil, err
	}
	if x.fault.Connection == Hang {
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	switch x.fault.Connection {
	case Refuse:
		return nil, broken("dial", "connect", syscall.ECONNREFUSED)
	case DropBeforeRead:
		return nil, broken("write", "write", syscall.ECONNRESET)
	case DropAfterRead:
		return nil, broken("read", "read", syscall.ECONNRESET)
	}
	return x.httpResponse(r), nil
}

func (x *exchange) httpResponse(r *http.Request) *http.Response {
	a := x.response
	length := len(a.body)
	content := io.Reader(strings.NewReader(a.body))
	if x.fault.Connection == CutAnswer {
		length = promised(a.body)
		content = io.MultiReader(strings.NewReader(a.body[:len(a.body)/2]), cut{})
	}
	header := a.header.Clone()
	header.Set("Content-Length", strconv.Itoa(length))
	header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	return &http.Response{
		Status:        strings.TrimSpace(fmt.Sprintf("%d %s", a.status, http.StatusText(a.status))),
		StatusCode:    a.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          io.NopCloser(content),
		ContentLength: int64(length),
		Request:       r,
	}
}

func broken(op, call string, errno syscall.Errno) error {
	return &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(call, errno)}
}

// checkRequest refuses what http.Transport does not send.
func checkRequest(r *http.Request) error {
	switch {
	case r.URL == nil:
		return fmt.Errorf("pagerdutytest: request without a URL")
	case r.URL.Scheme != "http" && r.URL.Scheme != "https":
		return fmt.Errorf("pagerdutytest: request to a URL with scheme %q", r.URL.Scheme)
	case r.URL.Host == "":
		return fmt.Errorf("pagerdutytest: request to a URL without a host")
	case r.Body == nil && r.ContentLength > 0:
		return fmt.Errorf("pagerdutytest: request with a length of %d and no body", r.ContentLength)
	}
	return nil
}

// measured checks the length of a body against its ContentLength, as http.Transport does. That
// finds a client that sends a body again without rewinding it.
type measured struct {
	body     io.Reader
	promised int64 // 0 or less: not known
	read     int64
}

func (m *measured) Read(p []byte) (int, error) {
	n, err := m.body.Read(p)
	m.read += int64(n)
	if m.promised > 0 && (m.read > m.promised || err == io.EOF && m.read < m.promised) {
		return n, fmt.Errorf("pagerdutytest: request with a length of %d and a body of %d bytes or more",
			m.promised, m.read)
	}
	return n, err
}

// cut ends an answer before its end.
type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
