package pagerdutytest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
)

// keyID stands for a routing key in what is kept: whoever prints a Fake with
// %+v must not find the key in it either.
type keyID [sha256.Size]byte

func identify(routingKey string) keyID { return sha256.Sum256([]byte(routingKey)) }

// KeyLabel returns the label under which requests, incidents and change events
// show a routing key: a fingerprint that leads back to none.
func KeyLabel(routingKey string) string {
	if routingKey == "" {
		return ""
	}
	id := identify(routingKey)
	return "key-" + hex.EncodeToString(id[:4])
}

// secretHeaders are those that hold a key or a password by their nature.
var secretHeaders = []string{"X-Routing-Key", "Authorization", "Proxy-Authorization", "Cookie"}

// keyField finds a routing key where a body is not JSON, or names it twice.
var keyField = regexp.MustCompile(`("routing_key"\s*:\s*")((?:[^"\\]|\\.)*)`)

// shortestSecret is the length from which on a key is hidden outside its field
// also. Shorter, it is none of PagerDuty's, and may be part of any word.
const shortestSecret = 16

// hideSecrets replaces the key wherever a client may have put it.
func (r *Request) hideSecrets(key string) {
	for _, name := range secretHeaders {
		if r.Header.Get(name) != "" {
			r.Header.Set(name, "hidden")
		}
	}
	r.Body = keyField.ReplaceAllFunc(r.Body, func(field []byte) []byte {
		parts := keyField.FindSubmatch(field)
		if value := string(parts[2]); value != r.Key {
			return slices.Concat(parts[1], []byte(KeyLabel(value)))
		}
		return field
	})
	if len(key) < shortestSecret {
		return
	}
	hide := strings.NewReplacer(key, r.Key).Replace
	for _, values := range r.Header {
		for i, value := range values {
			values[i] = hide(value)
		}
	}
	r.Path, r.Action, r.DedupKey, r.Summary = hide(r.Path), hide(r.Action), hide(r.DedupKey), hide(r.Summary)
	r.Body = bytes.ReplaceAll(r.Body, []byte(key), []byte(r.Key))
}
