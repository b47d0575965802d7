package main

import (
	"runtime/debug"
	"testing"
)

func TestLimitMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for limit, want := range map[string]int64{"": memoryLimit, "off": before, "1GiB": before} {
		debug.SetMemoryLimit(before)
		t.Setenv("GOMEMLIMIT", limit)
		limitMemory()
		if got := debug.SetMemoryLimit(-1); got != want {
			t.Errorf("GOMEMLIMIT=%q: the limit is %d, want %d", limit, got, want)
		}
	}
}
