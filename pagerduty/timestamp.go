package pagerduty

import (
	"fmt"
	"strings"
	"time"
)

// wireTime is how timestamps are written. PagerDuty refuses anything looser
// than ISO 8601 with the whole event, an hour of one digit included.
const wireTime = "2006-01-02T15:04:05.000Z07:00"

// readTimes are the ISO 8601 forms PagerDuty's documentation shows. Parsing
// takes a fraction after the seconds in each without its being named.
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

// ParseTimestamp reads the ISO 8601 forms PagerDuty documents, those without
// seconds, zone or time of day included (UTC is understood). A blank text
// gives the zero time, which an event leaves out.
func ParseTimestamp(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range readTimes {
		// time.Parse takes an hour of one digit where 15 stands; ISO 8601 does not.
		if t, err := time.Parse(layout, s); err == nil && (len(s) < 13 || s[12] != ':') {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("pagerduty: timestamp %q is not in ISO 8601; write it as 2006-01-02T15:04:05.000Z", shorten(clean(s, true), 64, units))
}

// fourDigitYear reports whether t has a four-digit year, as wireTime needs.
func fourDigitYear(t time.Time) bool {
	year := t.UTC().Year()
	return t.IsZero() || 0 <= year && year <= 9999
}

func (r *repairer) dropTimestamp() time.Time {
	r.note("payload.timestamp", "year out of range; left out")
	return time.Time{}
}
