package pagerduty

import "time"

// ChangeEvent records a change, such as a deployment, on a service. It opens no incident and
// notifies nobody; PagerDuty keeps it for 90 days.
//
// Images are left out on purpose: PagerDuty's reference takes only links on change events, and its
// schema says otherwise.
type ChangeEvent struct {
	// Summary is what changed; at most 1024 characters. Required.
	Summary string

	Source    string         // what changed it or where; may be empty
	Timestamp time.Time      // when; zero means PagerDuty's clock
	Details   map[string]any // as in [Event]

	Links []Link // those whose Href is not http or https are left out
}
