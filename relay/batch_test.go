package relay_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// eventAt is an event with a time, in minutes of some hour.
func eventAt(t *testing.T, id, status string, minute int) *guance.Event {
	t.Helper()
	e := event(t, id, "p", status)
	e.Date = time.Date(2026, 1, 1, 12, minute, 0, 0, time.UTC)
	e.Raw = nil // it is kept as its fields say
	return e
}

// Promises 3 and 4: several events of a problem in one webhook have the same effect as one webhook
// for each. An event that is older than one before it in the body was overtaken.
func TestOneBatchOfAProblem(t *testing.T) {
	tests := map[string]struct {
		events string // "status minute", in the order of the body
		want   string // what the target takes
	}{
		"a fault":                  {"critical 1", "p critical"},
		"a fault and its recovery": {"critical 1, ok 3", ""},
		"a fault, its recovery and an overtaken fault": {"critical 1, ok 3, error 2", ""},
		"a recovery and its overtaken fault":           {"ok 3, critical 1", "p ok"},
		"a fault, its recovery and the next fault":     {"critical 1, ok 3, error 4", "p error"},
		"two pairs": {"critical 1, ok 3, error 4, ok 5", ""},
		"two pairs and a fault between them": {"critical 1, ok 3, error 4, ok 6, critical 5",
			""},
		"a recovery, overtaken, of a fault":               {"critical 3, ok 1", "p critical"},
		"three levels, the middle one last":               {"critical 1, error 3, fatal 2", "p error"},
		"a pair and an overtaken fault older than lately": {"critical 1, ok 30, error 2", "p error"},
	}
	for name, test := range tests {
		for _, how := range []string{"one body", "a body each"} {
			t.Run(name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					sink := &recorder{}
					r, _ := run(t, sink, nil)
					// The bucket is empty at the start, so all are accepted before the first request.
					var events []*guance.Event
					for i, e := range strings.Split(test.events, ", ") {
						var status string
						var minute int
						if _, err := fmt.Sscan(e, &status, &minute); err != nil {
							t.Fatal(err)
						}
						events = append(events, eventAt(t, fmt.Sprint(i), status, minute))
					}
					if how == "one body" {
						accept(t, r, events...)
					} else {
						for e := range slices.Values(events) {
							accept(t, r, e)
						}
					}
					time.Sleep(time.Minute)
					if got := strings.Join(sink.taken(), ", "); got != test.want {
						t.Errorf("the target took %q, want %q", got, test.want)
					}
				})
			})
		}
	}
}
