package main

import (
	"os"
	"runtime/debug"
)

const (
	// memoryLimit is where the garbage collector begins to work harder. A full store of a million pending events takes some 115 MiB of the heap,
	// which the collector by itself would let grow to twice that before it looks. Nearly all of it has no pointers, so that looking takes two
	// milliseconds; and above the limit the collector never takes more than half of the processors.
	memoryLimit = 160 << 20
	// memoryGrowth is how far the heap may grow before the collector looks, in percent of what is alive and below the limit. A relay
	// without a backlog has some 8 MiB alive, and with Go's 100 percent the collector would look dozens of times a second in a storm: it took a sixth
	// of the processor time of an event.
	memoryGrowth = 400
)

// tuneCollector sets both, unless GOMEMLIMIT or GOGC does.
func tuneCollector() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(memoryGrowth)
	}
}
