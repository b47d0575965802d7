package pagerdutytest_test

import (
	"testing"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// The first five are PagerDuty's own examples (developer docs, Types and Events API v2 overview).
func TestTimestamps(t *testing.T) {
	for timestamp, want := range map[string]bool{
		"2015-07-17T08:42:58.315+0000":        true,
		"2020-07-17T08:42:58.315Z":            true,
		"2011-05-06T17:00Z":                   true,
		"2011-05-06T03:30-07":                 true,
		"2011-05-06":                          true,
		"2011-05-06T03:30:00-07:00":           true,
		"2011-05-06T03:30:00":                 true,
		"2011-05-06T03:30:00.123456789+05:45": true,
		"2012-02-29":                          true,
		"":                                    false,
		" ":                                   false,
		" 2011-05-06":                         false,
		"2011-05-06\n":                        false,
		"2021-10-22 5:01:32":                  false, // refused, kibana issue 116173
		"2021-10-22 05:01:32":                 false,
		"2021-10-22T5:01:32Z":                 false, // refused, pagerduty-rs issue 2
		"1963-09-55 90:23:45":                 false,
		"2011-05-06T":                         false,
		"2011-05-06T17Z":                      false,
		"2011-05-06T24:00Z":                   false,
		"2011-05-06T17:60Z":                   false,
		"2011-05-06T17:00:60Z":                false,
		"2011-05-06T17:00:00,5Z":              false,
		"2011-05-06T17:00:00.Z":               false,
		"2011-05-06T17:00+24:00":              false,
		"2011-05-06T17:00+05:60":              false,
		"2011-05-06T17:00z":                   false,
		"2011-05-06t17:00Z":                   false,
		"2011-05-06T17:00 UTC":                false,
		"2011-02-29":                          false,
		"2011-13-01":                          false,
		"2011-5-6":                            false,
		"20110506T170000Z":                    false,
		"11-05-06":                            false,
		"1304701200":                          false,
		"Fri, 06 May 2011 17:00:00 GMT":       false,
		"２０１１-05-06":                          false, // digits, but not ASCII
	} {
		fake := pagerdutytest.NewTransport()
		got := post(t, fake, alertURL, trigger(key1, "a").payload("timestamp", timestamp).String())
		if (got.status == 202) != want {
			t.Errorf("%q: %d %s", timestamp, got.status, got.body)
		}
	}
}
