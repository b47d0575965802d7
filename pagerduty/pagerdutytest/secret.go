package pagerdutytest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
)

// keyID is the hash of a routing key. The Fake keeps it in place of the key, so that printing a
// Fake with %+v does not show the key.
type keyID [sha256.Size]byte

func identify(routingKey string) keyID { return sha256.Sum256([]byte(routingKey)) }

// KeyLabel returns the label of a routing key in requests, incidents and change events: a
// fingerprint, from which the key cannot be computed.
func KeyLabel(routingKey string) string {
	if routingKey == "" {
		return ""
	}
	id := identify(routingKey)
	return "key-" + hex.EncodeToString(id[:4])
}

// secretHeaders may hold a key or a password.
var secretHeaders = []string{"X-Routing-Key", "Authorization", "Proxy-Authorization", "Cookie"}

// keyField matches a routing key in a body that is not JSON, or that names it twice.
var keyField = regexp.MustCompile(`("routing_key"\s*:\s*")((?:[^"\\]|\\.)*)`)

// shortestSecret is the shortest key that is also replaced outside its field. A shorter one is not
// PagerDuty's and may be a part of any word.
const shortestSecret = 16

// hideSecrets replaces the key in all fields of the request.
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
	for _, text := range []*string{&r.Path, &r.Action, &r.DedupKey, &r.Summary} {
		*text = hide(*text)
	}
	r.Body = bytes.ReplaceAll(r.Body, []byte(key), []byte(r.Key))
}
