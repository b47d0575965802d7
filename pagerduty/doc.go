// Package pagerduty sends events to PagerDuty's Events API v2 and loses none
// for a reason that could be put right.
package pagerduty
