// Package bench sets this project beside others in benchmarks that run both sides in one process, one after the other.
//
// A benchmark says nothing alone: what counts is the ratio of its two columns. To compare them,
//
//	for i in $(seq 10); do go test -run '^$' -bench . -benchmem ./bench; done > out.txt
//	go run golang.org/x/perf/cmd/benchstat@latest -col /client out.txt
//
// runs the sides in turn, so that what else the machine does falls on both.
package bench
