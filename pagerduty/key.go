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

// keyLength is the length of every integration key, be it of a service, a ruleset or an event
// orchestration (PagerDuty developer docs, Events API v2: routing_key).
const keyLength = 32

// restTokenLength is the length of a REST API token, which people often use by mistake.
const restTokenLength = 20

const useIntegrationKey = "use the 32-character Integration Key of an Events API v2 integration"

// A KeySource provides the routing key. The client calls it for every event, so the key may change.
// It must be safe for concurrent use. A [RoutingKey] is its own source; a [KeyFile] reads a file.
type KeySource interface {
	Key() (RoutingKey, error)
}

// RoutingKey is an integration key of the Events API v2.
//
// The key is a secret: whoever has it can page people. So a RoutingKey cannot be printed. fmt
// (every verb), log/slog, encoding/json and text encoders show its fingerprint. Only
// [RoutingKey.Reveal] returns the key. RoutingKeys compare with == by value and can be map keys.
// The zero RoutingKey is no key, and [NewClient] refuses it.
type RoutingKey struct {
	// A handle and not a string: fmt and encoders read unexported fields of an enclosing struct by
	// reflection, without calling Format. They find a pointer here.
	handle unique.Handle[string]
}

// ParseRoutingKey reads a routing key: 32 ASCII letters and digits. White space around it is
// removed. The error says what is wrong and how to find the right key, and does not repeat the key.
//
// Keys are not always hexadecimal: keys of orchestrations are upper-case letters and digits and
// begin with R.
func ParseRoutingKey(s string) (RoutingKey, error) {
	s = strings.TrimSpace(s)
	problem := ""
	switch {
	case s == "":
		problem = "is empty"
	case len(s) == restTokenLength:
		problem = fmt.Sprintf("has %d characters: a REST API token, which cannot send events", len(s))
	case !alphanumeric(s):
		problem = "holds a character that is neither a letter nor a digit"
	case len(s) != keyLength:
		problem = fmt.Sprintf("has %d characters, not %d", len(s), keyLength)
	default:
		return RoutingKey{handle: unique.Make(s)}, nil
	}
	return RoutingKey{}, fmt.Errorf("pagerduty: routing key %s; %s", problem, useIntegrationKey)
}

// RoutingKeyFromEnv reads the routing key in the environment variable name.
func RoutingKeyFromEnv(name string) (RoutingKey, error) {
	s, ok := os.LookupEnv(name)
	if !ok {
		return RoutingKey{}, fmt.Errorf("pagerduty: environment variable %s is not set; it must hold a "+
			"routing key", name)
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

// Key returns k, so that a RoutingKey is a [KeySource]. For the zero RoutingKey it returns an
// error.
func (k RoutingKey) Key() (RoutingKey, error) {
	if k.IsZero() {
		return k, errors.New("pagerduty: no routing key; make one with ParseRoutingKey")
	}
	return k, nil
}

// IsZero reports whether k is the zero RoutingKey.
func (k RoutingKey) IsZero() bool { return k == RoutingKey{} }

// Reveal returns the key itself, in plain text. Audit every caller.
func (k RoutingKey) Reveal() string {
	if k.IsZero() {
		return ""
	}
	return k.handle.Value()
}

// Orchestration reports whether k is the key of an event orchestration or ruleset: it begins with
// R. Such keys take no change events. Their rules may match on content, so a resolve should have
// the payload of its trigger (PagerDuty developer docs, Events API v2: Overview).
func (k RoutingKey) Orchestration() bool {
	return strings.HasPrefix(k.Reveal(), "R")
}

// Fingerprint returns eight hexadecimal digits of a hash, to tell keys apart in logs. The key
// cannot be computed from it: a key has some 190 bits.
func (k RoutingKey) Fingerprint() string {
	if k.IsZero() {
		return "none"
	}
	sum := sha256.Sum256([]byte(k.Reveal()))
	return hex.EncodeToString(sum[:4])
}

// String returns the fingerprint in the form "RoutingKey(1a2b3c4d)".
func (k RoutingKey) String() string { return "RoutingKey(" + k.Fingerprint() + ")" }

// GoString returns String, so that %#v does not show the key.
func (k RoutingKey) GoString() string { return k.String() }

// Format writes String for every verb and flag, also for those that print bytes (%x, %q, %d).
func (k RoutingKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText returns String. There is no UnmarshalText, since the text is not the key.
func (k RoutingKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue returns String for log/slog.
func (k RoutingKey) LogValue() slog.Value { return slog.StringValue(k.String()) }
