package webhook

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// credentials are the secrets that a webhook may carry. They are kept as digests: these have one
// length, so that the time of a comparison does not tell the length of a secret.
type credentials struct {
	header        string
	tokens, basic []digest
	source        func() []string
}

type digest [sha256.Size]byte

func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }

func newCredentials(config Config) (*credentials, error) {
	c := &credentials{header: cmp.Or(config.Header, "X-Relay-Token"), source: config.TokenSource}
	if !httpguts.ValidHeaderFieldName(c.header) {
		return nil, fmt.Errorf("%q cannot be the name of a header", c.header)
	}
	for i, t := range config.Tokens {
		if strings.TrimSpace(t) == "" {
			return nil, fmt.Errorf("token %d of %d is empty and would let everybody in; remove it",
				i+1, len(config.Tokens))
		}
		c.tokens = append(c.tokens, digestOf(t))
	}
	for _, pair := range config.Basic {
		if user, password, _ := strings.Cut(pair, ":"); user == "" || password == "" {
			return nil, errors.New("basic authentication needs user:password, and neither may be empty")
		}
		c.basic = append(c.basic, digestOf(pair))
	}
	return c, nil
}

// required reports whether a webhook must carry a secret.
func (c *credentials) required() bool { return c.acceptTokens() || len(c.basic) > 0 }

func (c *credentials) acceptTokens() bool { return len(c.tokens) > 0 || c.source != nil }

// valid reports whether the request carries one of the secrets. It compares each secret that the
// request carries with each valid one, so that its time depends on their number alone.
func (c *credentials) valid(req *http.Request) bool {
	tokens := c.tokens
	if c.source != nil {
		tokens = tokens[:len(tokens):len(tokens)]
		for _, t := range c.source() {
			if t != "" {
				tokens = append(tokens, digestOf(t))
			}
		}
	}
	query := req.URL.Query().Get("token")
	given := []string{
		req.Header.Get(c.header),
		query,
		strings.ReplaceAll(query, " ", "+"), // an unescaped plus, as Base64 has it, reads as a space
	}
	scheme, token, ok := strings.Cut(req.Header.Get("Authorization"), " ")
	if ok && strings.EqualFold(scheme, "Bearer") {
		given = append(given, strings.TrimSpace(token))
	}
	found := 0
	for _, secret := range given {
		found |= among(tokens, secret)
	}
	if user, password, ok := req.BasicAuth(); ok {
		found |= among(c.basic, user+":"+password)
	}
	return found == 1
}

// among returns 1 if secret is one of the valid ones, else 0.
func among(valid []digest, secret string) int {
	d, found := digestOf(secret), 0
	for i := range valid {
		found |= subtle.ConstantTimeCompare(d[:], valid[i][:])
	}
	return found
}

// challenge sets the WWW-Authenticate headers that a 401 must have (RFC 9110, section 15.5.2).
func (c *credentials) challenge(header http.Header) {
	if c.acceptTokens() {
		header.Add("WWW-Authenticate", `Bearer realm="guance"`)
	}
	if len(c.basic) > 0 {
		header.Add("WWW-Authenticate", `Basic realm="guance", charset="UTF-8"`)
	}
}

// usage says how to send a secret.
func (c *credentials) usage() string {
	var ways []string
	if c.acceptTokens() {
		ways = append(ways, "a token as Authorization: Bearer, as "+c.header+" or as ?token=")
	}
	if len(c.basic) > 0 {
		ways = append(ways, "a user and password as HTTP basic authentication")
	}
	return "send " + strings.Join(ways, ", or ")
}
