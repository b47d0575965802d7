package webhook

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCredentials(t *testing.T) {
	tokens := &Config{Tokens: []string{"old", "new+/="}}
	basic := &Config{Basic: []string{"guance:old", "guance:pass:word"}}
	both := &Config{Tokens: []string{"old"}, Basic: []string{"guance:pass"}, Header: "X-Api-Key"}
	pair := &Config{Tokens: []string{"a:b"}}
	bare := &Config{Tokens: []string{"old"}, Header: "Authorization"}
	const colon = "basic Z3VhbmNlOnBhc3M6d29yZA==" // guance:pass:word
	tests := map[string]struct {
		config        *Config
		query         string
		header, value string
		ok            bool
	}{
		"bearer":                   {tokens, "", "Authorization", "Bearer old", true},
		"bearer, another token":    {tokens, "", "Authorization", "Bearer new+/=", true},
		"bearer in lower case":     {tokens, "", "authorization", "bearer  old ", true},
		"header":                   {tokens, "", "X-Relay-Token", "new+/=", true},
		"header in lower case":     {tokens, "", "x-relay-token", "old", true},
		"query":                    {tokens, "a=b&token=old", "X", "", true},
		"query, escaped":           {tokens, "token=new%2B%2F%3D", "X", "", true},
		"query, not escaped":       {tokens, "token=new+/=", "X", "", true},
		"another header":           {both, "", "X-Api-Key", "old", true},
		"the usual header is gone": {both, "", "X-Relay-Token", "old", false},
		// Base64 of guance:old, guance:pass, guance:new and :old.
		"basic":                      {basic, "", "Authorization", "Basic Z3VhbmNlOm9sZA==", true},
		"basic, second colon":        {basic, "", "Authorization", colon, true},
		"basic beside tokens":        {both, "", "Authorization", "Basic Z3VhbmNlOnBhc3M=", true},
		"basic, wrong password":      {basic, "", "Authorization", "Basic Z3VhbmNlOm5ldw==", false},
		"basic, no user":             {basic, "", "Authorization", "Basic Om9sZA==", false},
		"basic, not Base64":          {basic, "", "Authorization", "Basic guance:old", false},
		"a pair is no token":         {basic, "", "Authorization", "Bearer guance:old", false},
		"a token is no pair":         {pair, "", "Authorization", "Basic YTpi", false}, // a:b
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
		"the bare header is a token": {bare, "", "Authorization", "old", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			req := post("text")
			req.URL.RawQuery = test.query
			req.Header.Set(test.header, test.value)
			w := httptest.NewRecorder()
			text, refusal := receive(newReceiver(t, *test.config), w, req)
			challenge := strings.Join(w.Result().Header.Values("WWW-Authenticate"), ", ")
			if test.ok {
				if text != "text" || refusal != nil || challenge != "" {
					t.Errorf("got %q, %v, WWW-Authenticate %q, want the body", text, refusal, challenge)
				}
				return
			}
			if refusal == nil || refusal.Code != http.StatusUnauthorized {
				t.Fatalf("got %q, %v, want 401", text, refusal)
			}
			hasTokens, hasBasic := len(test.config.Tokens) > 0, len(test.config.Basic) > 0
			if strings.Contains(challenge, "Bearer") != hasTokens ||
				strings.Contains(challenge, "Basic") != hasBasic {
				t.Errorf("401 with WWW-Authenticate: %s", challenge)
			}
			bearer := "Bearer, as " + cmp.Or(test.config.Header, "X-Relay-Token")
			if strings.Contains(refusal.Message, bearer) != hasTokens ||
				strings.Contains(refusal.Message, "basic authentication") != hasBasic {
				t.Errorf("the message %q does not name the schemes in use alone", refusal.Message)
			}
			for _, secret := range append(test.config.Tokens, test.config.Basic...) {
				if strings.Contains(refusal.Message, secret) {
					t.Errorf("the message holds a secret: %s", refusal.Message)
				}
			}
		})
	}
}

// Tokens of a TokenSource can change without a restart. The empty token is never valid.
func TestTokenSource(t *testing.T) {
	var current []string
	r := newReceiver(t, Config{
		Tokens: []string{"fixed"}, TokenSource: func() []string { return current },
	})
	for _, step := range []struct {
		tokens []string
		valid  string
	}{
		{[]string{"one"}, "fixed one"},
		{[]string{"one", "two"}, "fixed one two"},
		{[]string{"two", ""}, "fixed two"},
		{nil, "fixed"},
	} {
		current = step.tokens
		for _, token := range []string{"fixed", "one", "two", ""} {
			req := post("text")
			req.Header.Set("Authorization", "Bearer "+token)
			_, refusal := receive(r, httptest.NewRecorder(), req)
			if want := token != "" && strings.Contains(step.valid, token); (refusal == nil) != want {
				t.Errorf("tokens %q: %q is valid: %v, want %v",
					step.tokens, token, refusal == nil, want)
			}
		}
	}
}
