package pagerduty

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

// alertRequest is an alert event as the Events API v2 takes it. Links, images, client and client_url stand beside the payload:
// PagerDuty ignores them inside of it.
type alertRequest struct {
	RoutingKey string   `json:"routing_key"`
	Action     Action   `json:"event_action"`
	DedupKey   string   `json:"dedup_key"`
	Payload    *payload `json:"payload,omitzero"`
	Client     string   `json:"client,omitzero"`
	ClientURL  string   `json:"client_url,omitzero"`
	Links      []Link   `json:"links,omitempty"`
	Images     []Image  `json:"images,omitempty"`
}

// changeRequest is a change event. It has neither an action nor a dedup key.
type changeRequest struct {
	RoutingKey string  `json:"routing_key"`
	Payload    payload `json:"payload"`
	Links      []Link  `json:"links,omitempty"`
}

// payload is that of both kinds. Repair gives every alert a source and a severity; a change event has no severity.
type payload struct {
	Summary   string   `json:"summary"`
	Source    string   `json:"source,omitzero"`
	Severity  Severity `json:"severity,omitzero"`
	Timestamp string   `json:"timestamp,omitzero"`
	Component string   `json:"component,omitzero"`
	Group     string   `json:"group,omitzero"`
	Class     string   `json:"class,omitzero"`
	Details   any      `json:"custom_details,omitzero"` // a map[string]any, or nil
}

// tree returns details for the encoder, which walks an any without reflection and a map with it.
func tree(details map[string]any) any {
	if len(details) == 0 {
		return nil
	}
	return details
}

// request returns what is sent of a repaired event.
func (e *Event) request(key RoutingKey) *alertRequest {
	r := &alertRequest{
		RoutingKey: key.Reveal(), Action: e.Action, DedupKey: e.DedupKey,
		Client: e.Client, ClientURL: e.ClientURL, Links: e.Links, Images: e.Images,
	}
	if !e.bare() {
		r.Payload = &payload{
			Summary: e.Summary, Source: e.Source, Severity: e.Severity, Timestamp: timestamp(e.Timestamp),
			Component: e.Component, Group: e.Group, Class: e.Class, Details: tree(e.Details),
		}
	}
	return r
}

// request returns what is sent of a repaired change event.
func (e *ChangeEvent) request(key RoutingKey) *changeRequest {
	return &changeRequest{
		RoutingKey: key.Reveal(), Links: e.Links,
		Payload: payload{Summary: e.Summary, Source: e.Source, Timestamp: timestamp(e.Timestamp), Details: tree(e.Details)},
	}
}

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(wireTime)
}

// deterministic has the same event give the same bytes. Nothing is escaped for HTML, which makes six bytes of one.
var deterministic = json.Deterministic(true)

func encode(request any) ([]byte, error) {
	body, err := json.Marshal(request, deterministic)
	if err != nil {
		// Repair has made every value writable, so this is a defect of this package. The error of the encoder names a place and no text.
		return nil, fmt.Errorf("pagerduty: encoding the event: %w", err)
	}
	return body, nil
}

// encodedSize is the number of bytes that v takes in a request. What cannot be encoded is found when the request is.
func encodedSize(v any) int {
	body, _ := json.Marshal(v, deterministic)
	return len(body)
}
