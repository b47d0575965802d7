package webhooksink_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay/webhooksink"
)

// Addresses that are not the internet's are refused by New where the URL has them, in every
// notation that names one, unless their network is allowed.
func TestAddressesThatAreRefused(t *testing.T) {
	for address, want := range map[string]bool{
		"203.0.114.1": true, "1.1.1.1:8443": true, "[2606:4700::1111]": true, "example.com": true,
		"127.0.0.1": false, "127.8.9.1": false, "0.0.0.0": false, "10.0.0.1": false,
		"172.31.255.255": false, "192.168.0.1": false, "169.254.169.254": false,
		"100.100.100.200": false, "100.64.0.1": false, "192.0.2.1": false, "198.18.0.1": false,
		"224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"[::1]": false, "[::]": false, "[fe80::1]": false, "[fe80::1%25eth0]": false,
		"[fd00:ec2::254]": false, "[fec0::1]": false, "[64:ff9b::7f00:1]": false,
		"[2002:7f00:1::]": false, "[2001:db8::1]": false, "[ff02::1]": false,
		"[::127.0.0.1]":      false,
		"[::ffff:127.0.0.1]": false, "[::ffff:169.254.169.254]": false,
	} {
		_, err := webhooksink.New("http://"+address+"/hook/"+hookToken, nil)
		if (err == nil) != want {
			t.Errorf("%s: %v, want it taken: %v", address, err, want)
		}
		wrong, ok := errors.AsType[*webhooksink.OptionError](err)
		if err != nil && (!ok || wrong.Option != "URL" ||
			!strings.Contains(wrong.Problem, "in an allowed network") ||
			strings.Contains(err.Error(), hookToken)) {
			t.Errorf("%s: the error is %q", address, err)
		}
	}
	for _, tc := range []struct{ url, network string }{
		{"http://10.1.2.3", "10.1.0.0/16"},
		{"http://10.1.2.3", "10.1.2.3/16"}, // of which the mask counts
		{"http://[fd00::1]", "fd00::/8"},
		{"http://[::ffff:127.0.0.1]", "127.0.0.0/8"},
	} {
		_, err := webhooksink.New(tc.url, &webhooksink.Options{
			AllowedNetworks: []netip.Prefix{netip.MustParsePrefix(tc.network)},
		})
		if err != nil {
			t.Errorf("%s in %s: %v", tc.url, tc.network, err)
		}
	}
}

// A name that leads to such an address is refused as the socket connects.
func TestNamesThatAreRefused(t *testing.T) {
	var reached atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		reached.Store(true)
	}))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	address := "http://localhost:" + port + "/hook/" + hookToken
	for name, allowed := range map[string][]netip.Prefix{
		"nothing allowed":      nil,
		"another network":      {netip.MustParsePrefix("10.0.0.0/8")},
		"another network, too": {netip.MustParsePrefix("fd00::/8")},
	} {
		sink, err := webhooksink.New(address, &webhooksink.Options{AllowedNetworks: allowed})
		if err != nil {
			t.Fatal(err)
		}
		err = sink.Deliver(context.Background(), delivery())
		if err == nil || !strings.Contains(err.Error(), "not on the public internet") ||
			!strings.Contains(remedyOf(err), "AllowedNetworks") || lost(err) {
			t.Errorf("%s: the error is %v, want the address refused", name, err)
		}
		if status, err := sink.Reach(t.Context()); err == nil ||
			!strings.Contains(remedyOf(err), "AllowedNetworks") {
			t.Errorf("%s: Reach: %d, %v, want the address refused", name, status, err)
		}
	}
	if reached.Load() {
		t.Error("a refused address was reached")
	}
	sink, err := webhooksink.New(address, &webhooksink.Options{
		AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"),
			netip.MustParsePrefix("::1/128")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Deliver(context.Background(), delivery()); err != nil || !reached.Load() {
		t.Errorf("an allowed address: %v", err)
	}
}

// Reach asks with HEAD, shows no secret but the URL's, and any status will do.
func TestReach(t *testing.T) {
	asked := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked <- req
		w.WriteHeader(http.StatusMethodNotAllowed)
	}))
	defer server.Close()
	sink, err := webhooksink.New(server.URL+"/hook/"+hookToken, &webhooksink.Options{
		AllowedNetworks: loopback, Headers: http.Header{"X-Token": {password}},
	})
	if err != nil {
		t.Fatal(err)
	}
	status, err := sink.Reach(t.Context())
	if err != nil || status != http.StatusMethodNotAllowed {
		t.Errorf("Reach: %d, %v, want 405", status, err)
	}
	req := <-asked
	if req.Method != http.MethodHead || req.URL.Path != "/hook/"+hookToken ||
		req.Header.Get("X-Token") != "" {
		t.Errorf("the request is %s %s %v", req.Method, req.URL, req.Header)
	}
	server.Close()
	if status, err := sink.Reach(t.Context()); err == nil || strings.Contains(err.Error(), hookToken) {
		t.Errorf("Reach of a target that is away: %d, %v", status, err)
	}
}

// No redirect is followed, neither by the sink's own client nor by one that was lent.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var followed atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		followed.Store(true)
	}))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/"+hookToken, status))
		for name, client := range map[string]*http.Client{"its own": nil,
			"a lent one": http.DefaultClient} {
			err := newSink(t, server.URL, webhooksink.Options{Client: client}).
				Deliver(context.Background(), delivery())
			if err == nil || followed.Load() || strings.Contains(err.Error(), hookToken) {
				t.Errorf("status %d with %s client: followed %v, %v", status, name, followed.Load(),
					err)
			}
		}
		server.Close()
	}
	if http.DefaultClient.CheckRedirect != nil {
		t.Error("the client that was lent has changed")
	}
}

// A target that does not answer ends the attempt when the time of a lent client is over.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := roundTripper(func(r *http.Request, _ []byte) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		start := time.Now()
		err := newSink(t, "https://example.com/"+hookToken, webhooksink.Options{
			Client: &http.Client{Transport: hangs, Timeout: time.Second},
		}).Deliver(t.Context(), delivery())
		if err == nil || !strings.Contains(err.Error(), "not in time") || !lost(err) {
			t.Errorf("the error is %v, want a lost answer", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("the attempt took %v, want 1 s", took)
		}
	})
}

// A delivery whose context has ended says so, with the cause that the lane gave.
func TestContextEnds(t *testing.T) {
	late := errors.New("the attempt took too long")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(late)
	sink := newSink(t, "https://example.com/"+hookToken, webhooksink.Options{
		Client: &http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response,
			error) {
			return nil, r.Context().Err()
		})},
	})
	if err := sink.Deliver(ctx, delivery()); !errors.Is(err, late) || lost(err) {
		t.Errorf("the error is %v, want %v and no lost answer", err, late)
	}
}

// A response whose headers are longer than 64 KiB is not read to its end.
func TestLongHeaders(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 200<<10))
	}))
	defer server.Close()
	err := newSink(t, server.URL, webhooksink.Options{}).Deliver(context.Background(), delivery())
	if err == nil || !lost(err) {
		t.Errorf("the error is %v, want a lost answer", err)
	}
}

// Errors of the network say what to do, and have no secret.
func TestNoAnswer(t *testing.T) {
	plain := httptest.NewServer(replies(204, ""))
	defer plain.Close()
	untrusted := httptest.NewUnstartedServer(replies(204, ""))
	untrusted.Config.ErrorLog = log.New(t.Output(), "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	garbage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the sink may fail while it writes
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = conn.Write([]byte("you sent " + r.RequestURI + "\r\n\r\n"))
		_ = conn.Close()
	}))
	defer garbage.Close()
	proxy, err := url.Parse("http://me:" + password + "@" + closed.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	proxied := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
	err = newSink(t, "https://example.com/"+hookToken, webhooksink.Options{Client: proxied}).
		Deliver(context.Background(), delivery())
	if err == nil || !strings.Contains(remedyOf(err), "proxy") ||
		strings.Contains(err.Error(), password) {
		t.Errorf("a closed proxy: the error is %v with the remedy %q", err, remedyOf(err))
	}
	for _, tc := range []struct{ name, url, says, remedy string }{
		{"HTTP behind https", strings.Replace(plain.URL, "http:", "https:", 1), "HTTPS", "scheme"},
		{"an untrusted certificate", untrusted.URL, "certificate", "certificate"},
		{"a closed port", closed.URL, "refused", "port"},
		{"no such host", "http://host.invalid", "host.invalid", "host of the URL"},
		{"garbage", garbage.URL, "not HTTP", ""},
	} {
		err := newSink(t, tc.url+"/"+hookToken, webhooksink.Options{}).
			Deliver(context.Background(), delivery())
		if err == nil {
			t.Errorf("%s: no error", tc.name)
			continue
		}
		if !strings.Contains(err.Error(), tc.says) || !strings.Contains(remedyOf(err), tc.remedy) {
			t.Errorf("%s: the error is %q with the remedy %q", tc.name, err, remedyOf(err))
		}
		if strings.Contains(err.Error(), hookToken) {
			t.Errorf("%s: the error holds the token: %q", tc.name, err)
		}
	}
}
