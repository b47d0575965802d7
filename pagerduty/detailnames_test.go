package pagerduty_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// Two names that become equal by the repair keep both values, at any depth and in any order of the
// map.
func TestNoDetailIsLostToItsName(t *testing.T) {
	names := map[string][]string{
		"two alike":                       {"a\xff", "a\xfe"},
		"one like a sound one":            {"a\xff", "a\ufffd"},
		"one like a sound one, and so on": {"a\xff", "a\xfe", "a\ufffd", "a\ufffd_", "a\ufffd__"},
		"by control characters":           {"a\x00b", "a\x01b", "a b", "a\ufffdb", "ab"},
		"empty":                           {"", "_", "\xff", "\xfe"},
	}
	values := func(v any) (got []string) {
		for v := range maps.Values(v.(map[string]any)) {
			got = append(got, fmt.Sprint(v))
		}
		slices.Sort(got)
		return got
	}
	for name, names := range names {
		t.Run(name, func(t *testing.T) {
			details, want := make(map[string]any), []string{}
			for i, n := range names {
				details[n] = fmt.Sprint("value ", i)
				want = append(want, fmt.Sprint("value ", i))
			}
			outer := map[string]any{"in": details, "list": []any{details},
				"text": map[string]string{"a\xff": "1", "b": "2"}}
			for range 20 { // a map has no order
				fake := pagerdutytest.NewTransport()
				ev := trigger("a")
				ev.Details = outer
				result, err := newClient(t, &pagerduty.Options{Transport: fake}).Send(t.Context(), ev)
				if err != nil {
					t.Fatal(err)
				}
				var sent struct {
					Payload struct {
						Details map[string]any `json:"custom_details"`
					}
				}
				if err := json.Unmarshal(fake.Requests()[0].Body, &sent); err != nil {
					t.Fatal(err)
				}
				got := sent.Payload.Details
				if in := values(got["in"]); !slices.Equal(in, want) {
					t.Fatalf("%q: got the values %q, want %q", got["in"], in, want)
				}
				if in := values(got["list"].([]any)[0]); !slices.Equal(in, want) {
					t.Fatalf("in a list %q: got the values %q, want %q", got["list"], in, want)
				}
				if in := values(got["text"]); !slices.Equal(in, []string{"1", "2"}) {
					t.Fatalf("in a map of texts: got %q", got["text"])
				}
				if len(result.Repairs) == 0 {
					t.Error("the result tells of no repair")
				}
			}
			if len(details) != len(names) {
				t.Error("the caller's map was changed")
			}
		})
	}
}
