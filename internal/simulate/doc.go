// Package simulate searches for a way to break the promises of package relay.
//
// A seed makes a [Plan]: what Guance sends and when, how PagerDuty fails and for how long, when the
// process is killed or stopped, when its disk is full or fails, which lanes there are and how they
// change, who sends, and what an operator does. [Run] plays the plan in a testing/synctest bubble,
// where hours take milliseconds. The handler, relay, sink and PagerDuty client are real. The disk
// is a store that can fail or end in the middle of a call, and PagerDuty is pagerdutytest.
//
// Half of the plans have two or three nodes over one memstore.Cluster, see [RunNodes]. Webhooks go
// to any of them. Nodes are killed, stopped, paused and cut off from the engine. Their wall clocks
// are set. They have different lanes, as during a rolling update: a lane is missing on some, or has
// another routing key. The engine is away, or its standby takes over. If commits do not wait for
// the standby, what it lacks is lost: then what was accepted or sent in that time is left out, as
// nothing of it was promised. There is one history of each lane over all nodes.
//
// At the end all faults stop, some nodes keep their old lanes, and time runs on. Then the history
// of each lane is checked, and which lanes got each event.
//
//	go test ./internal/simulate                                    a short slice
//	go test ./internal/simulate -seeds 100000 -minutes 60          a search
//	go test ./internal/simulate -seeds 100000 -several             a search among several nodes
//	go test ./internal/simulate -seed 4711 -v                      one seed again
//
// The seed decides everything except the order of goroutines that are ready at the same instant. So
// -seed plays its seed several times.
package simulate
