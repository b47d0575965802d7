package main

import (
	"errors"
	"testing"
)

// What is compared must first be right: of every problem each system makes one incident, which is
// resolved at the end.
func TestEveryProblemBecomesAnIncident(t *testing.T) {
	for _, sys := range systems {
		t.Run(sys.name, func(t *testing.T) {
			f, err := sys.field(t, "fake", 4)
			if errors.Is(err, errAbsent) {
				t.Log(err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := f.campaign(8); err != nil {
				t.Fatal(err)
			}
			if s := f.seen; s.Triggered != 32 || s.Resolved != 32 || s.Refused != 0 ||
				s.Open != 0 || s.Closed != 32 || f.last.missing != 0 {
				t.Errorf("of 32 problems PagerDuty saw %+v", s)
			}
		})
	}
}
