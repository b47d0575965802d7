// Package relaytest holds a sink, and a whole relay, to what they promise.
//
// # A recording sink
//
// A [Recorder] stands before any relay.Sink, keeps every attempt, and answers questions: what came, when, for which problem, how
// many at once. The sinks of this package answer as a script says: [Takes], [Fails], [Refuses], [Throttles], [Ignores], [Panics],
// [Hangs], [Slow], and put together by [Times], [ByProblem] and [EachProblem]; a relay.SinkFunc is the script that none of them is.
//
//	target := relaytest.Record(relaytest.Times(3, relaytest.Fails(errors.New("502")), relaytest.Takes()))
//	r.Handle("lane", target, nil)
//
// All of it may be used concurrently, and within a testing/synctest bubble if it was made there.
//
// # The sink suite
//
// [TestSink] holds a sink that somebody wrote to the contract of relay.Sink. The suite is the target: an HTTP server on the
// loopback that answers well, refuses, throttles, fails, hangs, resets, redirects and talks garbage, while the suite looks at what
// the sink makes of it.
//
//	func TestMySink(t *testing.T) {
//		relaytest.TestSink(t, func(t *testing.T, target *relaytest.Target) relay.Sink {
//			return mysink.New(target.URL+"/hook/s3cret", nil)
//		}, &relaytest.SuiteOptions{Secrets: []string{"s3cret"}})
//	}
//
// # The history checker
//
// A [History] is what was accepted, what was on the wire and which outcomes were recorded, of one lane. [History.Check] decides
// promises 2 to 6 of package relay by it, and names the first violation. It does not care where a history comes from:
//
//   - In process: [Told] for each event as it was accepted, [Recorder.Attempts] of a recorder that outlives restarts, [Settled] of
//     the store.
//   - Of a real process, killed at will: [Told] for each webhook that was answered with 202, in the order of sending; one
//     [Attempt] for each request that a fake of the target saw, named by the event id in its body; [Settled] of the store's file,
//     opened again once the process is gone. An answer that the fake could not deliver, or never gave, is [Unknown] and has no End.
//
// The package does not import testing: nothing of it reaches a program's flags.
package relaytest
