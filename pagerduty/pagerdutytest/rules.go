package pagerdutytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf16"
)

// event is the body of a request, decoded without the client's types: a wrong
// name in the client must not be cancelled by the same name here.
type event map[string]any

func decode(raw []byte) *event {
	var e event
	if json.Unmarshal(raw, &e) != nil || e == nil {
		return nil
	}
	return &e
}

func (e *event) text(name string) string {
	s, _ := (*e)[name].(string)
	return s
}

func (e *event) payload() map[string]any {
	p, _ := (*e)["payload"].(map[string]any)
	return p
}

func (e *event) payloadText(name string) string {
	s, _ := e.payload()[name].(string)
	return s
}

// The limits of the Events API v2.
const (
	maxSummary  = 1024
	maxDedupKey = 255
	maxBody     = 512_000
)

const throttleBody = `{"status":"throttle exceeded","message":"Requests for this service are arriving too quickly.  Please retry later.","errors":["Requests for this service are arriving too quickly.  Please retry later."]}`

func invalid(errors ...string) answer {
	body, _ := json.Marshal(map[string]any{ // strings always encode
		"status": "invalid event", "message": "Event object is invalid", "errors": errors,
	})
	return answer{status: http.StatusBadRequest, contentType: "application/json", body: string(body)}
}

func plain(status int, text string) answer {
	return answer{status: status, contentType: "text/plain", body: text}
}

func wellFormed(key string) bool { return len(keyFaults(key)) == 0 }

func keyFaults(key string) (faults []string) {
	if len(key) != 32 {
		faults = append(faults, "Length of 'routing_key' is incorrect (should be 32 characters)")
	}
	if strings.ContainsFunc(key, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	}) {
		faults = append(faults, "'routing_key' cannot contain non-alphanumeric characters.")
	}
	return faults
}

// length counts as the stricter reading of "characters" does.
func length(s string) int { return len(utf16.Encode([]rune(s))) }

func blank(v any) bool {
	s, ok := v.(string)
	return !ok || strings.TrimSpace(s) == ""
}

// alertFaults are the errors PagerDuty is known to give for an alert event.
func (e *event) alertFaults() (faults []string) {
	add := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	action := e.text("event_action")
	switch {
	case blank((*e)["event_action"]):
		add("'event_action' is missing or blank")
	case action != "trigger" && action != "acknowledge" && action != "resolve":
		add("'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')")
	case action != "trigger" && blank((*e)["dedup_key"]):
		add("'dedup_key' is missing or blank")
	}
	if length(e.text("dedup_key")) > maxDedupKey {
		add("'dedup_key' is too long (maximum is %d characters)", maxDedupKey)
	}
	_, given := (*e)["payload"]
	if action == "trigger" || given {
		for _, name := range []string{"summary", "source", "severity"} {
			if blank(e.payload()[name]) {
				add("'payload.%s' is missing or blank", name)
			}
		}
		switch s := e.payloadText("severity"); {
		case blank(s):
		case s != "critical" && s != "error" && s != "warning" && s != "info":
			add("'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')")
		}
	}
	faults = append(faults, e.commonFaults()...)
	for _, image := range e.list("images") {
		switch src, _ := image["src"].(string); {
		case blank(src):
			add("'images.src' is missing or blank")
		case !strings.HasPrefix(src, "https://"):
			add("'images.src' must be served via HTTPS")
		}
	}
	return faults
}

// changeFaults are the errors for a change event.
func (e *event) changeFaults() (faults []string) {
	if blank(e.payload()["summary"]) {
		faults = append(faults, "'payload.summary' is missing or blank")
	}
	return append(faults, e.commonFaults()...)
}

func (e *event) commonFaults() (faults []string) {
	if length(e.payloadText("summary")) > maxSummary {
		faults = append(faults, "'summary' is too long (maiximum is 1024 characters)") // PagerDuty's spelling
	}
	if t, given := e.payload()["timestamp"]; given {
		if s, ok := t.(string); !ok || !iso8601(s) {
			faults = append(faults, "'payload.timestamp' is invalid (must be in ISO 8601 format)")
		}
	}
	if d, given := e.payload()["custom_details"]; given {
		if _, ok := d.(map[string]any); !ok {
			faults = append(faults, "'payload.custom_details' must be an object")
		}
	}
	for _, link := range e.list("links") {
		if blank(link["href"]) {
			faults = append(faults, "'links.href' is missing or blank")
		}
	}
	return faults
}

func (e *event) list(name string) (items []map[string]any) {
	list, _ := (*e)[name].([]any)
	for _, item := range list {
		object, _ := item.(map[string]any)
		items = append(items, object)
	}
	return items
}
