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

// Timeouts of the default transport. defaultTimeout is for the whole attempt.
const (
	dialTimeout = 5 * time.Second
	tlsTimeout  = 5 * time.Second
	// Shorter than a load balancer's: otherwise the server may close an idle connection while an event
	// is being sent on it.
	idleTimeout = 45 * time.Second
	// An HTTP/2 connection that is silent for pingAfter gets a ping, and is closed without an answer
	// after pingTimeout. net/http does not find a dead connection by itself (golang/go#36026). A
	// connection on which a write takes longer than writeTimeout is closed too.
	pingAfter    = 10 * time.Second
	pingTimeout  = 5 * time.Second
	writeTimeout = 5 * time.Second
)

// defaultTransport returns the transport for a client whose options have none, and the host of the
// proxy for address, if there is one.
func defaultTransport(address *url.URL) (wire *http.Transport, proxyHost string, err error) {
	proxy, err := environmentProxy()
	if err != nil {
		return nil, "", err
	}
	if via, err := proxy(address); err != nil {
		return nil, "", fmt.Errorf("pagerduty: proxy of the environment: %w", err)
	} else if via != nil {
		proxyHost = via.Host
	}
	wire = newTransport()
	wire.Proxy = func(r *http.Request) (*url.URL, error) { return proxy(r.URL) }
	return wire, proxyHost, nil
}

// newTransport returns a transport without a proxy. http.DefaultTransport is shared by the whole
// program and does not limit connections.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    tlsTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    32,
		MaxConnsPerHost:        64,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: writeTimeout,
		},
		// Answers are short, and asking for compression makes the request longer.
		DisableCompression:     true,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		OnProxyConnectResponse: checkProxy,
	}
}

func checkProxy(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return &proxyError{host: proxy.Host, status: resp.StatusCode}
	}
	return nil
}

// proxyError is the refusal of a proxy to open a tunnel. net/http's own error has only a text.
type proxyError struct {
	host   string
	status int
}

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy %s answered %d %s", e.host, e.status, http.StatusText(e.status))
}
