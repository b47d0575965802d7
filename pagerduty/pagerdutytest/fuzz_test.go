package pagerdutytest_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// FuzzBody sends any bytes to both endpoints. A second implementation of the rules in the package
// comment decides from the raw JSON, without the package's code, whether they must be accepted.
func FuzzBody(f *testing.F) {
	for _, event := range []object{
		trigger(key1, "a"), resolve(key1, "a"), action(key2, "", "acknowledge"), change(key1), {},
		trigger(key1, "a").with("dedup_key", nil).payload("timestamp",
			"2011-05-06T03:30-07").payload("component", "c"),
		trigger(key1, "a").payload("custom_details",
			object{"a": []any{1, nil, object{}}}).payload("timestamp", "yesterday"),
		trigger(key1, "a").payload("custom_details", "text").with("client", 1).with("client_url", "u"),
		trigger(key1, "a").with("links",
			[]any{object{"href": "https://x.example", "text": "x"}, object{}, 1}),
		trigger(key1, "a").with("images",
			[]any{object{"src": "https://x.example", "alt": "x"}, object{"src": "http://x.example"}}),
		trigger(key1, strings.Repeat("键", 256)).payload("summary", strings.Repeat("🔥", 513)),
		trigger("e+23rschqsESqk9Q6_-g", "a").payload("severity", "high").payload("group",
			1).payload("class", false),
	} {
		f.Add([]byte(event.String()))
	}
	for _, body := range []string{
		"", "null", "[]", "1e999", `{"a":1e999}`, "\ufeff{}", "{}{}",
		`{"routing_key":"` + key1 + `","routing_key":7}`,
		`{"routing_key":"\u0065` + key1[1:] +
			`","event_action":"resolve","dedup_key":"\ud83d"}`, strings.Repeat(`{"a":`, 20_000),
		`{"routing_key":"` + key1 + `","event_action":"resolve","dedup_key":"` + "\xff" + `"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		fake := pagerdutytest.NewTransport()
		alert := post(t, fake, alertURL, string(body))
		if want := wantAlert(body); alert.status != want {
			t.Errorf("alert: %d %s; want %d for %q", alert.status, alert.body, want, body)
		}
		chg := post(t, fake, changeURL, string(body))
		if want := wantChange(body); chg.status != want {
			t.Errorf("change: %d %s; want %d for %q", chg.status, chg.body, want, body)
		}
		if taken := chg.status == 202; len(fake.Changes()) == 1 != taken {
			t.Errorf("%d changes after %d", len(fake.Changes()), chg.status)
		}
		if open := len(fake.Open()); open > 1 || open == 1 && alert.status != 202 {
			t.Errorf("%d open after %d", open, alert.status)
		}
		for _, r := range fake.Requests() {
			if r.Size != len(body) || !utf8.ValidString(r.Answer) {
				t.Errorf("logged %+v", r)
			}
			var e struct {
				RoutingKey string `json:"routing_key"`
			}
			// The logged body of a valid event is valid too, with the label for the key.
			if alert.status == 202 &&
				(json.Unmarshal(r.Body, &e) != nil || bytes.Contains(r.Body, []byte(key1))) {
				t.Errorf("logged %s", r.Body)
			}
		}
	})
}

// FuzzFields sends well-formed events with odd fields, which random bytes rarely produce.
func FuzzFields(f *testing.F) {
	f.Add("trigger", "a", "disk full", "db-1", "critical", "2011-05-06", "https://x.example",
		"https://x.example", []byte(`{}`))
	f.Add("resolve", " ", "\u3000", "\u200b", "Info", "2011-05-06T17:00:60Z", " ", "HTTPS://",
		[]byte(`"x"`))
	f.Add("acknowledge", strings.Repeat("🔥", 127), strings.Repeat("é", 1025), "\xff", "info", "", "",
		"http://x", []byte(`[1]`))
	f.Fuzz(func(t *testing.T, action, dedupKey, summary, source, severity, timestamp, href,
		src string, details []byte) {
		if !json.Valid(details) {
			details = []byte("null")
		}
		body := []byte(trigger(key1, dedupKey).with("event_action", action).
			payload("summary", summary).payload("source", source).payload("severity",
			severity).payload("timestamp", timestamp).
			payload("custom_details", json.RawMessage(details)).
			with("links", []any{object{"href": href}}).with("images", []any{object{"src": src}}).String())
		fake := pagerdutytest.NewTransport()
		if got, want := post(t, fake, alertURL, string(body)), wantAlert(body); got.status != want {
			t.Errorf("alert: %d %s; want %d for %s", got.status, got.body, want, body)
		}
		if got, want := post(t, fake, changeURL, string(body)), wantChange(body); got.status != want {
			t.Errorf("change: %d %s; want %d for %s", got.status, got.body, want, body)
		}
	})
}

// fields is a JSON object with raw values. Null means absent.
type fields map[string]json.RawMessage

func fieldsOf(raw []byte) (f fields, ok bool) {
	if json.Unmarshal(raw, &f) != nil || f == nil {
		return nil, false
	}
	for name, value := range f {
		if string(value) == "null" {
			delete(f, name)
		}
	}
	return f, true
}

func (f fields) text(name string) string {
	var s string
	_ = json.Unmarshal(f[name], &s) // not a string: the same as absent
	return s
}

func (f fields) filled(names ...string) bool {
	for _, name := range names {
		if strings.TrimSpace(f.text(name)) == "" {
			return false
		}
	}
	return true
}

// texts reports whether each field is a string or absent.
func (f fields) texts(names ...string) bool {
	for _, name := range names {
		if value, there := f[name]; there && value[0] != '"' {
			return false
		}
	}
	return true
}

// each reports whether the field is absent, or a list of objects for which good is true.
func (f fields) each(name string, good func(fields) bool) bool {
	value, there := f[name]
	if !there {
		return true
	}
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		return false
	}
	for _, item := range list {
		if object, ok := fieldsOf(item); !ok || !good(object) {
			return false
		}
	}
	return true
}

func units(s string) int { return len(utf16.Encode([]rune(s))) }

func wantAlert(body []byte) int {
	e, p, status := prologue(body)
	if status != 202 {
		return status
	}
	action := e.text("event_action")
	switch action {
	case "trigger":
	case "acknowledge", "resolve":
		if !e.filled("dedup_key") {
			return 400
		}
	default:
		return 400
	}
	if _, there := e["payload"]; there || action == "trigger" {
		if !p.filled("summary", "source", "severity") || !p.texts("component", "group", "class") ||
			!payloadIsGood(p) ||
			!strings.Contains("|critical|error|warning|info|", "|"+p.text("severity")+"|") {
			return 400
		}
	}
	if !e.texts("dedup_key", "client", "client_url") || units(e.text("dedup_key")) > 255 ||
		!linksAreGood(e) ||
		!e.each("images", func(i fields) bool {
			return i.filled("src") && strings.HasPrefix(strings.ToLower(i.text("src")), "https://") &&
				i.texts("href", "alt")
		}) {
		return 400
	}
	return 202
}

func wantChange(body []byte) int {
	e, p, status := prologue(body)
	if status == 202 && (e.text("routing_key")[0] == 'R' || !p.filled("summary") ||
		!p.texts("source") || !payloadIsGood(p) || !linksAreGood(e)) {
		return 400
	}
	return status
}

// prologue checks what both kinds of event have in common.
func prologue(body []byte) (e, payload fields, status int) {
	e, ok := fieldsOf(body)
	if len(body) > 512_000 {
		return nil, nil, 413
	}
	key := e.text("routing_key")
	const alphanumeric = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if !ok || !utf8.Valid(body) || len(key) != 32 ||
		strings.ContainsFunc(key, func(r rune) bool { return !strings.ContainsRune(alphanumeric, r) }) {
		return nil, nil, 400
	}
	payload, _ = fieldsOf(e["payload"])
	return e, payload, 202
}

func linksAreGood(e fields) bool {
	return e.each("links", func(l fields) bool { return l.filled("href") && l.texts("text") })
}

func payloadIsGood(p fields) bool {
	if details, there := p["custom_details"]; there && details[0] != '{' {
		return false
	}
	timestamp, there := p["timestamp"]
	return units(p.text("summary")) <= 1024 &&
		(!there || timestamp[0] == '"' && isTimestamp(p.text("timestamp")))
}

// isTimestamp reads a timestamp from left to right.
func isTimestamp(s string) bool {
	if len(s) < 10 {
		return false
	}
	if _, err := time.Parse("2006-01-02", s[:10]); err != nil {
		return false
	}
	if s = s[10:]; s == "" {
		return true
	}
	below := func(prefix string, limit byte) bool { // consumes the prefix and two digits
		rest, ok := strings.CutPrefix(s, prefix)
		if !ok || len(rest) < 2 || rest[0] < '0' || rest[0] > '9' || rest[1] < '0' || rest[1] > '9' ||
			(rest[0]-'0')*10+rest[1]-'0' >= limit {
			return false
		}
		s = rest[2:]
		return true
	}
	if !below("T", 24) || !below(":", 60) {
		return false
	}
	if strings.HasPrefix(s, ":") {
		if !below(":", 60) {
			return false
		}
		if rest, ok := strings.CutPrefix(s, "."); ok {
			if s = strings.TrimLeft(rest, "0123456789"); s == rest {
				return false
			}
		}
	}
	if s == "" || s == "Z" {
		return true
	}
	if !below("+", 24) && !below("-", 24) {
		return false
	}
	return s == "" || (below(":", 60) || below("", 60)) && s == ""
}
