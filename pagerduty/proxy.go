package pagerduty

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// environmentProxy returns which proxy leads to a URL, by HTTPS_PROXY, HTTP_PROXY and NO_PROXY as they are now. The error names
// the variable that does not hold a proxy, and never repeats its value, which may hold a password.
//
// http.ProxyFromEnvironment passes over what it cannot read and connects directly (golang/go#38166): behind a firewall every event
// then waits, and no error names a proxy. It also reads the environment once in the life of a program.
func environmentProxy() (func(*url.URL) (*url.URL, error), error) {
	config := httpproxy.FromEnvironment()
	for _, known := range []struct {
		names []string // in the order of httpproxy
		value *string
	}{
		{[]string{"https_proxy", "HTTPS_PROXY"}, &config.HTTPSProxy},
		{[]string{"http_proxy", "HTTP_PROXY"}, &config.HTTPProxy},
	} {
		if *known.value == "" {
			continue
		}
		proxy, fault := parseProxy(*known.value)
		if fault != "" {
			name := known.names[slices.IndexFunc(known.names, func(name string) bool { return os.Getenv(name) != "" })]
			return nil, fmt.Errorf("pagerduty: environment variable %s does not hold a proxy that can be used: %s; write it as "+
				"http://host:port, with special characters of a user name or password escaped as %%XX, or unset it", name, fault)
		}
		*known.value = proxy.String() // httpproxy reads some unsound values as others
	}
	return config.ProxyFunc(), nil
}

// parseProxy reads a proxy as httpproxy does, a host and port without a scheme included, and says what is wrong with it.
func parseProxy(value string) (proxy *url.URL, fault string) {
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	proxy, err := url.Parse(value)
	if err != nil {
		return nil, "it is not a URL" // err repeats the value
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
