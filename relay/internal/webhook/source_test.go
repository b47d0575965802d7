package webhook

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func from(peer string, change ...func(*http.Request)) *http.Request {
	req := post("text")
	req.RemoteAddr = peer + ":1"
	for _, c := range change {
		c(req)
	}
	return req
}

func header(name, value string) func(*http.Request) {
	return func(req *http.Request) { req.Header.Set(name, value) }
}

func basic(user, password string) func(*http.Request) {
	return func(req *http.Request) { req.SetBasicAuth(user, password) }
}

func TestSources(t *testing.T) {
	config := Config{
		Tokens: []string{"own"},
		Sources: []Source{
			{Name: "a", Tokens: []string{"a", "a 2"}, Allow: prefixes("10.1.0.0/16")},
			{Name: "b", Basic: []string{"b:b"}, TokenSource: func() []string { return []string{"b", ""} }},
			{Name: "net", Allow: prefixes("10.2.0.0/16", "10.1.9.0/24")},
		},
	}
	token := func(s string) func(*http.Request) { return header("X-Relay-Token", s) }
	bearer := func(s string) func(*http.Request) { return header("Authorization", "Bearer "+s) }
	for name, test := range map[string]struct {
		req    *http.Request
		code   int // of the refusal; 0: there is none
		source string
	}{
		"own":                            {from("10.9.9.9", token("own")), 0, ""},
		"a":                              {from("10.1.0.1", token("a")), 0, "a"},
		"another secret of a":            {from("10.1.0.1", token("a 2")), 0, "a"},
		"a, from elsewhere":              {from("10.9.9.9", token("a")), 401, ""},
		"b by its source":                {from("10.1.0.1", bearer("b")), 0, "b"},
		"b by its password":              {from("10.9.9.9", basic("b", "b")), 0, "b"},
		"the password as a token":        {from("10.9.9.9", token("b:b")), 401, ""},
		"a network":                      {from("10.2.0.1"), 0, "net"},
		"a network, and any secret":      {from("10.2.0.1", token("guess")), 0, "net"},
		"a network, and a secret of all": {from("10.2.0.1", token("own")), 0, ""},
		"a's secret from that network":   {from("10.2.0.1", token("a")), 0, "net"},
		"a's secret, from both networks": {from("10.1.9.1", token("a")), 0, "a"},
		"both networks":                  {from("10.1.9.1"), 0, "net"},
		"no secret":                      {from("10.1.0.1"), 401, ""},
		"secrets of two":                 {from("10.1.0.1", token("a"), bearer("b")), 401, ""},
		"secrets of two, one from elsewhere": {
			from("10.9.9.9", token("a"), bearer("b")), 0, "b",
		},
		"one secret in two ways": {from("10.9.9.9", token("b"), basic("b", "b")), 0, "b"},
	} {
		t.Run(name, func(t *testing.T) {
			body, refusal := newReceiver(t, config).Receive(httptest.NewRecorder(), test.req)
			if refusal != nil {
				if refusal.Code != test.code {
					t.Errorf("refused with %d, want %d", refusal.Code, test.code)
				}
				return
			}
			defer body.Release()
			if test.code != 0 || body.Source != test.source {
				t.Errorf("taken from %q, want %d from %q", body.Source, test.code, test.source)
			}
		})
	}
}

// Without a secret or network of its own, the handler takes nothing that is of no named source.
func TestSourcesAlone(t *testing.T) {
	r := newReceiver(t, Config{Sources: []Source{
		{Name: "a", Tokens: []string{"a"}, Allow: prefixes("10.1.0.0/16")},
		{Name: "net", Allow: prefixes("10.2.0.0/16")},
	}})
	for peer, code := range map[string]int{"10.9.9.9": 403, "10.1.0.1": 401} {
		if _, refusal := receive(r, httptest.NewRecorder(), from(peer)); refusal == nil ||
			refusal.Code != code {
			t.Errorf("from %s: %v, want %d", peer, refusal, code)
		}
	}
}

func TestNewRefusesSources(t *testing.T) {
	source := func() []string { return nil }
	for name, test := range map[string]struct {
		config Config
		says   string
	}{
		"neither secret nor network": {Config{Sources: []Source{{Name: "a"}}}, `source "a" has no secret`},
		"an empty token": {
			Config{Sources: []Source{{Name: "a", Tokens: []string{" "}}}}, `source "a": token 1 of 1`,
		},
		"every network": {
			Config{Sources: []Source{{Name: "a", Allow: prefixes("::/0")}}}, `source "a": ::/0 in Allow`,
		},
		"one token": {Config{Sources: []Source{
			{Name: "a", Tokens: []string{"1", "sesame"}}, {Name: "b", Tokens: []string{"sesame"}},
		}}, `source "a" and source "b" have a secret in common`},
		"one token, the handler's": {Config{
			Tokens: []string{"sesame"}, Sources: []Source{{Name: "b", Tokens: []string{"sesame"}}},
		}, `the source without a name and source "b"`},
		"one password": {Config{Sources: []Source{
			{Name: "a", Basic: []string{"u:sesame"}}, {Name: "b", Basic: []string{"u:sesame"}},
		}}, "in common"},
		"a password that is a token": {Config{Sources: []Source{
			{Name: "a", Basic: []string{"u:sesame"}}, {Name: "b", Tokens: []string{"u:sesame"}},
		}}, "in common"},
		"one network without secrets": {Config{Sources: []Source{
			{Name: "a", Allow: prefixes("10.0.0.0/8")}, {Name: "b", Allow: prefixes("10.1.0.0/16")},
		}}, "10.0.0.0/8 and 10.1.0.0/16 overlap"},
		"NoAuth": {
			Config{NoAuth: true, Sources: []Source{{Name: "a", TokenSource: source}}}, "NoAuth",
		},
		"NoAuth, and networks": {
			Config{NoAuth: true, Sources: []Source{{Name: "a", Allow: prefixes("10.0.0.0/8")}}}, "NoAuth",
		},
	} {
		_, err := New(test.config)
		if err == nil || !strings.Contains(err.Error(), test.says) ||
			strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: New says %v, want an error with %q and no secret", name, err, test.says)
		}
	}
}
