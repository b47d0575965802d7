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
//     replay and hand-over to another node.
//  4. It converges. When faults end, what PagerDuty shows for each problem is what Guance last said.
//  5. The budget is kept. No 60-second window holds more requests per routing key than allowed; retries spend from the same
//     budget. Being throttled is not a failure: it never uses up attempts and never kills an event.
//  6. The worst news travels first. Under any backlog a new critical problem waits for at most a stated number of sends.
//  7. Trouble stays where it is. A sink that is down, a poison event or a slow target delays no other problem or lane.
//  8. Stopping is safe. Shutdown finishes or hands back what is in flight within its deadline; what was handed back is sent later, once.
//
// At-least-once is the honest word for the wire: a request whose answer was lost is sent again, with the same dedup_key, so that
// PagerDuty sees one incident.
//
// # Concurrency
//
// Accepting and delivering are two halves joined by the [Store] alone. Run owns every goroutine and has joined them all when it
// returns. A lane sends several problems at once and never two events of one problem.
//
// # An entry's life
//
//	accepted ──▶ waiting ──▶ begun ──▶ in flight ──▶ delivered | dead | ignored
//	                │                      │
//	                ▼                      └─ backing off ──▶ in flight …
//	            superseded (only what was never begun)
package relay
