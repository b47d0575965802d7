package pagerduty

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Timeouts of the client's own transport; those of the whole attempt are
// defaultBounds. Each is well below the time a person would call late, and
// above what a slow continent needs.
const (
	dialTimeout = 5 * time.Second
	tlsTimeout  = 5 * time.Second
	// Shorter than a load balancer's, so that it is rarely the server who
	// closes an idle connection just as an event goes out on it.
	idleTimeout = 45 * time.Second
)

// newTransport returns a transport of our own: http.DefaultTransport belongs
// to the whole program and has no limit of connections.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    tlsTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    32,
		MaxConnsPerHost:        64,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		// Answers have a few hundred bytes, and whatever asks for them to be
		// compressed makes the request longer.
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{MinVersion: tls.VersionTLS12},
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, res *http.Response) error {
			if res.StatusCode != http.StatusOK {
				return &proxyError{status: res.StatusCode}
			}
			return nil
		},
	}
}

// proxyError is a proxy that would not open the tunnel. net/http gives only
// the text of the status, which is nothing to decide by.
type proxyError struct{ status int }

func (e *proxyError) Error() string {
	return fmt.Sprintf("proxy answered %d %s", e.status, http.StatusText(e.status))
}
