package webhook

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func prefixes(networks ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(networks))
	for i, n := range networks {
		list[i] = netip.MustParsePrefix(n)
	}
	return list
}

func TestNetworks(t *testing.T) {
	direct := &Config{
		Allow: prefixes("198.51.100.0/24", "2001:db8::/32", "fe80::/10", "::ffff:203.0.113.0/120"),
	}
	proxied := &Config{Allow: direct.Allow, TrustedProxies: prefixes("10.0.0.0/8", "fd00::/8")}
	oneProxy := &Config{Allow: prefixes("10.0.0.0/8"), TrustedProxies: prefixes("10.0.0.1/32")}
	const good, bad, proxy, farther = "198.51.100.7", "192.0.2.66", "10.0.0.1:1", ",10.9.9.9"
	tests := map[string]struct {
		config    *Config
		peer      string
		forwarded []string
		ok        bool
	}{
		"within":                         {direct, good + ":1234", nil, true},
		"first of its network":           {direct, "198.51.100.0:1", nil, true},
		"just outside":                   {direct, "198.51.101.0:1", nil, false},
		"outside":                        {direct, bad + ":1234", nil, false},
		"IPv6":                           {direct, "[2001:db8::1]:1234", nil, true},
		"IPv6, outside":                  {direct, "[2001:db9::1]:1234", nil, false},
		"IPv6 with a zone":               {direct, "[fe80::1%eth0]:1234", nil, true},
		"IPv4 within IPv6":               {direct, "[::ffff:198.51.100.7]:1234", nil, true},
		"a network spelled as IPv6":      {direct, "203.0.113.9:1234", nil, true},
		"beside that network":            {direct, "203.0.112.9:1234", nil, false},
		"a Unix socket":                  {direct, "@", nil, false},
		"no address":                     {direct, "", nil, false},
		"no proxy is trusted":            {direct, bad + ":1", []string{good}, false},
		"no proxy is trusted, and good":  {direct, good + ":1", []string{bad}, true},
		"the peer is no proxy":           {proxied, bad + ":1", []string{good}, false},
		"by a proxy":                     {proxied, proxy, []string{good}, true},
		"by a proxy on IPv6":             {proxied, "[fd00::1]:1", []string{good}, true},
		"by a proxy within IPv6":         {proxied, "[::ffff:10.0.0.1]:1", []string{good}, true},
		"by a proxy, outside":            {proxied, proxy, []string{bad}, false},
		"written by the sender":          {proxied, proxy, []string{good + ", " + bad}, false},
		"written by the sender, and not": {proxied, proxy, []string{bad + ", " + good}, true},
		"two headers":                    {proxied, proxy, []string{good, bad}, false},
		"two headers, and good":          {proxied, proxy, []string{bad, good}, true},
		"two proxies":                    {proxied, proxy, []string{bad + "," + good + farther}, true},
		"two proxies, outside":           {proxied, proxy, []string{good + "," + bad + farther}, false},
		"with ports":                     {proxied, proxy, []string{good + ":4711, 10.9.9.9:80"}, true},
		"IPv6 with a port":               {proxied, proxy, []string{"[2001:db8::1]:4711"}, true},
		"IPv6 in brackets":               {proxied, proxy, []string{"[2001:db8::1]"}, true},
		"IPv6 bare":                      {proxied, proxy, []string{"2001:db8::1"}, true},
		"garbage last":                   {proxied, proxy, []string{good + ", unknown"}, false},
		"garbage behind the sender":      {proxied, proxy, []string{"unknown, ' or 1=1, " + good}, true},
		"garbage before a proxy":         {proxied, proxy, []string{good + ", _hidden, 10.9.9.9"}, false},
		"empty places":                   {proxied, proxy, []string{good + ", ,", ""}, true},
		"a proxy for itself":             {proxied, proxy, nil, false},
		"proxies all the way":            {proxied, proxy, []string{"10.1.1.1, 10.2.2.2"}, false},
		"an allowed proxy for itself":    {oneProxy, proxy, nil, true},
		"an allowed sender behind it":    {oneProxy, proxy, []string{good + ", 10.7.7.7"}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			req := post("text")
			req.RemoteAddr = test.peer
			for _, f := range test.forwarded {
				req.Header.Add("X-Forwarded-For", f)
			}
			test.config.NoAuth = true
			text, refusal := receive(newReceiver(t, *test.config), httptest.NewRecorder(), req)
			if test.ok && (text != "text" || refusal != nil) {
				t.Errorf("got %q, %v, want the body", text, refusal)
			}
			if !test.ok && (refusal == nil || refusal.Code != http.StatusForbidden) {
				t.Errorf("got %q, %v, want 403", text, refusal)
			}
		})
	}
}

// The network and the secret must both be right. A sender from another network does not learn
// whether its secret is valid.
func TestNetworkAndSecret(t *testing.T) {
	secret := Config{Allow: prefixes("198.51.100.0/24"), Tokens: []string{"right"}}
	noAuth := Config{Allow: secret.Allow, NoAuth: true}
	for _, test := range []struct {
		config      Config
		peer, token string
		code        int // 0 for none
	}{
		{secret, "198.51.100.7:1", "right", 0},
		{secret, "198.51.100.7:1", "wrong", http.StatusUnauthorized},
		{secret, "192.0.2.66:1", "right", http.StatusForbidden},
		{secret, "192.0.2.66:1", "wrong", http.StatusForbidden},
		{noAuth, "192.0.2.66:1", "", http.StatusForbidden},
	} {
		req := post("text")
		req.RemoteAddr = test.peer
		req.Header.Set("X-Relay-Token", test.token)
		code := 0
		_, refusal := receive(newReceiver(t, test.config), httptest.NewRecorder(), req)
		if refusal != nil {
			code = refusal.Code
		}
		if code != test.code {
			t.Errorf("from %s with the %s token: %d, want %d", test.peer, test.token, code, test.code)
		}
	}
}
