package relay

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// secrets are what a sender may show to be let in. They are kept as digests, which are all of one length, so that comparing them
// tells nothing of the length either.
type secrets struct {
	header        string
	tokens, basic []digest
	source        func() []string
}

type digest [sha256.Size]byte

func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }

func newSecrets(opts *HandlerOptions) (*secrets, error) {
	s := &secrets{header: cmp.Or(opts.Header, "X-Relay-Token"), source: opts.TokenSource}
	if !isFieldName(s.header) {
		return nil, fmt.Errorf("relay: %q cannot be the name of a header", s.header)
	}
	for i, t := range opts.Tokens {
		if strings.TrimSpace(t) == "" {
			return nil, fmt.Errorf("relay: token %d of %d is empty and would let everybody in; remove it", i+1, len(opts.Tokens))
		}
		s.tokens = append(s.tokens, digestOf(t))
	}
	for _, pair := range opts.Basic {
		if user, password, _ := strings.Cut(pair, ":"); user == "" || password == "" {
			return nil, errors.New("relay: basic authentication needs user:password, and neither may be empty")
		}
		s.basic = append(s.basic, digestOf(pair))
	}
	return s, nil
}

// isFieldName reports whether name is a token of RFC 9110, section 5.6.2, as the names of header fields are.
func isFieldName(name string) bool {
	for i := range len(name) {
		c := name[i]
		alphanumeric := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !alphanumeric && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return name != ""
}

// none reports whether no secret is asked for.
func (s *secrets) none() bool { return len(s.tokens) == 0 && len(s.basic) == 0 && s.source == nil }

// known reports whether the request carries one of the secrets. The time it takes depends on what is asked and on how many secrets
// there are, not on what they are: each offer is compared with each secret, to the end.
func (s *secrets) known(req *http.Request) bool {
	tokens := s.tokens
	if s.source != nil {
		tokens = tokens[:len(tokens):len(tokens)]
		for _, t := range s.source() {
			if t != "" {
				tokens = append(tokens, digestOf(t))
			}
		}
	}
	query := req.URL.Query().Get("token")
	offers := []string{
		req.Header.Get(s.header),
		query,
		strings.ReplaceAll(query, " ", "+"), // a plus that was not escaped reads as a space, and Base64 has pluses
	}
	if scheme, token, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		offers = append(offers, strings.TrimSpace(token))
	}
	ok := 0
	for _, offer := range offers {
		ok |= among(tokens, offer)
	}
	if user, password, given := req.BasicAuth(); given {
		ok |= among(s.basic, user+":"+password)
	}
	return ok == 1
}

// among returns 1 if offer is one of the secrets, else 0.
func among(secrets []digest, offer string) int {
	d, found := digestOf(offer), 0
	for i := range secrets {
		found |= subtle.ConstantTimeCompare(d[:], secrets[i][:])
	}
	return found
}

// challenge names the schemes that would do, as a 401 has to (RFC 9110, section 15.5.2).
func (s *secrets) challenge(header http.Header) {
	if len(s.tokens) > 0 || s.source != nil {
		header.Add("WWW-Authenticate", `Bearer realm="guance"`)
	}
	if len(s.basic) > 0 {
		header.Add("WWW-Authenticate", `Basic realm="guance", charset="UTF-8"`)
	}
}

// ways says how a secret can be sent.
func (s *secrets) ways() string {
	var ways []string
	if len(s.tokens) > 0 || s.source != nil {
		ways = append(ways, "a token as Authorization: Bearer, as "+s.header+" or as ?token=")
	}
	if len(s.basic) > 0 {
		ways = append(ways, "a user and password as HTTP basic authentication")
	}
	return "send " + strings.Join(ways, ", or ")
}
