package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// A certificate is a certificate with its key, of two files that may change. Each connection gets
// the last good pair.
type certificate struct {
	cert, key string
	current   atomic.Pointer[tls.Certificate]
}

// certificate returns the certificate for webhooks, and adds it to files; nil for plain HTTP.
func (c *config) certificate(files *secretFiles) (*certificate, error) {
	if c.tlsCert == "" && c.tlsKey == "" {
		return nil, nil
	}
	if c.tlsCert == "" || c.tlsKey == "" {
		return nil, errors.New("tls-cert and tls-key: set both, or none of them")
	}
	pair := &certificate{cert: c.tlsCert, key: c.tlsKey}
	if err := pair.check(); err != nil {
		return nil, err
	}
	files.add("the last good certificate stays in use", pair.check)
	return pair, nil
}

// check reads the files again. A pair that does not fit together, as in the middle of a change, or
// that has expired, does not take the place of a good one.
func (c *certificate) check() error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("tls-cert %s, tls-key %s: %w", c.cert, c.key, err)
	}
	if end := pair.Leaf.NotAfter; time.Now().After(end) {
		return fmt.Errorf("tls-cert %s: the certificate has expired at %s", c.cert,
			end.UTC().Format(time.RFC3339))
	}
	c.current.Store(&pair)
	return nil
}

// config returns the settings of a server's TLS.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
}

// isOwn returns an error unless the certificate of a connection is the present one.
func (c *certificate) isOwn(chain []*x509.Certificate) error {
	if len(chain) == 0 || !chain[0].Equal(c.current.Load().Leaf) {
		return errors.New("another certificate than the server's")
	}
	return nil
}

// onlyHTTP1 is set with TLS: the limits on connections count requests as HTTP/1.1 has them.
func onlyHTTP1() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}
