package pagerduty

import (
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// environmentProxy returns a function that selects the proxy for a URL, by the present values of
// HTTPS_PROXY, HTTP_PROXY and NO_PROXY. The error names a variable that is not valid, and does not
// repeat its value, which may have a password.
//
// http.ProxyFromEnvironment ignores a value that it cannot read and connects directly
// (golang/go#38166). Behind a firewall every event then waits, and no error names the proxy. It
// also reads the environment only once in a process.
func environmentProxy() (func(*url.URL) (*url.URL, error), error) {
	config := httpproxy.FromEnvironment()
	for _, variable := range []struct {
		lower, upper string
		value        *string
	}{
		{"https_proxy", "HTTPS_PROXY", &config.HTTPSProxy},
		{"http_proxy", "HTTP_PROXY", &config.HTTPProxy},
	} {
		if *variable.value == "" {
			continue
		}
		proxy, reason := parseProxy(*variable.value)
		if reason != "" {
			name := variable.upper
			if os.Getenv(variable.lower) != "" { // httpproxy prefers it
				name = variable.lower
			}
			return nil, fmt.Errorf("pagerduty: environment variable %s does not hold a proxy that "+
				"can be used: %s; write it as http://host:port, with special characters of a user name or "+
				"password escaped as %%XX, or unset it", name, reason)
		}
		*variable.value = proxy.String() // httpproxy reads some unclear values differently
	}
	return config.ProxyFunc(), nil
}

// parseProxy reads a proxy as httpproxy does, including a host and port without a scheme. If the
// value is not valid, it returns the reason.
func parseProxy(value string) (proxy *url.URL, reason string) {
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	proxy, err := url.Parse(value)
	if err != nil {
		return nil, "it is not a URL" // not err, which repeats the value
	}
	switch proxy.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return nil, "its scheme is none of http, https, socks5 and socks5h"
	}
	if proxy.Hostname() == "" {
		return nil, "it has no host"
	}
	if port := proxy.Port(); port != "" || strings.HasSuffix(proxy.Host, ":") {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, "its port is not from 1 to 65535"
		}
	}
	return proxy, ""
}
