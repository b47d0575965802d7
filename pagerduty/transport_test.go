package pagerduty

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestOwnTransportIsBounded(t *testing.T) {
	own := newTransport()
	for name, d := range map[string]time.Duration{
		"TLS handshake": own.TLSHandshakeTimeout, "idle connection": own.IdleConnTimeout,
		"whole attempt": defaultTimeout,
		"sign of life":  own.HTTP2.SendPingTimeout + own.HTTP2.PingTimeout,
		"write":         own.HTTP2.WriteByteTimeout,
	} {
		if d <= 0 || d > time.Minute {
			t.Errorf("%s: %v", name, d)
		}
	}
	if own.MaxIdleConns == 0 || own.MaxIdleConnsPerHost == 0 || own.MaxConnsPerHost == 0 ||
		own.MaxResponseHeaderBytes == 0 {
		t.Errorf("without bound: %+v", own)
	}
	if !own.ForceAttemptHTTP2 {
		t.Error("no HTTP/2")
	}
}

// accept answers as PagerDuty does.
func accept(w http.ResponseWriter) {
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"success","message":"Event processed","dedup_key":"a"}`)
}

// key is the example of PagerDuty's schema.
const exampleKey = "e93facc04764012d7bfb002500d5d1a6"

func sendTo(t *testing.T, base string, wire http.RoundTripper) *Error {
	t.Helper()
	key, err := ParseRoutingKey(exampleKey)
	if err != nil {
		t.Fatal(err)
	}
	client, err := NewClient(key, &Options{BaseURL: base, Transport: wire, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Send(t.Context(), &Event{Action: ActionResolve, DedupKey: "a"})
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("Send = %v (%T)", err, err)
	}
	return e
}

// The routing key must not go to another server in PagerDuty's place, and such an answer is not
// about the event.
func TestUntrustedCertificateStopsTheSender(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	wire := newTransport()
	defer wire.CloseIdleConnections()
	if e := sendTo(t, server.URL, wire); e == nil || e.Class != ClassConfig || e.Permanent() ||
		e.RetryAfter() != 0 || e.Attempts != 1 || !strings.Contains(e.Hint, "trusted certificates") {
		t.Errorf("error = %+v", e)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	if e := sendTo(t, "https"+plain.URL[len("http"):], wire); e == nil || e.Class != ClassConfig ||
		!strings.Contains(e.Hint, "plain HTTP") {
		t.Errorf("error = %+v", e)
	}
}

func TestHTTP2(t *testing.T) {
	var protocol atomic.Value
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		protocol.Store(r.Proto)
		accept(w)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	wire := newTransport()
	defer wire.CloseIdleConnections()
	wire.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
	if e := sendTo(t, server.URL, wire); e != nil || protocol.Load() != "HTTP/2.0" {
		t.Errorf("sent by %v: %v", protocol.Load(), e)
	}
}

func TestProxyThatRefuses(t *testing.T) {
	for status, want := range map[int]Class{407: ClassConfig, 502: ClassConfig, 403: ClassConfig} {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
			_ *http.Request) {
			w.WriteHeader(status)
		}))
		address, err := url.Parse(proxy.URL)
		if err != nil {
			t.Fatal(err)
		}
		wire := newTransport()
		wire.Proxy = http.ProxyURL(address)
		if e := sendTo(t, "https://events.example.com", wire); e == nil || e.Class != want ||
			e.Hint == "" || e.Answered() || e.MaybeAccepted {
			t.Errorf("%d: error = %+v", status, e)
		}
		proxy.Close()
	}
}

// A request that never had a connection was not accepted.
func TestNoConnectionIsNotAmbiguous(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	blackHole := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn,
		error) {
		select {
		case <-ctx.Done():
		case <-time.After(time.Hour): // the transport keeps dialling after the request was given up
		}
		return nil, errors.New("nobody answers")
	}}
	var lost *Error
	synctest.Test(t, func(t *testing.T) {
		lost = sendTo(t, closed, blackHole)
		time.Sleep(2 * time.Hour) // until the transport has given up too
	})
	for name, e := range map[string]*Error{"refused": sendTo(t, closed, newTransport()),
		"black hole": lost} {
		if e == nil || e.Class != ClassTransient || e.MaybeAccepted || e.Answered() {
			t.Errorf("%s: error = %+v", name, e)
		}
	}
}

// A request that had a connection and got no answer may have been accepted.
func TestLostConnectionIsAmbiguous(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter,
		*http.Request) {
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	for name, wire := range map[string]http.RoundTripper{
		"the standard transport": newTransport(),
		"one that wraps it":      struct{ http.RoundTripper }{newTransport()},
	} {
		if e := sendTo(t, server.URL, wire); e == nil || e.Class != ClassAmbiguous || !e.MaybeAccepted ||
			e.Answered() {
			t.Errorf("%s: error = %+v", name, e)
		}
	}
}

// Answers are read to their end, so that the connection can be used again.
func TestConnectionIsUsedAgain(t *testing.T) {
	var connections, requests atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		w.WriteHeader([]int{202, 400, 429, 503, 302}[int(requests.Add(1))%5])
		_, _ = w.Write(make([]byte, 3000))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	wire := newTransport()
	defer wire.CloseIdleConnections()
	for range 20 {
		_ = sendTo(t, server.URL, wire)
	}
	if connections.Load() != 1 || requests.Load() != 20 {
		t.Errorf("%d connections for %d requests", connections.Load(), requests.Load())
	}
}

// An event leaves in one packet, with its header.
func TestEventIsOnePacket(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		accept(w)
	}))
	defer server.Close()
	var writes atomic.Int32
	wire := newTransport()
	defer wire.CloseIdleConnections()
	dial := wire.DialContext
	wire.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return countedWrites{conn, &writes}, err
	}
	for i := range int32(3) {
		if e := sendTo(t, server.URL, wire); e != nil {
			t.Fatal(e)
		}
		if n := writes.Load(); n != i+1 {
			t.Fatalf("%d events took %d writes", i+1, n)
		}
	}
}

type countedWrites struct {
	net.Conn
	writes *atomic.Int32
}

func (c countedWrites) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}
