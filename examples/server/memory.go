package main

import (
	"os"
	"runtime/debug"
)

// memoryLimit is where the garbage collector begins to work harder. A full store of a million pending events takes some 115 MiB of the heap,
// which the collector by itself would let grow to twice that before it looks. Nearly all of it has no pointers, so that looking takes two
// milliseconds; and above the limit the collector never takes more than half of the processors.
const memoryLimit = 160 << 20

// limitMemory sets the limit, unless GOMEMLIMIT does.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
