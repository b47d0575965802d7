package pagerduty

import (
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

// A proxy variable that is not valid is an error of NewClient. The error names the variable, and
// not the password.
func TestReport13ProxyOfTheEnvironmentThatCannotBeUsed(t *testing.T) {
	key, err := ParseRoutingKey(exampleKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		for _, value := range []string{
			"http://user:pa%sshunter2@proxy.example.com:3128", "user:pa%sshunter2@proxy.example.com:3128",
			"http://user:hunter2@proxy.example.com:port",
			"http://user:hunter2@proxy.example.com:99999", "http://user:hunter2@proxy.example.com:0",
			"http://user:hunter2@proxy.example.com:",
			"ftp://user:hunter2@proxy.example.com", "htp://proxy.example.com/hunter2",
			"http://user:hunter2@", "http://user:hunter2@proxy.example.com:3128\n",
			"http://user:hunter2@pro xy.example.com", "http://", "://hunter2", " ",
			"http://user:hunter2@[::1:3128",
		} {
			unsetProxies(t)
			t.Setenv(name, value)
			_, err := NewClient(key, nil)
			if err == nil || !strings.Contains(err.Error(), name) ||
				strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "user:") {
				t.Errorf("%s=%q: %v", name, value, err)
			}
			if _, err := NewClient(key, &Options{Transport: new(http.Transport)}); err != nil {
				t.Errorf("%s=%q and a transport of the caller's: %v", name, value, err)
			}
		}
	}
}

func TestProxyOfTheEnvironment(t *testing.T) {
	for value, want := range map[string]string{
		"":                              "",
		"http://proxy.example.com:3128": "proxy.example.com:3128",
		"proxy.example.com:3128":        "proxy.example.com:3128",
		"10.0.0.1:3128":                 "10.0.0.1:3128",
		"proxy":                         "proxy",
		"user:pa%25ss@proxy:3128":       "proxy:3128",
		"https://u:p@proxy.example.com": "proxy.example.com",
		"socks5://proxy.example.com":    "proxy.example.com",
		"HTTP://[2001:db8::1]:3128/":    "[2001:db8::1]:3128",
	} {
		unsetProxies(t)
		t.Setenv("HTTPS_PROXY", value)
		client := newTestClient(t, nil)
		request, err := http.NewRequest(http.MethodPost, "https://events.pagerduty.com/v2/enqueue", nil)
		if err != nil {
			t.Fatal(err)
		}
		proxy, err := client.core.transport.(*http.Transport).Proxy(request)
		if err != nil || client.core.proxy != want || (proxy == nil) != (want == "") || proxy != nil &&
			proxy.Host != want {
			t.Errorf("HTTPS_PROXY=%q: by %v, %q, %v; want %q", value, proxy, client.core.proxy, err, want)
		}
	}
	// NO_PROXY is read, and lower case is preferred, as in every Go program.
	unsetProxies(t)
	t.Setenv("HTTPS_PROXY", "http://upper.example.com")
	t.Setenv("https_proxy", "http://lower.example.com")
	if got := newTestClient(t, nil).core.proxy; got != "lower.example.com" {
		t.Errorf("goes by %q", got)
	}
	t.Setenv("NO_PROXY", "pagerduty.com")
	if got := newTestClient(t, nil).core.proxy; got != "" {
		t.Errorf("goes by %q although NO_PROXY says not to", got)
	}
}

// The error says that the proxy cannot be reached, and does not have its password.
func TestErrorsNameTheProxy(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	unsetProxies(t)
	t.Setenv("HTTPS_PROXY", "http://user:hunter2@"+address)
	client := newTestClient(t, &Options{BaseURL: "https://events.example.com", Retries: -1})
	_, err = client.Send(t.Context(), resolution)
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Class != ClassTransient || !strings.Contains(e.Error(), address) ||
		!strings.Contains(e.Remedy(), "proxy") || strings.Contains(e.Error(), "hunter2") {
		t.Errorf("Send = %v", err)
	}
	if late := (&timeoutError{proxy: address}); !strings.Contains(late.Error(), address) ||
		!errors.Is(late, os.ErrDeadlineExceeded) {
		t.Errorf("a time-out says %v", late)
	}
}
