// Package relay accepts alerts from Guance and delivers them to sinks, such as PagerDuty.
//
//	db, err := boltstore.Open("relay-data", nil) // keeps what was accepted
//	client, err := pagerduty.NewClient(routingKey, nil)
//	r, err := relay.New(db, nil)
//	r.Handle("pagerduty", pagerdutysink.New(client, nil), nil) // one call for each target
//	h, err := relay.NewHandler(r, &relay.HandlerOptions{Tokens: []string{token}})
//	http.Handle("/guance", h) // the address of the webhook in Guance
//	err = r.Run(ctx)          // delivers until ctx ends
//
// A target of another kind needs a [Sink], which has one method.
//
// # The promise
//
//  1. Accepted means kept. The handler answers 2xx only after every lane that wants the event has
//     it on stable storage.
//  2. Nothing vanishes. In each lane an accepted event ends in exactly one recorded outcome:
//     delivered, superseded (a newer event of the same problem took its place before it was sent),
//     ignored (the sink's mapping asks for nothing) or dead (with the reason; it can be replayed).
//     There is no fifth.
//  3. Never a stale state after a newer one. In a lane, events of one problem go out in the order
//     accepted. A resolve never overtakes its trigger, a trigger is never retried once a later
//     state went out — across retries, restarts, dead-letter replay and hand-over to another node.
//     Between nodes this holds as far as a process that was stopped and continued looks at the
//     clock before it sends: a pause between that look and the packet cannot be excluded by
//     anybody.
//  4. It converges. When faults end, what PagerDuty shows for each problem is what Guance last
//     said. A resolve that follows a request whose answer was lost is said once more, a minute
//     later: what PagerDuty handles late, within that minute, cannot undo it.
//  5. The budget is kept. No 60-second window holds more requests per routing key than allowed;
//     retries spend from the same budget. Being throttled is not a failure: it never uses up
//     attempts and never kills an event.
//  6. The worst news travels first. Under any backlog a new critical problem waits for at most a
//     stated number of sends.
//  7. Trouble stays where it is. A sink that is down, a poison event or a slow target delays no
//     other problem or lane.
//  8. Stopping is safe. Shutdown finishes or hands back what is in flight within its deadline;
//     what was handed back is sent later, once.
//  9. It says so. Whatever keeps an alert from getting through shows in the log, in the metrics
//     and in the console within a minute, with the reason and what to do.
//
// At-least-once is the honest word for the wire: a request whose answer was lost is sent again,
// with the same dedup_key, so that PagerDuty sees one incident.
//
// # Routing
//
// An event goes to each lane that wants it: SinkOptions.Match returns true for it, or Options.Route
// names the lane. A lane without Match wants every event, unless there is a Route.
//
// The event also goes to each other lane that has its problem: the lane has a pending event or a
// dead letter of it, or its target may show it. There the event is sticky. So Match may look at the
// level. Of sticky events a lane sends
//
//   - a recovery, if the target may show the problem;
//   - another level than the one that the target shows, but no repeat of the same level;
//   - an acknowledgement, if the target shows the problem.
//
// If a lane has not begun to send a problem, and a sticky event says another level, the problem is
// no longer the lane's: what waits is superseded. For example, a lane takes what is critical, and a
// fallback takes the rest:
//
//	critical, warning, ok     the lane sends all three, and the fallback none
//	warning, critical, ok     the fallback sends all three, and the lane critical and ok
//	critical and then warning, before the lane has sent anything
//	                          the fallback sends warning, and the lane nothing
//
// The lane with SinkOptions.Fallback gets an event that no lane wants, if no other lane goes on to
// show its problem. Without such a lane, what no lane takes is not kept: its [Receipt] has the fate
// "unrouted", and the log and a metric say so.
//
// A duplicate is recognised before it is routed, once for its source. It reaches no lane that the
// first webhook did not reach. What no lane took is not remembered.
//
// [Relay.SetLane] and [Relay.RemoveLane] change lanes while Run runs. A lane without a sink, which
// was removed or is only in the store, takes part in this. It sends nothing; it supersedes and
// expires what it has, and [Relay.DropPending] drops it. A lane that gets another name takes over
// what it had under the old one, see SinkOptions.Formerly.
//
// A store bounds the pending events of one lane. What comes above the bound is dead in that lane,
// with the reason "lane full", and the other lanes keep it.
//
// # Sources
//
// Two systems that send webhooks may use one reference or event id. A [Source] keeps them apart: it
// has its own secrets, networks and problems. An event of one source does not resolve, supersede or
// outdate an event of another one, and is no duplicate of it. The source is part of the problem
// key, see [ProblemKey]. Sinks send that key, [Delivery].Problem, and none of the fields of the
// event. A program without sources has one source, which has no name.
//
// # Several nodes
//
// Several processes may run a relay over one store that is a [store.Cluster], as package pgstore of
// the nested module relay/pgstore is. Each takes webhooks and is ready. The lanes of one account
// are owned by one node, as they share a budget. The other nodes stand by: [LaneStats] has the
// state "standby" and the name of the owner. A node that stops hands its lanes over at once. A node
// that dies, is stopped by the machine or cannot reach the store loses them when its lease ends,
// and another node acquires them. It ends its attempts then, stands by, and Run goes on.
//
// A request begins only while a second of the lease is left. What an owner had begun when it lost
// its lease counts as a lost answer. Each owner begins with an empty budget. Stats, Explain,
// Replay, Drop and DropPending work on every node: a standby passes them on to the owner. Accept
// tries for twenty seconds to reach the store, as Guance promises no second try.
//
// # The life of an entry
//
// An event becomes one entry in each lane that it goes to.
//
//	accepted ──▶ waiting ──▶ begun ──▶ in flight ──▶ delivered | dead | ignored
//	   │            │          ▲          │                       │
//	   ▼            ▼          │          ▼                       │
//	ignored     superseded     └─── backing off                   │
//	(Ignorer)   (never begun)                                     │
//	                           ▲                                  │
//	                           └──────────── Replay ──────────────┘
//
// It is durable that an attempt begins before the sink is called, and how it ended before the next
// entry of the problem is sent. So after a crash it is known what may have been sent, and only what
// was never sent is superseded.
//
// # Order
//
// A lane sends new problems first, the highest level before the others. Then come recoveries of
// what the target may show, then changes of level, then repeats and events without a state. A
// problem has the highest rank of its entries. A problem that failed three times in a row ranks
// below all others until the target takes something again. One send in eight goes to the oldest
// entry.
//
// So before the first attempt for a new problem, a lane begins only: attempts for new problems of a
// higher level, or of the same level and older; one attempt in eight for the oldest entry; what an
// operator sends now ([Relay.SendNow]); and what was in flight already. [Relay.Waiting] returns the
// order, why each entry waits, and when it will be sent.
//
// An event that happened up to ten minutes before the newest of its problem was overtaken on its
// way and is superseded.
//
// # Failure
//
// [Permanent], [RetryAfter] and [Ignore], or the same methods of any other error, say what an error
// of a sink means. After any other error the event is tried again: at first within a second, later
// within half a minute, until SinkOptions.MaxAge. A failure counts only if the target took another
// event since the last one. After MaxAttempts such failures, or six hours after the first, the
// entry is dead. So no outage kills an event, and no event is tried for ever.
//
// After five failures of more than one problem the target counts as down. It gets one request at a
// time, at most fifteen seconds apart, until one succeeds. After a 429 the lane pauses and then
// sends one request at a time until one succeeds. Its rate is halved, and minutes without a 429
// raise it.
//
// The answer to a request is lost if the error is a timeout, the end of a connection or of a
// context; if a method AnswerLost of the error or [Delivery.LostAnswer] says so; and if the process
// ended before the answer. The target may handle such a request after the recovery of the problem.
// So the store remembers the doubt, and the recovery is sent a second time, a minute after it was
// delivered. That ranks as a repeat, takes a request of the budget, and ends delivered whatever the
// answer is. A newer state cancels it and keeps the doubt. With SinkOptions.EveryEvent each event
// is sent once.
//
// Entries are stuck if they failed three times in a row, if the store cannot read them, or while
// the target counts as down. [LaneStats] and the metric relay.stuck count them. The log has a line
// a minute with the last reason and, if the error has a method Remedy() string, what to do.
//
// # Operators
//
// [Relay.Stats], [Relay.Waiting], [Relay.Explain], [Relay.OpenProblems], [Relay.Recent] and
// [Relay.DeadLetters] say what a lane does, what waits and until when, what became of an event, and
// what the target shows. [Relay.Pause], [Relay.Resume], [Relay.SendNow], [Relay.DropPending],
// [Relay.DropMatching], [Relay.Replay], [Relay.Drop] and [Relay.SendTest] act: on several nodes
// through the owner of the lane. Package console is a page and an API for all of them.
//
// # Time
//
// Whatever waits, expires or ages uses [store.Store.Clock]; the age of an event counts from
// [store.Entry].Kept. So a wall clock that is wrong or is set delays, expires and erases nothing,
// and time in which the relay did not run does not count. Times that people read are wall time:
// outcomes and log lines have that of their moment, figures and pending entries the present one. A
// step of the wall clock is logged.
//
// # Decorators
//
// A sink may be an [Ignorer], an [EveryEvent] or an [AccountNamer]. A decorator must not hide that:
// if Ignores is not called, an ignored event may supersede one that would have been sent. There are
// two ways. SinkOptions.Middleware decorates Deliver, and the other methods stay those of the sink.
// Or the decorator has a method Unwrap() Sink that returns the decorated sink; [SinkAs] finds the
// outermost of the other methods. [CheckSink] finds a decorator that hides methods: Handle logs it,
// and relaytest.TestSink fails.
//
// # Panics
//
// If Match or Ignores panics, the lane wants the event, and other lanes are not affected. The log
// has an error with the stack at most once a minute. A panic of Deliver, or of the error that it
// returns, is a failure of that attempt. A panic of EveryEvent, Account, Unwrap or Middleware
// passes through Handle: it is a mistake in the program and shows at its start.
//
// # The log
//
// Each delivered event is one line at level Info, "relay: event delivered", with lane, seq, event,
// problem, state, event_level, attempt, age (from acceptance), and what the sink adds with
// [Delivery.LogAttrs]. An event that no lane takes, and one that its source may not send, is a
// warning at most once a minute, with the number of them. The metric relay.events counts all events
// by their fate.
//
// # Concurrency
//
// Accepting and delivering share only the [store.Store]. Run owns every goroutine and has joined
// all when it returns, except a sink that does not return after its context has ended. A lane sends
// several problems at once and never two events of one problem. Everything may be called at any
// time from any goroutine, except Handle, which must come before Run: SetLane adds lanes later.
//
// # Memory
//
// A lane keeps about 100 bytes in memory for each pending problem, and 75 more for one that was
// tried. Bodies stay in the store.
package relay
