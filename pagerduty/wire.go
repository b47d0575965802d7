package pagerduty

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// wireEvent is an alert event as the Events API v2 takes it. Links, images,
// client and client_url stand beside payload: inside it they are ignored.
type wireEvent struct {
	RoutingKey string       `json:"routing_key"`
	Action     Action       `json:"event_action"`
	DedupKey   string       `json:"dedup_key"`
	Payload    *wirePayload `json:"payload,omitempty"`
	Client     string       `json:"client,omitempty"`
	ClientURL  string       `json:"client_url,omitempty"`
	Links      []Link       `json:"links,omitempty"`
	Images     []Image      `json:"images,omitempty"`
}

type wirePayload struct {
	Summary   string   `json:"summary"`
	Source    string   `json:"source"`
	Severity  Severity `json:"severity"`
	Timestamp string   `json:"timestamp,omitempty"`
	Component string   `json:"component,omitempty"`
	Group     string   `json:"group,omitempty"`
	Class     string   `json:"class,omitempty"`
	Details   tree     `json:"custom_details,omitempty"`
}

// wireChange is a change event as the Events API v2 takes it. It has neither
// an action nor a severity nor a dedup key.
type wireChange struct {
	RoutingKey string            `json:"routing_key"`
	Payload    wireChangePayload `json:"payload"`
	Links      []Link            `json:"links,omitempty"`
}

type wireChangePayload struct {
	Summary   string `json:"summary"`
	Source    string `json:"source,omitempty"`
	Timestamp string `json:"timestamp,omitempty"`
	Details   tree   `json:"custom_details,omitempty"`
}

func wireEventOf(key RoutingKey, ev *Event) *wireEvent {
	w := &wireEvent{
		RoutingKey: key.Reveal(),
		Action:     ev.Action,
		DedupKey:   ev.DedupKey,
		Client:     ev.Client,
		ClientURL:  ev.ClientURL,
		Links:      ev.Links,
		Images:     ev.Images,
	}
	if !ev.bare() {
		w.Payload = &wirePayload{
			Summary:   ev.Summary,
			Source:    ev.Source,
			Severity:  ev.Severity,
			Timestamp: formatTime(ev.Timestamp),
			Component: ev.Component,
			Group:     ev.Group,
			Class:     ev.Class,
			Details:   ev.Details,
		}
	}
	return w
}

func wireChangeOf(key RoutingKey, ev *ChangeEvent) *wireChange {
	return &wireChange{
		RoutingKey: key.Reveal(),
		Payload: wireChangePayload{
			Summary:   ev.Summary,
			Source:    ev.Source,
			Timestamp: formatTime(ev.Timestamp),
			Details:   ev.Details,
		},
		Links: ev.Links,
	}
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(wireTime)
}

// encode writes v without the escapes for HTML, which would make six bytes of
// one: the size that counts is that of the bytes sent.
func encode(v any) ([]byte, error) {
	body, err := json.Marshal(v, jsontext.AllowDuplicateNames(true)) // there are none to look for
	if err != nil {
		// Repair has made every value writable, so this is a defect of this package.
		return nil, fmt.Errorf("pagerduty: encoding the event: %w", err)
	}
	return body, nil
}
