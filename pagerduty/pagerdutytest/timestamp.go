package pagerdutytest

import (
	"regexp"
	"time"
)

// isoForm is ISO 8601 as PagerDuty's examples have it: a date, or a date and a time of two-digit
// parts joined by T, with or without a zone. It excludes what PagerDuty is known to refuse: a space
// for the T, and an hour of one digit (github.com/elastic/kibana/issues/116173,
// github.com/polyverse/pagerduty-rs/issues/2).
var isoForm = regexp.MustCompile(
	`^(\d{4}-\d\d-\d\d)(?:T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?` +
		`(?:Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?)?$`)

func iso8601(s string) bool {
	parts := isoForm.FindStringSubmatch(s)
	if parts == nil {
		return false
	}
	_, err := time.Parse(time.DateOnly, parts[1]) // excludes dates such as 30 February
	return err == nil
}
