package main

import (
	"os"
	"runtime/debug"
)

const (
	// memoryLimit is the heap size above which the garbage collector works harder. A full store of a
	// million pending events takes some 115 MiB of heap; by default the collector would let it grow
	// to twice that. Nearly all of it has no pointers, so a collection takes two milliseconds. The
	// limit cannot stall the server: the collector never takes more than half of the processors.
	memoryLimit = 160 << 20
	// gcPercent is how far the heap may grow between two collections below the limit, in percent of
	// what is in use. Without a backlog that is some 8 MiB, and Go's default of 100 would collect
	// dozens of times a second in a storm: a sixth of the processor time of an event.
	gcPercent = 400
)

// tuneCollector sets both, unless GOMEMLIMIT or GOGC is set.
func tuneCollector() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
