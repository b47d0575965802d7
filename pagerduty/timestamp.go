package pagerduty

import (
	"fmt"
	"strings"
	"time"
)

// wireTime is the form that is sent. PagerDuty refuses the whole event for a time that is not ISO
// 8601, such as one with an hour of one digit.
const wireTime = "2006-01-02T15:04:05.000Z07:00"

// readTimes are the ISO 8601 forms of PagerDuty's documentation. time.Parse accepts a fraction of a
// second in each.
var readTimes = []string{
	time.RFC3339,
	"2006-01-02T15:04:05Z0700",
	"2006-01-02T15:04:05Z07",
	"2006-01-02T15:04:05",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04Z0700",
	"2006-01-02T15:04Z07",
	"2006-01-02T15:04",
	time.DateOnly,
}

// ParseTimestamp reads the ISO 8601 forms that PagerDuty documents, also without seconds, time of
// day or zone. A time without a zone is UTC. A blank text gives the zero time.
func ParseTimestamp(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range readTimes {
		// time.Parse accepts an hour of one digit for 15; ISO 8601 does not.
		if t, err := time.Parse(layout, s); err == nil && (len(s) < 13 || s[12] != ':') {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("pagerduty: timestamp %q is not in ISO 8601; write it as "+
		"2006-01-02T15:04:05.000Z", shorten(clean(s, true), 64, units))
}

// fourDigitYear reports whether t can be written as wireTime.
func fourDigitYear(t time.Time) bool {
	year := t.UTC().Year()
	return t.IsZero() || 0 <= year && year <= 9999
}

func (r *repairer) dropTimestamp() time.Time {
	r.note("payload.timestamp", "year out of range; left out")
	return time.Time{}
}
