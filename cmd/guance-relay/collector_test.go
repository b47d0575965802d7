package main

import (
	"runtime/debug"
	"testing"
)

func TestTuneCollector(t *testing.T) {
	limit, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	defer debug.SetMemoryLimit(limit)
	defer debug.SetGCPercent(percent)
	for _, test := range []struct {
		limit, percent string
		wantLimit      int64
		wantPercent    int
	}{
		{"", "", memoryLimit, gcPercent},
		{"1GiB", "", limit, gcPercent},
		{"", "50", memoryLimit, 100},
		{"off", "off", limit, 100},
	} {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(100)
		t.Setenv("GOMEMLIMIT", test.limit)
		t.Setenv("GOGC", test.percent)
		tuneCollector()
		gotLimit, gotPercent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
		if gotLimit != test.wantLimit || gotPercent != test.wantPercent {
			t.Errorf("GOMEMLIMIT=%q and GOGC=%q: the limit is %d and the growth %d, want %d and %d",
				test.limit, test.percent, gotLimit, gotPercent, test.wantLimit, test.wantPercent)
		}
	}
}
