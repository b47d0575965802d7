package relay_test

import (
	"cmp"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/guance-relay/guance-relay/relay"
)

func TestSecrets(t *testing.T) {
	tokens := &relay.HandlerOptions{Tokens: []string{"old", "new+/="}}
	basic := &relay.HandlerOptions{Basic: []string{"guance:old", "guance:pass:word"}}
	both := &relay.HandlerOptions{Tokens: []string{"old"}, Basic: []string{"guance:pass"}, Header: "X-Api-Key"}
	tests := map[string]struct {
		opts          *relay.HandlerOptions
		query         string
		header, value string
		ok            bool
	}{
		"bearer":                     {tokens, "", "Authorization", "Bearer old", true},
		"bearer, another token":      {tokens, "", "Authorization", "Bearer new+/=", true},
		"bearer in lower case":       {tokens, "", "authorization", "bearer  old ", true},
		"header":                     {tokens, "", "X-Relay-Token", "new+/=", true},
		"header in lower case":       {tokens, "", "x-relay-token", "old", true},
		"query":                      {tokens, "a=b&token=old", "X", "", true},
		"query, escaped":             {tokens, "token=new%2B%2F%3D", "X", "", true},
		"query, not escaped":         {tokens, "token=new+/=", "X", "", true},
		"another header":             {both, "", "X-Api-Key", "old", true},
		"the usual header is gone":   {both, "", "X-Relay-Token", "old", false},
		"basic":                      {basic, "", "Authorization", "Basic Z3VhbmNlOm9sZA==", true},                               // guance:old
		"basic, colon in password":   {basic, "", "Authorization", "basic Z3VhbmNlOnBhc3M6d29yZA==", true},                       // guance:pass:word
		"basic beside tokens":        {both, "", "Authorization", "Basic Z3VhbmNlOnBhc3M=", true},                                // guance:pass
		"basic, wrong password":      {basic, "", "Authorization", "Basic Z3VhbmNlOm5ldw==", false},                              // guance:new
		"basic, no user":             {basic, "", "Authorization", "Basic Om9sZA==", false},                                      // :old
		"basic, not Base64":          {basic, "", "Authorization", "Basic guance:old", false},                                    //
		"a pair is no token":         {basic, "", "Authorization", "Bearer guance:old", false},                                   //
		"a token is no pair":         {&relay.HandlerOptions{Tokens: []string{"a:b"}}, "", "Authorization", "Basic YTpi", false}, // a:b
		"nothing":                    {tokens, "", "X", "", false},
		"wrong":                      {tokens, "", "Authorization", "Bearer older", false},
		"a part":                     {tokens, "", "Authorization", "Bearer ol", false},
		"other case":                 {tokens, "", "Authorization", "Bearer OLD", false},
		"no scheme":                  {tokens, "", "Authorization", "old", false},
		"another scheme":             {tokens, "", "Authorization", "Digest old", false},
		"empty bearer":               {tokens, "", "Authorization", "Bearer ", false},
		"empty header":               {tokens, "", "X-Relay-Token", "", false},
		"empty query":                {tokens, "token=", "X", "", false},
		"another parameter":          {tokens, "tokens=old", "X", "", false},
		"all tokens together":        {tokens, "", "X-Relay-Token", "old,new+/=", false},
		"the bare header is a token": {&relay.HandlerOptions{Tokens: []string{"old"}, Header: "Authorization"}, "", "Authorization", "old", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			store := newGateway()
			req := webhookOf(fault)
			req.URL.RawQuery = test.query
			req.Header.Set(test.header, test.value)
			got := ask(t, webhook(t, store, test.opts, nolog), req)
			if want := map[bool]int{true: http.StatusAccepted, false: http.StatusUnauthorized}[test.ok]; got.Code != want || (store.count() > 0) != test.ok {
				t.Fatalf("got %d and %d entries, want %d", got.Code, store.count(), want)
			}
			challenge := strings.Join(got.Header.Values("WWW-Authenticate"), ", ")
			if strings.Contains(challenge, "Bearer") != (!test.ok && len(test.opts.Tokens) > 0) || strings.Contains(challenge, "Basic") != (!test.ok && len(test.opts.Basic) > 0) {
				t.Errorf("%d with WWW-Authenticate: %s", got.Code, challenge)
			}
			if !test.ok && (strings.Contains(got.Message, "Bearer, as "+cmp.Or(test.opts.Header, "X-Relay-Token")) != (len(test.opts.Tokens) > 0) ||
				strings.Contains(got.Message, "basic authentication") != (len(test.opts.Basic) > 0)) {
				t.Errorf("the answer says %q, want the ways that are open, and no other", got.Message)
			}
			for _, secret := range append(test.opts.Tokens, test.opts.Basic...) {
				if strings.Contains(got.Message, secret) {
					t.Errorf("the answer holds a secret: %s", got.Message)
				}
			}
		})
	}
}

// Tokens can change without a restart, and a source that has none lets nobody in, the empty token least of all.
func TestTokenSource(t *testing.T) {
	var current atomic.Pointer[[]string]
	h := webhook(t, newGateway(), &relay.HandlerOptions{Tokens: []string{"fixed"}, TokenSource: func() []string { return *current.Load() }}, nolog)
	for _, step := range []struct {
		tokens []string
		good   string
	}{
		{[]string{"one"}, "fixed one"},
		{[]string{"one", "two"}, "fixed one two"},
		{[]string{"two", ""}, "fixed two"},
		{nil, "fixed"},
	} {
		current.Store(&step.tokens)
		for _, token := range []string{"fixed", "one", "two", ""} {
			req := webhookOf(fault)
			req.Header.Set("Authorization", "Bearer "+token)
			got := ask(t, h, req).Code == http.StatusAccepted
			if want := token != "" && strings.Contains(step.good, token); got != want {
				t.Errorf("tokens %q: %q is let in: %v, want %v", step.tokens, token, got, want)
			}
		}
	}
}
