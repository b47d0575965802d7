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

// Timeouts of the client's own transport; that of the whole attempt is
// defaultTimeout. Each is well below the time a person would call late, and
// above what a slow continent needs.
const (
	dialTimeout = 5 * time.Second
	tlsTimeout  = 5 * time.Second
	// Shorter than a load balancer's, so that it is rarely the server who
	// closes an idle connection just as an event goes out on it.
	idleTimeout = 45 * time.Second
	// An HTTP/2 connection on which nothing came for pingAfter is asked for a
	// sign of life, and closed if it gives none within pingTimeout: net/http
	// itself never notices that nobody is there any more (golang/go#36026). The
	// same holds for what cannot be written within writeTimeout.
	pingAfter    = 10 * time.Second
	pingTimeout  = 5 * time.Second
	writeTimeout = 5 * time.Second
)

// defaultTransport returns the transport of a client that was lent none, and the
// host of the proxy that leads to address, if there is one.
func defaultTransport(address *url.URL) (wire *http.Transport, proxyHost string, err error) {
	proxy, err := environmentProxy()
	if err != nil {
		return nil, "", err
	}
	if via, err := proxy(address); err != nil {
		return nil, "", fmt.Errorf("pagerduty: the proxy of the environment: %w", err)
	} else if via != nil {
		proxyHost = via.Host
	}
	wire = newTransport()
	wire.Proxy = func(r *http.Request) (*url.URL, error) { return proxy(r.URL) }
	return wire, proxyHost, nil
}

// newTransport returns a transport of our own, without a proxy:
// http.DefaultTransport belongs to the whole program and has no limit of connections.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    tlsTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    32,
		MaxConnsPerHost:        64,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: writeTimeout},
		// Answers have a few hundred bytes, and whatever asks for them to be
		// compressed makes the request longer.
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{MinVersion: tls.VersionTLS12},
		OnProxyConnectResponse: func(_ context.Context, proxy *url.URL, _ *http.Request, res *http.Response) error {
			if res.StatusCode != http.StatusOK {
				return &proxyError{host: proxy.Host, status: res.StatusCode}
			}
			return nil
		},
	}
}

// proxyError is a proxy that would not open the tunnel. net/http gives only
// the text of the status, which is nothing to decide by.
type proxyError struct {
	host   string
	status int
}

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy %s answered %d %s", e.host, e.status, http.StatusText(e.status))
}
