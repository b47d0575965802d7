package webhooksink

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
)

// A Payload is the body of a request without a format, and what a template is executed with. The
// names are stable; fields may be added. It has the structure that Standard Webhooks recommend:
//
//	{
//	  "type": "guance.problem",
//	  "timestamp": "2026-03-01T12:00:00Z",
//	  "state": "problem",
//	  "level": "critical",
//	  "problem": "3f2a…",
//	  "link": "https://console.guance.com/…",
//	  "data": {"df_status": "critical", "df_title": "…", …}
//	}
type Payload struct {
	// Type is "guance." and the state.
	Type string `json:"type"`
	// Timestamp is when the event happened, or when the relay took it if the event does not say.
	Timestamp time.Time `json:"timestamp"`
	// State is "problem", "recovered" or "neither": see [guance.State].
	State string `json:"state"`
	// Level is "fatal", "critical", "error", "warning", "nodata", "info" or "none": see
	// [guance.Level]. A recovery has "none".
	Level string `json:"level"`
	// Problem is the problem key: the same for a fault, its repeats and its recovery.
	Problem string `json:"problem"`
	// Link is the event's page in the Guance console; left out if there is none.
	Link string `json:"link,omitempty"`
	// Data is the event. In JSON it is what Guance sent: an object, or a string for the old
	// notifications of plain text. A template has its fields and methods: {{.Data.CheckerName}}.
	Data *guance.Event `json:"data"`
}

func payloadOf(d *relay.Delivery) Payload {
	at := d.Event.Time()
	if at.IsZero() {
		at = d.Accepted
	}
	state := d.Event.State().String()
	return Payload{
		Type: "guance." + state, Timestamp: at.UTC(), State: state, Level: d.Event.Level().String(),
		Problem: d.Problem, Link: d.Event.Link(), Data: d.Event,
	}
}

// encode returns v as JSON, in which <, > and & stand as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
