package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// pair writes a certificate for localhost and its key, and returns the certificate.
func pair(t *testing.T, dir string, serial int64, ends time.Time) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour),
		NotAfter: ends, Subject: pkix.Name{CommonName: "localhost"}, IsCA: true,
		BasicConstraintsValid: true, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serial connects to a server that has a certificate, and returns its serial number.
func (p *process) serial(t *testing.T, trusted *x509.Certificate) int64 {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(trusted)
	conn, err := tls.Dial("tcp", p.address(), &tls.Config{RootCAs: roots, ServerName: "localhost",
		NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		return 0
	}
	defer conn.Close()
	if proto := conn.ConnectionState().NegotiatedProtocol; proto != "http/1.1" {
		t.Errorf("the server speaks %s", proto)
	}
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// A certificate that changes is used without a restart. A bad one leaves the old one in force.
func TestCertificateChanges(t *testing.T) {
	dir := t.TempDir()
	first := pair(t, dir, 1, time.Now().Add(time.Hour))
	p := start(t, "RELAY_DATA="+t.TempDir(), "PAGERDUTY_URL=http://127.0.0.1:1",
		"RELAY_TLS_CERT="+dir+"/cert.pem", "RELAY_TLS_KEY="+dir+"/key.pem")
	roots := x509.NewCertPool()
	roots.AddCert(first)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	post := func() {
		t.Helper()
		resp, err := client.Post("https://"+p.address()+"/guance?token="+token, "application/json",
			strings.NewReader(string(sample)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			t.Errorf("a webhook is answered %s", resp.Status)
		}
	}
	post()
	if got := p.serial(t, first); got != 1 {
		t.Errorf("the certificate has the number %d", got)
	}
	hup := func() {
		t.Helper()
		if err := p.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	for i, bad := range []func(){
		func() { write(t, dir+"/cert.pem", "no certificate") },
		func() { pair(t, dir, 2, time.Now().Add(-time.Minute)) }, // it has expired
	} {
		bad()
		hup()
		p.waitLog(t, "the last good certificate stays in use", i+1)
		if got := p.serial(t, first); got != 1 {
			t.Errorf("after a bad one, the certificate has the number %d", got)
		}
	}
	third := pair(t, dir, 3, time.Now().Add(time.Hour))
	hup()
	p.waitLog(t, "the secret files were read again", 1)
	if got := p.serial(t, third); got != 3 {
		t.Errorf("the certificate has the number %d, want that of the new one", got)
	}
	client.CloseIdleConnections()
	for range 40 { // connections that end are no longer counted
		p.serial(t, third)
	}
	if strings.Contains(p.output(), "panic") {
		t.Error(p.output())
	}
	status, _, errs := tool(t, []string{"RELAY_TLS_CERT=" + dir + "/cert.pem",
		"RELAY_DATA=" + t.TempDir()})
	if status != 2 || !strings.Contains(errs, "set both") {
		t.Errorf("a certificate without a key: %d %s", status, errs)
	}
}

// The server reports a dead letter through the lane of the watch, and its end. Heartbeats come all
// the way, over TLS too, and neither routes nor the fallback see them.
func TestSelfWatch(t *testing.T) {
	t.Parallel() // it mostly waits
	pd := pagerdutytest.NewServer()
	t.Cleanup(pd.Close)
	poison(pd, "a-poisonous-problem")
	var beats atomic.Int64
	dead := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPost && req.URL.Path == "/ping" {
			beats.Add(1)
		}
	}))
	t.Cleanup(dead.Close)
	dir := t.TempDir()
	pair(t, dir, 1, time.Now().Add(time.Hour))
	file := filepath.Join(dir, "relay.yaml")
	lane := fmt.Sprintf("type: pagerduty, base_url: '%s'", pd.URL)
	write(t, file, `sources:
  default: {tokens: [env:TOKEN], allow: [192.0.2.0/24, 127.0.0.1]}
lanes:
  payments: {`+lane+`, key: env:KEY_A}
  oncall: {`+lane+`, key: env:KEY_B}
  rest: {`+lane+`, key: env:KEY_F}
routes:
  - when: level >= critical
    lanes: [payments]
fallback: rest
watch:
  lane: oncall
  silence: 1h
  heartbeat_url: env:SWITCH
  heartbeat_every: 5s
  heartbeat_networks: [127.0.0.0/8]
listeners: {tls_cert: cert.pem, tls_key: key.pem}
`)
	p := start(t, append(fileEnv(file, t.TempDir()), "SWITCH="+dead.URL+"/ping")...)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	resp, err := client.Post("https://"+p.address()+"/guance?token="+token, "application/json",
		strings.NewReader(fault("a-poisonous-problem")))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	const problem = "source:relay-watch:dead/payments"
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: not within a minute\n%s", what, p.output())
			}
		}
	}
	if err := pd.WaitOpen(within(t, time.Minute), problem); err != nil {
		t.Fatalf("%v\n%s", err, p.output())
	}
	if code, said := p.ask(t, "POST", "/console/api/drop?lane=payments&seq=1"); code != http.StatusOK {
		t.Fatal(said)
	}
	if err := pd.WaitResolved(within(t, time.Minute), problem); err != nil {
		t.Fatalf("%v\n%s", err, p.output())
	}
	until("two heartbeats", func() bool { return beats.Load() >= 2 })
	for _, r := range pd.Requests() {
		if r.DedupKey != problem && r.DedupKey != "a-poisonous-problem" {
			t.Errorf("PagerDuty got %s", r.Body)
		}
	}
	if code, said := p.ask(t, "POST", "/reload"); code != http.StatusOK {
		t.Errorf("reload: %d %s", code, said)
	}
	before := beats.Load()
	until("a heartbeat after a reload", func() bool { return beats.Load() > before })
}
