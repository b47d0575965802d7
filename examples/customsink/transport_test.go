package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"code.dny.dev/ssrf"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
)

var loopback = netip.MustParsePrefix("127.0.0.0/8")

// Addresses that are not public are refused, whatever name resolves to them, unless their network
// is allowed.
func TestPublicOnly(t *testing.T) {
	reached := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached = true
		answer(w, 0, "success")
	}))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	deliver := func(url string, allow ...netip.Prefix) error {
		event := guancetest.NewProblem("cpu").Fault(guance.LevelCritical)
		return NewFeishu(url, signingKey, allow...).Deliver(context.Background(),
			&relay.Delivery{Event: event, Problem: event.ProblemKey()})
	}
	for _, host := range []string{"127.0.0.1", "127.8.9.1", "localhost", "0.0.0.0", "10.0.0.1",
		"172.31.255.255", "192.168.0.1", "169.254.169.254", "100.100.100.200", "192.0.2.1", "198.18.0.1",
		"224.0.0.1", "240.0.0.1", "255.255.255.255", "[::ffff:127.0.0.1]"} {
		if err := deliver("http://" + host + ":" + port + "/hook/" + hookToken); !errors.Is(err,
			ssrf.ErrProhibitedIP) || strings.Contains(err.Error(), hookToken) {
			t.Errorf("%s: %v, want it refused", host, err)
		}
	}
	if reached {
		t.Error("a refused address was reached")
	}
	if err := deliver(server.URL, netip.MustParsePrefix("10.0.0.0/8")); !errors.Is(err,
		ssrf.ErrProhibitedIP) {
		t.Errorf("the loopback, where another network is allowed: %v, want it refused", err)
	}
	if err := deliver(server.URL, loopback); err != nil || !reached {
		t.Errorf("an allowed address: %v", err)
	}
}

// The address lists, without a connection.
func TestGuard(t *testing.T) {
	for address, want := range map[string]bool{
		"203.0.114.1:443": true, "1.1.1.1:8443": true, "[2606:4700::1111]:443": true,
		"[::1]:443": false, "[::]:443": false, "[fe80::1]:443": false, "[fe80::1%eth0]:443": false,
		"[fd00:ec2::254]:80": false, "[fec0::1]:443": false,
		"[64:ff9b::7f00:1]:443": false, "[2002:7f00:1::]:443": false, "[2001:db8::1]:443": false,
		"[ff02::1]:443": false, "[::127.0.0.1]:443": false,
	} {
		if err := guard(nil).Safe("tcp"+map[bool]string{true: "6", false: "4"}[address[0] == '['],
			address, nil); (err == nil) != want {
			t.Errorf("%s: %v, want it reached: %v", address, err, want)
		}
	}
	if err := guard([]netip.Prefix{netip.MustParsePrefix("fd00::/8")}).Safe("tcp6", "[fd00::1]:443",
		nil); err != nil {
		t.Errorf("an allowed address: %v", err)
	}
}

// A redirect is not followed: it would send the message and its signature elsewhere.
func TestNoRedirect(t *testing.T) {
	followed := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter,
		*http.Request) {
		followed = true
	}))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	event := guancetest.NewProblem("cpu").Fault(guance.LevelCritical)
	if err := NewFeishu(server.URL, signingKey, loopback).Deliver(context.Background(),
		&relay.Delivery{Event: event, Problem: event.ProblemKey()}); err == nil || followed {
		t.Errorf("followed: %v, %v", followed, err)
	}
}
