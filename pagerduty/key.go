package pagerduty

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"unique"
)

// keyLength is the length of every integration key: of a service, a ruleset
// or an event orchestration (PagerDuty developer docs, Events API v2:
// routing_key).
const keyLength = 32

// restTokenLength is the length of a REST API token, the credential most
// often pasted in place of a routing key.
const restTokenLength = 20

// A KeySource gives the routing key to send under. The client asks it once
// for every event, so a source may change its answer; it must be safe for
// concurrent use. [RoutingKey] is its own source, [KeyFile] follows a file.
type KeySource interface {
	Key() (RoutingKey, error)
}

// RoutingKey is an integration key of the Events API v2.
//
// Whoever holds one can page the people behind it, so a RoutingKey cannot be
// printed: fmt (every verb), log/slog, encoding/json and text encoders all
// show its fingerprint, and [RoutingKey.Reveal] is the only way to the key
// itself. RoutingKeys compare with == by value and may be map keys. The zero
// RoutingKey is no key and is refused by [NewClient].
type RoutingKey struct {
	// A handle and not a string: fmt and encoders reach unexported fields of
	// an enclosing struct by reflection without asking for a Formatter, and
	// then find a pointer here.
	handle unique.Handle[string]
}

// ParseRoutingKey reads a routing key: 32 ASCII letters and digits, with
// white space around it trimmed. The error says what is wrong with it, and
// how to find the right one, without repeating it.
//
// Keys are not always hexadecimal: orchestration keys are upper-case
// alphanumerics beginning with R.
func ParseRoutingKey(s string) (RoutingKey, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return RoutingKey{}, errors.New("pagerduty: routing key is empty; use the Integration Key of an Events API v2 integration")
	case len(s) == restTokenLength:
		return RoutingKey{}, fmt.Errorf("pagerduty: routing key has %d characters: that is a REST API token, which cannot send events; use the %d-character Integration Key of an Events API v2 integration", restTokenLength, keyLength)
	case !alphanumeric(s):
		return RoutingKey{}, errors.New("pagerduty: routing key holds a character that is neither a letter nor a digit; use the Integration Key of an Events API v2 integration")
	case len(s) != keyLength:
		return RoutingKey{}, fmt.Errorf("pagerduty: routing key has %d characters, not %d; use the Integration Key of an Events API v2 integration", len(s), keyLength)
	}
	return RoutingKey{handle: unique.Make(s)}, nil
}

// RoutingKeyFromEnv reads the routing key held by the environment variable name.
func RoutingKeyFromEnv(name string) (RoutingKey, error) {
	s, ok := os.LookupEnv(name)
	if !ok {
		return RoutingKey{}, fmt.Errorf("pagerduty: environment variable %s is not set; it must hold a routing key", name)
	}
	key, err := ParseRoutingKey(s)
	if err != nil {
		return RoutingKey{}, fmt.Errorf("%w (from environment variable %s)", err, name)
	}
	return key, nil
}

func alphanumeric(s string) bool {
	for _, c := range []byte(s) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
			return false
		}
	}
	return true
}

// Key returns k itself, which makes a RoutingKey a [KeySource].
// The zero RoutingKey gives an error.
func (k RoutingKey) Key() (RoutingKey, error) {
	if k.IsZero() {
		return k, errors.New("pagerduty: no routing key; make one with ParseRoutingKey")
	}
	return k, nil
}

// IsZero reports whether k is the zero RoutingKey, which is no key.
func (k RoutingKey) IsZero() bool { return k == RoutingKey{} }

// Reveal returns the secret itself. Its callers are the places to audit.
func (k RoutingKey) Reveal() string {
	if k.IsZero() {
		return ""
	}
	return k.handle.Value()
}

// Orchestration reports whether k has the form of an event orchestration or
// ruleset key: it begins with R. Such keys take no change events, and their
// rules may match on content, so a resolve should carry the payload of its
// trigger (PagerDuty developer docs, Events API v2: Overview).
func (k RoutingKey) Orchestration() bool {
	return strings.HasPrefix(k.Reveal(), "R")
}

// Fingerprint returns eight hexadecimal digits that tell keys apart in logs
// and lead back to none: the key behind it has some 190 bits.
func (k RoutingKey) Fingerprint() string {
	if k.IsZero() {
		return "none"
	}
	sum := sha256.Sum256([]byte(k.Reveal()))
	return hex.EncodeToString(sum[:4])
}

// String returns the fingerprint in the form "RoutingKey(1a2b3c4d)".
func (k RoutingKey) String() string { return "RoutingKey(" + k.Fingerprint() + ")" }

// GoString is String: %#v must not show more than %v.
func (k RoutingKey) GoString() string { return k.String() }

// Format writes String for every verb and flag, those that would print the
// bytes of a string in another form (%x, %q, %d) included.
func (k RoutingKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText writes String. There is no UnmarshalText: what was written
// cannot become a key again.
func (k RoutingKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue gives log/slog the String.
func (k RoutingKey) LogValue() slog.Value { return slog.StringValue(k.String()) }
