// Package received reads what a fake PagerDuty received, for the checker of histories.
package received

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/relaytest"
)

// Attempts returns the requests as attempts. A request that was cut off is no attempt: PagerDuty
// cannot have made anything of it.
func Attempts(requests []pagerdutytest.Request) (as []relaytest.Attempt, err error) {
	for _, req := range requests {
		var body struct {
			Key     string `json:"dedup_key"`
			Payload struct {
				Details struct {
					ID        string `json:"event_id"`
					Status    string `json:"status"`
					SubStatus string `json:"sub_status"`
				} `json:"custom_details"`
			} `json:"payload"`
		}
		if err := json.Unmarshal(req.Body, &body); err != nil {
			if req.Status == http.StatusAccepted {
				return nil, fmt.Errorf("taken although it is no event: %w: %s", err, req.Body)
			}
			continue
		}
		e := &guance.Event{EventID: body.Payload.Details.ID,
			Status:    guance.Status(body.Payload.Details.Status),
			SubStatus: guance.Status(body.Payload.Details.SubStatus)}
		a := relaytest.Attempt{ID: relay.EventID("", e), Problem: body.Key, State: e.State(),
			Level: e.Level(), Start: req.Time}
		if req.Status == http.StatusAccepted {
			a.Answer, a.End = relaytest.Taken, req.Time
		}
		as = append(as, a)
	}
	return as, nil
}
