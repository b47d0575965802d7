package pagerduty

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A tcpProxy passes connections to a server. It can make them silent: they stay open and take data,
// and pass nothing on.
type tcpProxy struct {
	net.Listener
	to string

	mu       sync.Mutex
	conns    []*silenced
	accepted int
}

// silenced is one connection, which may be silent.
type silenced struct {
	net.Conn
	silent atomic.Bool
	closed chan struct{}
	once   sync.Once
}

func (c *silenced) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || !c.silent.Load() {
			return n, err
		}
	}
}

func (c *silenced) Write(p []byte) (int, error) {
	if c.silent.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *silenced) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// newTCPProxy listens on the loopback and passes every connection to address.
func newTCPProxy(t *testing.T, to string) *tcpProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &tcpProxy{Listener: l, to: to}
	var carried sync.WaitGroup
	carried.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			near := &silenced{Conn: conn, closed: make(chan struct{})}
			r.mu.Lock()
			r.conns, r.accepted = append(r.conns, near), r.accepted+1
			r.mu.Unlock()
			carried.Go(func() { carry(near, to) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.mu.Lock()
		for _, c := range r.conns {
			_ = c.Close()
		}
		r.mu.Unlock()
		carried.Wait()
	})
	return r
}

func carry(near *silenced, to string) {
	defer near.Close()
	far, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer far.Close()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1]) // until either end is closed
			done <- struct{}{}
		}()
	}
	<-done
	_ = near.Close()
	_ = far.Close()
	<-done
}

// silence makes the present connections silent, and returns them.
func (r *tcpProxy) silence() []*silenced {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.silent.Store(true)
	}
	return r.conns
}

func (r *tcpProxy) connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.accepted
}

// secureServer takes events over TLS, with HTTP/2 if h2 is true. It returns its address and the
// certificates to trust.
func secureServer(t *testing.T, h2 bool, handler http.HandlerFunc) (address string,
	trust *tls.Config) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = h2
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), server.Client().Transport.(*http.Transport).TLSClientConfig
}

func newTestClient(t *testing.T, opts *Options) *Client {
	t.Helper()
	key, err := ParseRoutingKey(exampleKey)
	if err != nil {
		t.Fatal(err)
	}
	client, err := NewClient(key, opts)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

var resolution = &Event{Action: ActionResolve, DedupKey: "a"}

// After one answer the connection becomes silent; a new connection works. The attempt after the one
// that timed out must use a new connection, also with a transport of the caller's, and also through
// the tunnel of a proxy. The timeouts are short, and nothing is measured: without the fix every
// attempt times out.
func TestReport01SilentConnectionIsNotUsedAgain(t *testing.T) {
	for _, test := range []struct {
		name             string
		h2, lent, tunnel bool
	}{
		{"HTTP/2", true, false, false},
		{"HTTP/1.1", false, false, false},
		{"HTTP/2, a lent client", true, true, false},
		{"HTTP/1.1, a lent client", false, true, false},
		{"HTTP/2 through a proxy", true, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			address, trust := secureServer(t, test.h2, func(w http.ResponseWriter, r *http.Request) {
				if (r.ProtoMajor == 2) != test.h2 {
					t.Errorf("the request came by %s", r.Proto)
				}
				accept(w)
			})
			way := newTCPProxy(t, address)
			wire := newTransport()
			// long enough for a handshake on a busy machine
			opts := &Options{BaseURL: "https://" + way.Addr().String(), AttemptTimeout: 5 * time.Second,
				Retries: 3}
			if opts.Transport = wire; test.lent {
				wire = &http.Transport{ForceAttemptHTTP2: test.h2}
				opts.Transport, opts.HTTPClient = nil, &http.Client{Transport: wire}
			}
			if test.tunnel {
				wire.Proxy = http.ProxyURL(newProxy(t, 0))
			}
			if wire.TLSClientConfig = trust.Clone(); !test.h2 {
				wire.TLSClientConfig.NextProtos = []string{"http/1.1"}
				wire.ForceAttemptHTTP2 = false
			}
			defer wire.CloseIdleConnections()
			client := newTestClient(t, opts)
			if _, err := client.Send(t.Context(), resolution); err != nil {
				t.Fatal(err)
			}
			way.silence()
			result, err := client.Send(t.Context(), resolution)
			if err != nil || result.Attempts < 2 || !result.AnswerLost {
				t.Fatalf("Send = %+v, %v; want it taken on a new connection", result, err)
			}
			if n := way.connections(); n != 2 {
				t.Errorf("%d connections, want the silent one and a new one", n)
			}
		})
	}
}

// A ping finds a connection that becomes silent while nothing is sent, so that the next event does
// not use it.
func TestIdleConnectionIsPinged(t *testing.T) {
	address, trust := secureServer(t, true, func(w http.ResponseWriter, _ *http.Request) { accept(w) })
	way := newTCPProxy(t, address)
	wire := newTransport()
	wire.TLSClientConfig = trust
	wire.HTTP2.SendPingTimeout, wire.HTTP2.PingTimeout = 50*time.Millisecond, 500*time.Millisecond
	defer wire.CloseIdleConnections()
	// a busy machine may miss a ping
	client := newTestClient(t, &Options{BaseURL: "https://" + way.Addr().String(), Transport: wire})
	if _, err := client.Send(t.Context(), resolution); err != nil {
		t.Fatal(err)
	}
	// Read returns when the client closes the silent connection. Without pings it never does.
	for _, c := range way.silence() {
		select {
		case <-c.closed:
		case <-time.After(time.Minute):
			t.Fatal("nobody has asked the connection for a sign of life in a minute")
		}
	}
	if _, err := client.Send(t.Context(), resolution); err != nil {
		t.Error(err)
	}
}

// 421 says that the connection leads to the wrong server: the next attempt uses a new one.
func TestMisdirectedRequestIsTriedOnAnotherConnection(t *testing.T) {
	for _, h2 := range []bool{true, false} {
		var requests atomic.Int32
		address, trust := secureServer(t, h2, func(w http.ResponseWriter, _ *http.Request) {
			if requests.Add(1) == 1 {
				w.WriteHeader(http.StatusMisdirectedRequest)
				return
			}
			accept(w)
		})
		way := newTCPProxy(t, address)
		wire := newTransport()
		wire.ForceAttemptHTTP2 = h2
		wire.TLSClientConfig = trust
		client := newTestClient(t, &Options{BaseURL: "https://" + way.Addr().String(), Transport: wire})
		_, err := client.Send(t.Context(), resolution)
		if e, ok := errors.AsType[*Error](err); !ok || e.Class != ClassConfig || e.Attempts != 1 {
			t.Fatalf("HTTP/2 %t: %v", h2, err)
		}
		if _, err := client.Send(t.Context(), resolution); err != nil {
			t.Errorf("HTTP/2 %t: %v", h2, err)
		}
		if n := way.connections(); n != 2 {
			t.Errorf("HTTP/2 %t: %d connections, want 2", h2, n)
		}
		wire.CloseIdleConnections()
	}
}

// newProxy starts a forward proxy. It answers its first CONNECT with status, if that is not 0, and
// all others normally.
func newProxy(t *testing.T, first int) *url.URL {
	t.Helper()
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodConnect:
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		case asked.Add(1) == 1 && first != 0:
			w.WriteHeader(first)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		carry(&silenced{Conn: conn, closed: make(chan struct{})}, r.Host)
	}))
	t.Cleanup(proxy.Close)
	address, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// A refusal by a proxy is not about the event: it is not final, there is no quick retry, and the
// next Send works.
func TestReport02ProxyThatRefusesOnce(t *testing.T) {
	for _, status := range []int{407, 403, 502, 503, 302, 429, 204} {
		address, trust := secureServer(t, true,
			func(w http.ResponseWriter, _ *http.Request) { accept(w) })
		wire := newTransport()
		wire.TLSClientConfig = trust
		wire.Proxy = http.ProxyURL(newProxy(t, status))
		client := newTestClient(t, &Options{BaseURL: "https://" + address, Transport: wire})
		_, err := client.Send(t.Context(), resolution)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Class != ClassConfig || e.Permanent() || e.AnswerLost() || e.RetryAfter() != 0 ||
			e.Attempts != 1 || e.Remedy() == "" {
			t.Errorf("%d: %+v", status, err)
		}
		if _, err := client.Send(t.Context(), resolution); err != nil {
			t.Errorf("after %d: %v", status, err)
		}
		wire.CloseIdleConnections()
	}
}

// unsetProxies removes the proxy variables of the machine's environment.
func unsetProxies(t *testing.T) {
	t.Helper()
	for _, name := range []string{"https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY",
		"no_proxy", "NO_PROXY"} {
		t.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
}
