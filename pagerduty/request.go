package pagerduty

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

// alertRequest is the JSON of an alert event. Links, images, client and client_url stand beside the
// payload: PagerDuty ignores them inside it.
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

// changeRequest is the JSON of a change event, which has neither an action nor a dedup key.
type changeRequest struct {
	RoutingKey string  `json:"routing_key"`
	Payload    payload `json:"payload"`
	Links      []Link  `json:"links,omitempty"`
}

// payload is the payload of both kinds of event. A repaired alert always has a source and a
// severity; a change event has no severity.
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

// tree returns details as an any: the encoder needs reflection for a map, and none for an any.
func tree(details map[string]any) any {
	if len(details) == 0 {
		return nil
	}
	return details
}

// request returns the JSON form of a repaired event.
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

// request returns the JSON form of a repaired change event.
func (e *ChangeEvent) request(key RoutingKey) *changeRequest {
	return &changeRequest{
		RoutingKey: key.Reveal(), Links: e.Links,
		Payload: payload{
			Summary: e.Summary, Source: e.Source,
			Timestamp: timestamp(e.Timestamp), Details: tree(e.Details),
		},
	}
}

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(wireTime)
}

// deterministic makes the same event give the same bytes. The encoder does not escape for HTML,
// which would make six bytes of one.
var deterministic = json.Deterministic(true)

func encode(request any) ([]byte, error) {
	body, err := json.Marshal(request, deterministic)
	if err != nil {
		// A bug in this package: after the repair every value can be encoded. The error of the encoder
		// names a place and repeats no text.
		return nil, fmt.Errorf("pagerduty: encoding the event: %w", err)
	}
	return body, nil
}

// encodedSize is the number of bytes that v takes in a request. An error is ignored here, since
// encoding the request returns it.
func encodedSize(v any) int {
	body, _ := json.Marshal(v, deterministic)
	return len(body)
}

// message is a repaired event that can be encoded within a size limit.
type message interface {
	// encode returns at most limit bytes, and what was cut to fit.
	encode(limit int) ([]byte, []Repair, error)
}

type alertMessage struct {
	key RoutingKey
	ev  Event
}

func (m *alertMessage) encode(limit int) ([]byte, []Repair, error) {
	body, err := encode(m.ev.request(m.key))
	if err != nil || len(body) <= limit {
		return body, nil, err
	}
	ev := m.ev
	t := &trimmer{
		limit:  limit,
		encode: func() ([]byte, error) { return encode(ev.request(m.key)) },
		lines: map[string]*string{
			"payload.source": &ev.Source, "payload.component": &ev.Component, "payload.group": &ev.Group,
			"payload.class": &ev.Class, "client": &ev.Client,
		},
		url: &ev.ClientURL, links: &ev.Links, images: &ev.Images,
	}
	if !ev.bare() { // a bare event has no payload for the note
		t.details = &ev.Details
	}
	return t.fit(body)
}

type changeMessage struct {
	key RoutingKey
	ev  ChangeEvent
}

func (m *changeMessage) encode(limit int) ([]byte, []Repair, error) {
	body, err := encode(m.ev.request(m.key))
	if err != nil || len(body) <= limit {
		return body, nil, err
	}
	ev := m.ev
	t := &trimmer{
		limit:   limit,
		encode:  func() ([]byte, error) { return encode(ev.request(m.key)) },
		lines:   map[string]*string{"payload.source": &ev.Source},
		details: &ev.Details, links: &ev.Links,
	}
	return t.fit(body)
}
