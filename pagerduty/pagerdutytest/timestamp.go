package pagerdutytest

import (
	"regexp"
	"time"
)

// isoForm is ISO 8601 as PagerDuty documents it: a date, or a date and a time
// of two-digit parts joined by T.
var isoForm = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?)?$`)

func iso8601(s string) bool {
	parts := isoForm.FindStringSubmatch(s)
	if parts == nil {
		return false
	}
	if _, err := time.Parse(time.DateOnly, parts[1]); err != nil {
		return false
	}
	if len(s) < len("2006-01-02T15:04") {
		return true
	}
	_, err := time.Parse("15:04", s[11:16])
	return err == nil
}
