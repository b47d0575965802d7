package webhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// credentials are the secrets that a webhook of one source may carry. They are kept as digests:
// these have one length, so that the time of a comparison does not tell the length of a secret.
type credentials struct {
	tokens, basic []digest
	source        func() []string // more tokens
}

type digest [sha256.Size]byte

func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }

func newCredentials(s Source) (credentials, error) {
	c := credentials{source: s.TokenSource}
	for i, t := range s.Tokens {
		if strings.TrimSpace(t) == "" {
			return c, fmt.Errorf("token %d of %d is empty and would let everybody in; remove it",
				i+1, len(s.Tokens))
		}
		c.tokens = append(c.tokens, digestOf(t))
	}
	for _, pair := range s.Basic {
		if user, password, _ := strings.Cut(pair, ":"); user == "" || password == "" {
			return c, errors.New("basic authentication needs user:password, and neither may be empty")
		}
		c.basic = append(c.basic, digestOf(pair))
	}
	return c, nil
}

// required reports whether a webhook must carry a secret.
func (c *credentials) required() bool { return c.acceptTokens() || len(c.basic) > 0 }

func (c *credentials) acceptTokens() bool { return len(c.tokens) > 0 || c.source != nil }

// currentTokens returns the fixed tokens and those of the TokenSource.
func (c *credentials) currentTokens() []digest {
	if c.source == nil {
		return c.tokens
	}
	tokens := slices.Clip(c.tokens)
	for _, t := range c.source() {
		if t != "" {
			tokens = append(tokens, digestOf(t))
		}
	}
	return tokens
}

// overlap reports whether both have one of the fixed secrets.
func (c *credentials) overlap(other *credentials) bool {
	theirs := slices.Concat(other.tokens, other.basic)
	return slices.ContainsFunc(slices.Concat(c.tokens, c.basic), func(d digest) bool {
		return slices.Contains(theirs, d)
	})
}

// A carriedSecret is a secret that a request carries, valid or not.
type carriedSecret struct {
	digest digest
	basic  bool // a user and password, and not a token
}

// secretsOf returns the secrets that a request carries. header is the name of the token's header.
func secretsOf(req *http.Request, header string) []carriedSecret {
	secrets := make([]carriedSecret, 0, 4)
	add := func(secret string, basic bool) {
		if secret != "" {
			secrets = append(secrets, carriedSecret{digestOf(secret), basic})
		}
	}
	add(req.Header.Get(header), false)
	query := req.URL.Query().Get("token")
	add(query, false)
	if strings.Contains(query, " ") { // an unescaped plus, as Base64 has it, reads as a space
		add(strings.ReplaceAll(query, " ", "+"), false)
	}
	scheme, token, ok := strings.Cut(req.Header.Get("Authorization"), " ")
	if ok && strings.EqualFold(scheme, "Bearer") {
		add(strings.TrimSpace(token), false)
	}
	if user, password, ok := req.BasicAuth(); ok {
		add(user+":"+password, true)
	}
	return secrets
}

// among reports whether a secret is one of the valid ones. It compares the secret with each of
// them, so that its time depends on their number alone.
func among(valid []digest, secret digest) bool {
	found := 0
	for i := range valid {
		found |= subtle.ConstantTimeCompare(secret[:], valid[i][:])
	}
	return found == 1
}

// schemes returns whether any source takes tokens, and whether any takes a user and password.
func (r *Receiver) schemes() (tokens, basic bool) {
	for i := range r.sources {
		c := &r.sources[i].credentials
		tokens, basic = tokens || c.acceptTokens(), basic || len(c.basic) > 0
	}
	return tokens, basic
}

// challenge sets the WWW-Authenticate headers that a 401 must have (RFC 9110, section 15.5.2).
func (r *Receiver) challenge(header http.Header) {
	tokens, basic := r.schemes()
	if tokens {
		header.Add("WWW-Authenticate", `Bearer realm="guance"`)
	}
	if basic {
		header.Add("WWW-Authenticate", `Basic realm="guance", charset="UTF-8"`)
	}
}

// usage says how to send a secret.
func (r *Receiver) usage() string {
	var ways []string
	tokens, basic := r.schemes()
	if tokens {
		ways = append(ways, "a token as Authorization: Bearer, as "+r.header+" or as ?token=")
	}
	if basic {
		ways = append(ways, "a user and password as HTTP basic authentication")
	}
	return "send " + strings.Join(ways, ", or ")
}
