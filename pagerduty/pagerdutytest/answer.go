package pagerdutytest

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// answer is an HTTP answer.
type answer struct {
	status      int
	contentType string
	header      http.Header
	body        string
}

const jsonType = "application/json"

// words is the body of PagerDuty's answers in JSON.
type words struct {
	Status   string   `json:"status"`
	Message  string   `json:"message"`
	Errors   []string `json:"errors,omitempty"`
	DedupKey string   `json:"dedup_key,omitempty"`
}

func say(status int, w words) answer {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	_ = e.Encode(w) // strings always encode
	return answer{status: status, contentType: jsonType, body: string(bytes.TrimSpace(body.Bytes()))}
}

func plain(status int, text string) answer {
	return answer{status: status, contentType: "text/plain", body: text}
}

func accepted(dedupKey string) answer {
	return say(http.StatusAccepted, words{Status: "success", Message: "Event processed", DedupKey: dedupKey})
}

func changeAccepted() answer {
	return say(http.StatusAccepted, words{Status: "success", Message: "Change event processed"})
}

// invalid refuses an event with everything that is wrong with it.
func invalid(errors ...string) answer {
	return say(http.StatusBadRequest, words{Status: "invalid event", Message: "Event object is invalid", Errors: errors})
}

func unreadable() answer {
	return say(http.StatusBadRequest, words{
		Status: "Unrecognized object", Message: "Event object format is unrecognized", Errors: []string{"JSON parse error"},
	})
}

// invalidKey is plain text, which clients that expect JSON trip over
// (github.com/robusta-dev/robusta/issues/571).
func invalidKey() answer { return plain(http.StatusBadRequest, "Invalid routing key") }

// throttled has the two spaces that PagerDuty has.
func throttled() answer {
	const message = "Requests for this service are arriving too quickly.  Please retry later."
	return say(http.StatusTooManyRequests, words{Status: "throttle exceeded", Message: message, Errors: []string{message}})
}

func notAllowed() answer {
	a := plain(http.StatusMethodNotAllowed, "Method Not Allowed")
	a.header = http.Header{"Allow": {http.MethodPost}}
	return a
}

// usual is the answer to a request that a fault gave no more than a status.
func usual(status int) answer {
	switch {
	case status == http.StatusTooManyRequests:
		return throttled()
	case status >= 500:
		// The schema has the shape; the words are HTTP's.
		return say(status, words{Status: "error", Message: http.StatusText(status)})
	}
	return answer{status: status}
}
