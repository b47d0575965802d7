// Package relaytest tests sinks, and relays as a whole.
//
//   - [TestSink] tests a sink against the contract of relay.Sink.
//   - [Recorder] records what a lane sends, in front of any sink or of a scripted one.
//   - [StoreRecorder.CheckRouting] tests which lanes got each event.
//   - [History.Check] tests what a lane did against the promises of package relay.
//
// # The test of sinks
//
// [TestSink] plays the target: an HTTP server on the loopback that takes, refuses, throttles,
// fails, hangs, resets, redirects and sends garbage. It tests what the sink returns each time.
//
//	func TestMySink(t *testing.T) {
//		newSink := func(t *testing.T, target *relaytest.Target) relay.Sink {
//			return mysink.New(target.URL+"/hook/s3cret", nil)
//		}
//		opts := &relaytest.SuiteOptions{Secrets: []string{"s3cret"}}
//		relaytest.TestSink(t, newSink, opts)
//	}
//
// # The recording sink
//
// A [Recorder] stands in front of a relay.Sink and records each attempt: when it came, for which
// problem, how many at once. The scripted sinks are [Takes], [Fails], [Refuses], [Throttles],
// [Ignores], [Panics], [Hangs] and [Slow]. [Times], [ByProblem] and [EachProblem] combine sinks.
// For anything else write a relay.SinkFunc.
//
//	failing := relaytest.Fails(errors.New("502"))
//	target := relaytest.Record(relaytest.Times(3, failing, relaytest.Takes()))
//	r.Handle("lane", target, nil)
//
// All of this may be used concurrently. It may be used in a testing/synctest bubble if it was made
// there.
//
// # The check of histories
//
// A [History] holds what one lane accepted, what it sent, and the outcomes that the store has.
// [History.Check] tests promises 2 to 6 of package relay and names the first violation. A history
// may come from
//
//   - a relay in the process of the test: [Told] for each accepted event, [Recorder.Attempts] of a
//     recorder that lives through restarts, [Settled] of the store;
//   - a real process that the test kills: [Told] for each webhook that was answered with 202, in
//     the order of sending; an [Attempt] for each request that a fake target received, with the
//     event ID from its body; [Settled] of the store's file, opened after the process has ended.
//     An answer that the fake could not deliver, or never gave, is [Unknown] and has no End.
package relaytest
