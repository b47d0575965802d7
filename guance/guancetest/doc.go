// Package guancetest makes events as Guance would send them, for tests,
// demonstrations and benchmarks.
//
// A [Problem] is one fault of one monitor on one object, and makes the events
// of its life in order: the fault, repeats, changes of level, the recovery. A
// [Storm] makes many problems at once, with the duplicates, delays and disorder
// of a bad day, the same ones for the same seed.
//
//	p := guancetest.NewProblem("disk usage", "host", "web001")
//	fault, recovery := p.Fault(guance.LevelCritical), p.Recover()
//	// fault.ProblemKey() == recovery.ProblemKey()
//
// Events have the fields and the size of the one body that the vendor has
// published in full, and the fault round fields that newer documents add. What
// no document shows, such as a recovery, is put together from documented
// fields. Every event went through [guance.Decode]: its Raw is a body to post.
//
// Problems and storms are not safe for concurrent use; the events are, for
// reading. The package does not import testing.
package guancetest
