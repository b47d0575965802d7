// Package relay takes alerts from Guance and brings them to targets that can be trusted to hear of them.
//
//	store, err := boltstore.Open("relay-data", nil)
//	r, err := relay.New(store, nil)
//	r.Handle("pagerduty", pagerdutysink.New(client, nil), nil)
//	h, err := relay.NewHandler(r, &relay.HandlerOptions{Tokens: []string{token}})
//	mux.Handle("/guance", h)
//	err = r.Run(ctx)
//
// # The promise
//
//  1. Accepted means kept. The handler answers 2xx only after every lane that wants the event has it on stable storage.
//  2. Nothing vanishes. In each lane an accepted event ends in exactly one recorded outcome: delivered, superseded (a newer
//     event of the same problem took its place before it was sent), ignored (the sink's mapping asks for nothing) or dead (with
//     the reason; it can be replayed). There is no fifth.
//  3. Never a stale state after a newer one. In a lane, events of one problem go out in the order accepted. A resolve never
//     overtakes its trigger, a trigger is never retried once a later state went out — across retries, restarts, dead-letter
//     replay and hand-over to another node. Between nodes this holds as far as a process that was stopped and continued looks at
//     the clock before it sends: a pause between that look and the packet cannot be excluded by anybody.
//  4. It converges. When faults end, what PagerDuty shows for each problem is what Guance last said. A resolve that follows a
//     request whose answer was lost is said once more, a minute later: what PagerDuty handles late, within that minute, cannot
//     undo it.
//  5. The budget is kept. No 60-second window holds more requests per routing key than allowed; retries spend from the same
//     budget. Being throttled is not a failure: it never uses up attempts and never kills an event.
//  6. The worst news travels first. Under any backlog a new critical problem waits for at most a stated number of sends.
//  7. Trouble stays where it is. A sink that is down, a poison event or a slow target delays no other problem or lane.
//  8. Stopping is safe. Shutdown finishes or hands back what is in flight within its deadline; what was handed back is sent later, once.
//  9. It says so. Whatever keeps an alert from getting through shows in the log, in the metrics and in the console within a
//     minute, with the reason and what to do.
//
// At-least-once is the honest word for the wire: a request whose answer was lost is sent again, with the same dedup_key, so that
// PagerDuty sees one incident.
//
// # An entry's life
//
// An event becomes one entry in each lane that wants it.
//
//	accepted ──▶ waiting ──▶ begun ──▶ in flight ──▶ delivered | dead | ignored
//	   │            │          ▲          │                       │
//	   ▼            ▼          │          ▼                       │
//	ignored     superseded     └─── backing off                   │
//	(Chooser)   (never begun)                                     │
//	                           ▲                                  │
//	                           └──────────── Replay ──────────────┘
//
// That an attempt begins is durable before it does, and how it ended before the problem's next entry is sent. So a crash leaves no
// doubt about what may have been on the wire, and only what never was can be superseded.
//
// # Order
//
// A lane sends new problems first, the worst before the others; then recoveries of what the target may show; then other levels of what it shows;
// then repeats and what carries no state. What stands in the way of a worse event of its own problem takes the rank of that. A problem that
// failed three times in a row goes behind all that did not, until the target takes something again. One send in eight
// goes to what has waited longest. So between the moment a new problem is accepted and its first attempt, the lane begins no attempt but
// those for new problems that are worse or, at the same level, older; one in eight for what has waited longest; and what was in flight
// already.
//
// An event that says when it happened, and that is up to ten minutes older than the newest of its problem, was overtaken on its way here
// and is superseded.
//
// # Failure
//
// What an error of a sink means is said by [Permanent], [RetryAfter] and [Ignore], or by an error of any package that has their methods. Everything
// else is tried again: after up to a second at first, up to half a minute later, until SinkOptions.MaxAge. A failure counts towards
// MaxAttempts only if the target took another event in between, so that an outage kills nothing and a poison event does not live for ever: it
// is dead after MaxAttempts such failures or six hours after the first of them, whichever is first. After
// five failures of more than one problem the target counts as down and is probed with one request at a time, every fifteen seconds at most.
// After a 429 the lane pauses, then finds out with one request whether the pause was long enough, and keeps half its rate until quiet
// minutes raise it again.
//
// The answer to a request is lost if the error of a sink says so, by a method AnswerLost, or is a timeout, the end of a connection or of a
// context; if the sink called [Delivery.LostAnswer]; and if the process ended before it knew the answer. The target may have such a request,
// and may handle it later, after the problem's recovery. So the store remembers the doubt, and the recovery is sent once more, a minute after
// it was taken: behind all news, within the budget, and delivered whatever the second answer is. A newer state cancels the second sending and
// leaves the problem in doubt. Lanes that want every event send each once.
//
// What failed three times in a row, what the store cannot read, and all that is pending while the target counts as down is stuck: [LaneStats]
// and the metric relay.stuck count it, and the log has a line a minute, with the last reason and, if the error has a method Remedy, what to do.
//
// # Time
//
// What waits, expires or ages goes by [store.Store.Clock], and an event's age counts from [store.Entry].Kept. A wall clock that is wrong or is set delays,
// expires and erases nothing, and time in which the relay did not run does not age an event. Wall time is for people: outcomes and log lines have
// that of their moment; figures and stories of what is pending are told by the present one. A step of the wall clock is logged.
//
// # Decorators
//
// A sink may have optional behaviour beside Deliver: [Chooser] says what it ignores, [Chronicler] that it wants each event, [Metered] whose budget
// it spends. A decorator must not hide it: a [Chooser] that is not asked lets an event that it ignores supersede one that it would have
// sent. There are two ways. SinkOptions.Middleware wraps Deliver alone, and the rest is asked of the sink within:
//
//	r.Handle("pagerduty", sink, &relay.SinkOptions{Middleware: func(next relay.Sink) relay.Sink {
//		return relay.SinkFunc(func(ctx context.Context, d *relay.Delivery) error {
//			defer observe(d.Lane, time.Now())
//			return next.Deliver(ctx, d)
//		})
//	}})
//
// A type has a method Unwrap() Sink that returns the sink within, and whatever optional behaviour it wants to have itself. [SinkAs] finds what is
// outermost. [CheckSink] names a decorator that has neither, Handle logs it, and relaytest.TestSink fails for it.
//
// # Hooks
//
// Match and Ignores are called while the event is accepted. If one panics, the lane takes the event, the other lanes are not affected, and the
// log has an error with the stack, at most once a minute. A panic of Deliver, or of the error that it returns, is a failure of that attempt.
// A panic of Every, Account, Unwrap or Middleware goes on through Handle, as it is a mistake of the program that shows at its start.
//
// # What the log says
//
// Each delivered event is one line at level Info, "relay: event delivered": lane, seq, event, problem, state, event_level, attempt, age (from acceptance),
// and what the sink adds by [Delivery.LogAttrs]. An event that no lane takes is a warning, at most once a minute with the number of them, and
// counts in the metric relay.unrouted.
//
// # Concurrency
//
// Accepting and delivering are two halves joined by the [store.Store] alone. Run owns every goroutine and has joined them all when it
// returns, but for a sink that does not return when its context has ended. A lane sends several problems at once and never two
// events of one problem. Everything else may be called at any time from any goroutine, but Handle, which comes before Run.
//
// # Memory
//
// A lane keeps some 100 bytes in memory for each pending problem, and 75 more for one that was tried; bodies stay in the store.
package relay
