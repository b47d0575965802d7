// Package bench sets this project beside others in benchmarks that run both sides in one process.
//
// A benchmark says nothing alone: what counts is the ratio of the two sides. Those whose name ends in InTurn report it, as "ratio":
// ours by theirs, of medians. For the others, and for allocations,
//
//	for i in $(seq 15); do go test -run '^$' -bench . -benchmem ./bench; done > out.txt
//	go run golang.org/x/perf/cmd/benchstat@latest -filter .name:Send -col /client out.txt
//
// runs the sides one after the other, in random order, so that what else the machine does falls on both.
package bench
