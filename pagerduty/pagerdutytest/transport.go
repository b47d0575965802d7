package pagerdutytest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// Transport is a [Fake] as an http.RoundTripper. It opens no connection and
// starts no goroutine, so it works inside testing/synctest, where time spent
// waiting costs none. It answers for every host.
type Transport struct {
	*Fake
}

// NewTransport returns a Transport with a Fake of its own.
func NewTransport() *Transport { return New().NewTransport() }

// NewTransport returns a Transport over f.
func (f *Fake) NewTransport() *Transport { return &Transport{f} }

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	var body io.Reader = http.NoBody
	if r.Body != nil {
		body = r.Body
		defer func() { _ = r.Body.Close() }() // as the contract asks; nothing hangs on it
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	x := t.serve(ctx, r.Method, r.URL.Path, r.Header, body)
	if x.fault.Connection == Hang {
		t.hang(ctx)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	switch x.fault.Connection {
	case DropBeforeRead, DropAfterRead, Hang:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	header := x.answer.header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", x.answer.contentType)
	header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	var content io.Reader = strings.NewReader(x.answer.body)
	if x.fault.Connection == CutAnswer {
		content = io.MultiReader(strings.NewReader(x.answer.body[:len(x.answer.body)/2]), cut{})
	}
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", x.answer.status, http.StatusText(x.answer.status)),
		StatusCode:    x.answer.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          io.NopCloser(content),
		ContentLength: int64(len(x.answer.body)),
		Request:       r,
	}, nil
}

// cut is where an answer breaks off.
type cut struct{}

func (cut) Read([]byte) (int, error) {
	return 0, errors.New("connection reset while reading the answer")
}
