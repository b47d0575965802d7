// Package pagerdutytest is a fake of PagerDuty's Events API v2: it takes
// alert and change events as PagerDuty does, refuses what PagerDuty refuses
// in PagerDuty's words, keeps incidents, and fails on demand.
package pagerdutytest
