package pagerdutytest

import (
	"fmt"
	"strings"
	"unicode/utf16"
)

// The limits of the Events API v2. The size is documented in "KB"; Alertmanager and Grafana use 512
// 000 bytes of encoded JSON.
const (
	maxSummary  = 1024
	maxDedupKey = 255
	maxBody     = 512_000
)

// errorList lists what is wrong with an event, in PagerDuty's words where they are known.
type errorList []string

func (l *errorList) add(format string,
	args ...any) {
	*l = append(*l, fmt.Sprintf(format, args...))
}

// keyErrors returns the errors of a routing key that is not blank.
func keyErrors(key string) (l errorList) {
	if length(key) != 32 {
		l.add("Length of 'routing_key' is incorrect (should be 32 characters)")
	}
	if strings.ContainsFunc(key, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	}) {
		l.add("'routing_key' cannot contain non-alphanumeric characters.")
	}
	return l
}

func wellFormed(key string) bool { return len(keyErrors(key)) == 0 }

// alertErrors returns the errors of an alert event, except for its key.
func alertErrors(e event) (l errorList) {
	action := e.text("event_action")
	trigger := action == "trigger"
	switch {
	case e.blank("event_action"):
		l.add("'event_action' is missing or blank")
	case !trigger && action != "acknowledge" && action != "resolve":
		l.add("'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or " +
			"'resolve')")
	case !trigger && e.blank("dedup_key"):
		l.add("'dedup_key' is missing or blank")
	}
	l.strings(e, "", "dedup_key", "client", "client_url")
	if length(e.text("dedup_key")) > maxDedupKey {
		l.add("'dedup_key' is too long (maximum is %d characters)", maxDedupKey)
	}
	if payload := e.object("payload"); trigger || e.given("payload") {
		l.required(payload, "summary", "source", "severity")
		if s := payload.text("severity"); !payload.blank("severity") &&
			s != "critical" && s != "error" && s != "warning" && s != "info" {
			l.add("'payload.severity' is invalid (must be one of the following: 'critical', 'warning', " +
				"'error' or 'info')")
		}
		l.strings(payload, "payload.", "component", "group", "class")
		l.payload(payload)
	}
	l.links(e)
	l.images(e)
	return l
}

// changeErrors returns the errors of a change event, except for its key. Images are not checked:
// the schema has them, and the documentation says that change events have none.
func changeErrors(e event) (l errorList) {
	payload := e.object("payload")
	l.required(payload, "summary")
	l.strings(payload, "payload.", "source")
	l.payload(payload)
	l.links(e)
	return l
}

func (l *errorList) required(payload event, names ...string) {
	for _, name := range names {
		if payload.blank(name) {
			l.add("'payload.%s' is missing or blank", name)
		}
	}
}

// strings checks that optional fields are strings.
func (l *errorList) strings(e event, path string, names ...string) {
	for _, name := range names {
		if _, ok := e[name].(string); e.given(name) && !ok {
			l.add("'%s%s' is invalid (must be a string)", path, name)
		}
	}
}

// payload checks what the payloads of both kinds of event have in common.
func (l *errorList) payload(payload event) {
	if length(payload.text("summary")) > maxSummary {
		l.add("'summary' is too long (maiximum is %d characters)", maxSummary) // PagerDuty's spelling
	}
	if payload.given("timestamp") && !iso8601(payload.text("timestamp")) {
		l.add("'payload.timestamp' is invalid (must be in ISO 8601 format)")
	}
	if payload.given("custom_details") && payload.object("custom_details") == nil {
		l.add("'payload.custom_details' is invalid (must be an object)")
	}
}

func (l *errorList) links(e event) {
	l.array(e, "links")
	for _, link := range e.objects("links") {
		if link.blank("href") {
			l.add("'links.href' is missing or blank")
		}
		l.strings(link, "links.", "text")
	}
}

func (l *errorList) images(e event) {
	l.array(e, "images")
	for _, image := range e.objects("images") {
		const https = "https://"
		switch src := image.text("src"); {
		case image.blank("src"):
			l.add("'images.src' is missing or blank")
		case len(src) < len(https) || !strings.EqualFold(src[:len(https)], https):
			l.add("'images.src' is invalid (must be served via HTTPS)")
		}
		l.strings(image, "images.", "href", "alt")
	}
}

func (l *errorList) array(e event, name string) {
	if _, ok := e[name].([]any); e.given(name) && !ok {
		l.add("'%s' is invalid (must be an array)", name)
	}
}

// length counts UTF-16 units.
func length(s string) (n int) {
	for _, r := range s {
		n += utf16.RuneLen(r) // never -1: decoded strings are valid
	}
	return n
}
