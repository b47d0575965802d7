package main

import (
	"fmt"
	"io"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// narrator tells in plain words what happens to incidents.
func narrator(w io.Writer) func(pagerdutytest.Step) {
	return func(c pagerdutytest.Step) {
		what := "acknowledged"
		switch {
		case c.Repeated:
			what = "updated"
		case c.Action == "trigger":
			what = "opened"
		case c.Action == "resolve":
			what = "resolved after " + c.Incident.Resolved.Sub(c.Incident.Opened).Round(100*time.Millisecond).String()
		}
		fmt.Fprintf(w, "incident %s: %s, %s\n", what, c.Incident.Severity, c.Incident.Summary)
	}
}
