package guancetest_test

import (
	"testing"

	"github.com/guance-relay/guance-relay/guance/guancetest"
)

// BenchmarkStorm shows how much of another benchmark's time is spent in the storm.
func BenchmarkStorm(b *testing.B) {
	b.ReportAllocs()
	events := 0
	for b.Loop() {
		for range (guancetest.Storm{Problems: 100, Events: 1000}).Deliveries() {
			events++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
}
