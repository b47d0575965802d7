// Package guancetest makes events as Guance sends them, for tests, demonstrations and benchmarks.
//
//	p := guancetest.NewProblem("disk usage", "host", "web001")
//	fault, recovery := p.Fault(guance.LevelCritical), p.Recover()
//	// fault.ProblemKey() == recovery.ProblemKey()
//	// fault.Raw is a body to POST
//
// A [Problem] is one problem of one monitor on one object. It makes the events of that problem in
// order: the fault, repeats, changes of level, the recovery. A [Storm] makes events of many
// problems, with duplicates, delays and disorder. The same seed gives the same events.
//
// An event has the fields and the size of the one body that the vendor has published in full, and
// the fields about the fault that newer documents add. Events that no document shows, such as a
// recovery, are made from documented fields. Every event was encoded and decoded by
// [guance.Decode].
//
// Problems and storms are not safe for concurrent use; events are, for reading. The package does
// not import testing.
package guancetest
