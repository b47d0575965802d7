//go:build !race

package guance_test

import (
	"testing"

	"github.com/guance-relay/guance-relay/guance"
)

const raceEnabled = false

// Decode may make 1.2 times the allocations of encoding/json for the same bytes. The test counts
// them and does not measure time.
func TestDecodeAllocations(t *testing.T) {
	body := sample(t, "webhook-monitor-critical.json")
	ours := testing.AllocsPerRun(100, func() { _, _ = guance.Decode(body, "application/json") })
	plain := testing.AllocsPerRun(100, func() { _, _ = decodePlain(body) })
	if ours > 1.2*plain {
		t.Errorf("Decode allocates %v times, encoding/json %v times; want at most 1.2 times as many",
			ours, plain)
	}
}
