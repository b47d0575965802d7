package pagerdutytest

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// response is an HTTP response.
type response struct {
	status      int
	contentType string
	header      http.Header
	body        string
}

const jsonType = "application/json"

// responseBody is PagerDuty's JSON.
type responseBody struct {
	Status   string   `json:"status"`
	Message  string   `json:"message"`
	Errors   []string `json:"errors,omitempty"`
	DedupKey string   `json:"dedup_key,omitempty"`
}

func jsonResponse(status int, b responseBody) response {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	_ = e.Encode(b) // cannot fail for strings
	return response{status: status, contentType: jsonType, body: string(bytes.TrimSpace(body.Bytes()))}
}

func textResponse(status int, text string) response {
	return response{status: status, contentType: "text/plain", body: text}
}

func accepted(dedupKey string) response {
	return jsonResponse(http.StatusAccepted,
		responseBody{Status: "success", Message: "Event processed", DedupKey: dedupKey})
}

func changeAccepted() response {
	return jsonResponse(http.StatusAccepted,
		responseBody{Status: "success", Message: "Change event processed"})
}

// invalid refuses an event with all its errors.
func invalid(errors ...string) response {
	return jsonResponse(http.StatusBadRequest,
		responseBody{Status: "invalid event", Message: "Event object is invalid", Errors: errors})
}

func unreadable() response {
	return jsonResponse(http.StatusBadRequest, responseBody{
		Status: "Unrecognized object", Message: "Event object format is unrecognized",
		Errors: []string{"JSON parse error"},
	})
}

// invalidKey is plain text, with which clients that expect JSON have failed
// (github.com/robusta-dev/robusta/issues/571).
func invalidKey() response { return textResponse(http.StatusBadRequest, "Invalid routing key") }

// throttled has two spaces in its message, as PagerDuty has.
func throttled() response {
	const message = "Requests for this service are arriving too quickly.  Please retry later."
	return jsonResponse(http.StatusTooManyRequests,
		responseBody{Status: "throttle exceeded", Message: message, Errors: []string{message}})
}

func notAllowed() response {
	r := textResponse(http.StatusMethodNotAllowed, "Method Not Allowed")
	r.header = http.Header{"Allow": {http.MethodPost}}
	return r
}

// defaultResponse is the response for a fault that has only a status.
func defaultResponse(status int) response {
	switch {
	case status == http.StatusTooManyRequests:
		return throttled()
	case status >= 500:
		// The form is that of the schema, the words are HTTP's.
		return jsonResponse(status, responseBody{Status: "error", Message: http.StatusText(status)})
	}
	return response{status: status}
}
