// Package simulate searches for a way to break the promise of package relay.
//
// A seed makes a [Plan]: what Guance sends and when, what is wrong with PagerDuty and for how long, when the process is killed or stopped, when
// its disk is full or fails, and what an impatient operator does. [Run] plays the plan in a testing/synctest bubble, where hours cost
// milliseconds, with the real handler, relay, sink and PagerDuty client; only the disk and PagerDuty are played, by a store that can be torn off
// in the middle of a call and by pagerdutytest. In the end every fault stops, time runs on, and the history of the lane is judged.
//
//	go test ./internal/simulate                                    a short slice
//	go test ./internal/simulate -seeds 100000 -minutes 60          a search
//	go test ./internal/simulate -seed 4711 -v                      one seed again
//
// What the seed decides is all but the order in which goroutines run that are ready at the same instant, so a seed is played several times when
// it is looked at again.
package simulate
