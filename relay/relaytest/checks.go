package relaytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
)

// checks are all checks of the suite.
var checks = []check{
	{"TakesEvents", takesEvents},
	{"ReturnsAfterTheAnswer", returnsAfterTheAnswer},
	{"RefusalIsPermanent", refusalIsPermanent},
	{"GatewayIsNoTarget", gatewayIsNoTarget},
	{"ThrottlingPausesTheLane", throttlingPausesTheLane},
	{"ServerErrorIsTriedAgain", serverErrorIsTriedAgain},
	{"ConnectionErrorIsTriedAgain", connectionErrorIsTriedAgain},
	{"GarbageIsNoRefusal", garbageIsNoRefusal},
	{"RedirectIsNotFollowed", redirectIsNotFollowed},
	{"EndlessAnswerIsNotRead", endlessAnswerIsNotRead},
	{"ContextEndsTheDelivery", contextEndsTheDelivery},
	{"ContextEndsRetries", contextEndsRetries},
	{"OddEventsSettle", oddEventsSettle},
	{"IgnoresOnlyWhatItSaidBefore", ignoresOnlyWhatItSaid},
	{"OptionalBehaviourIsSeen", behaviourIsSeen},
	{"DeliveriesDoNotWaitForEachOther", deliveriesDoNotWait},
	{"NothingIsKept", nothingIsKept},
	{"FailureIsForgotten", failureIsForgotten},
}

// A behaviour is one way in which a target answers.
type behaviour struct {
	what    string
	handler http.Handler
}

// fault returns the body of a critical problem, with word in each field that a sink may send.
func fault(word string) string {
	p := guancetest.NewProblem("cpu usage "+word, "host", "web-"+word)
	p.Edit = func(e *guance.Event) {
		e.EventID, e.EventRef = "event-"+word, "ref-"+word
		e.Title, e.Message = "title "+word, "message "+word
	}
	return string(p.Fault(guance.LevelCritical).Raw)
}

// send delivers the event of fault.
func (tr *trial) send(word string) error {
	return tr.deliver(context.Background(), fault(word))
}

func takesEvents(tr *trial) error {
	p := guancetest.NewProblem("disk usage", "host", "web001")
	for _, e := range []*guance.Event{p.Fault(guance.LevelCritical), p.Fault(guance.LevelFatal),
		p.Recover()} {
		tr.target.forget()
		err := tr.deliver(context.Background(), string(e.Raw))
		if err := want(fmt.Sprintf("a target that takes an event of status %q", e.Status), err,
			taken); err != nil {
			return err
		}
		if len(tr.target.seen()) == 0 {
			return fmt.Errorf("an event of status %q counts as taken, and no request reached the "+
				"target", e.Status)
		}
	}
	return nil
}

// returnsAfterTheAnswer has the target refuse the event after a while. A sink that sends in the
// background reports it as taken, however slow the machine is.
func returnsAfterTheAnswer(tr *trial) error {
	gate := make(chan struct{})
	tr.target.handle(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-gate:
			answers(400).ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
	ctx, cancel := tr.bounded()
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- tr.deliver(ctx, fault("late")) }()
	if err := tr.target.wait(ctx, 1); err != nil {
		return err
	}
	select {
	case err := <-done:
		return fmt.Errorf("Deliver returned %v before the target had answered: nobody would "+
			"learn of a failure", err)
	case <-time.After(50 * time.Millisecond): // only finds most such sinks sooner
	}
	close(gate)
	if err := <-done; classOf(err) == taken {
		return errors.New("the target refused the event after a while, and Deliver counts it as " +
			"taken: " +
			"it returned before the target had answered, and nobody would learn of a failure")
	}
	return nil
}

func refusalIsPermanent(tr *trial) error {
	refuses := tr.Refuses
	if refuses == nil {
		refuses = answers(400)
	}
	tr.target.handle(refuses)
	return want("the target's refusal of the event", tr.send("refused"), permanent)
}

// gatewayIsNoTarget tests answers that are not the target's: those of gateways, proxies and login
// pages.
func gatewayIsNoTarget(tr *trial) error {
	classes := []class{again, permanent}
	if tr.Confirms {
		classes = []class{again}
	}
	for _, status := range []int{302, 400, 401, 403, 404, 407, 413, 421, 451} {
		if status == 400 && tr.Refuses == nil {
			continue // it is how the target refuses
		}
		tr.target.handle(writes(fmt.Sprintf("HTTP/1.1 %d Gateway\r\nConnection: "+
			"close\r\nLocation: /login\r\nRetry-After: 60\r\nContent-Length: "+
			"17\r\n\r\n<html>page</html>", status)))
		if err := want(fmt.Sprintf("status %d of a gateway", status), tr.send("stopped"),
			classes...); err != nil {
			return err
		}
	}
	return nil
}

func throttlingPausesTheLane(tr *trial) error {
	try := func(what string, h http.Handler) error {
		tr.target.handle(h)
		tr.target.forget()
		err := tr.send("throttled")
		if n := len(tr.target.seen()); n > 1 {
			return fmt.Errorf("%s: the sink sent %d requests to a target that is sent too much",
				what, n)
		}
		if err := want(what, err, throttled); err != nil {
			return err
		}
		if got := retryAfter(err); strings.HasSuffix(what, "Retry-After: 7") &&
			got != 7*time.Second {
			return fmt.Errorf("%s: the delay is %v", what, got)
		}
		return nil
	}
	for _, delay := range []string{"7", "", "soon", "-1", "99999999999999999999"} {
		h := answers(429)
		if delay != "" {
			h = answers(429, "Retry-After", delay)
		}
		if err := try("status 429 with Retry-After: "+delay, h); err != nil {
			return err
		}
	}
	if tr.Throttles == nil {
		return nil
	}
	return try("the target's own way to throttle", tr.Throttles)
}

func serverErrorIsTriedAgain(tr *trial) error {
	for _, status := range []int{500, 502, 503, 504} {
		tr.target.handle(answers(status))
		tr.target.forget()
		err := tr.send("failed")
		if err := want(fmt.Sprintf("status %d", status), err, again, throttled); err != nil {
			return err
		}
		if n := len(tr.target.seen()); n > 5 {
			return fmt.Errorf("status %d: one delivery made %d requests; the lane tries again, "+
				"with backoff and within the budget", status, n)
		}
	}
	return nil
}

func connectionErrorIsTriedAgain(tr *trial) error {
	for _, m := range []behaviour{
		{"a connection that is reset", writes("")},
		{"an answer cut in its head", writes("HTTP/1.1 50")},
	} {
		tr.target.handle(m.handler)
		if err := want(m.what, tr.send("reset"), again); err != nil {
			return err
		}
	}
	tr.target.close()
	return want("a connection that is refused", tr.send("refused"), again)
}

func garbageIsNoRefusal(tr *trial) error {
	tr.target.handle(writes("\x15\x03\x01\x00\x02\x02\x50\r\n\r\n"))
	if err := want("an answer that is not HTTP", tr.send("garbage"), again); err != nil {
		return err
	}
	classes := []class{taken, again}
	if tr.Confirms {
		classes = []class{again}
	}
	for _, body := range []string{"", "null", "[]", "{}", `{"code":`, `{"status":200}`,
		"<html>please log in</html>", "\x00\xff\xfe"} {
		for _, status := range []int{200, 202} {
			tr.target.handle(writes(fmt.Sprintf("HTTP/1.1 %d OK\r\nConnection: "+
				"close\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)))
			err := tr.send("garbage")
			if err := want(fmt.Sprintf("status %d with the body %q", status, body), err,
				classes...); err != nil {
				return err
			}
		}
	}
	tr.target.handle(writes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"))
	return want("status 200 with a body cut short", tr.send("garbage"), classes...)
}

func redirectIsNotFollowed(tr *trial) error {
	var followed atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		followed.Store(true)
		tr.Takes.ServeHTTP(w, r)
	}))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		tr.target.handle(answers(status, "Location", elsewhere.URL+"/elsewhere"))
		err := tr.send("redirected")
		if followed.Load() {
			return fmt.Errorf("status %d: the sink followed the redirect, and sent the event and "+
				"its secrets there", status)
		}
		if err := want(fmt.Sprintf("status %d", status), err, again, permanent); err != nil {
			return err
		}
	}
	return nil
}

func endlessAnswerIsNotRead(tr *trial) error {
	const enough, most = 64 << 20, 24 << 20 // the whole answer, and what sockets may buffer of it
	for _, status := range []int{200, 500} {
		var written atomic.Int64
		finished := make(chan struct{})
		var once sync.Once
		tr.target.handle(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			defer once.Do(func() { close(finished) })
			w.WriteHeader(status)
			chunk := []byte(strings.Repeat("{", 64<<10))
			for written.Load() < enough {
				n, err := w.Write(chunk)
				written.Add(int64(n))
				if err != nil {
					return
				}
			}
		}))
		_ = tr.send("endless") // any class is right
		ctx, cancel := tr.bounded()
		select {
		case <-finished:
		case <-ctx.Done():
		}
		cancel()
		if n := written.Load(); n > most {
			return fmt.Errorf("status %d: the sink read %d MiB of an answer without end", status,
				n>>20)
		}
	}
	return nil
}

func contextEndsTheDelivery(tr *trial) error {
	ended := func(what string, ctx context.Context, err error) error {
		if errors.Is(err, errNoReturn) {
			return nil // deliver has reported it
		}
		if !errors.Is(err, ctx.Err()) && !errors.Is(err, context.Cause(ctx)) {
			return fmt.Errorf("%s: the error is not the context's: %.300v", what, err)
		}
		return want(what, err, again)
	}

	tr.target.handle(hangs())
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	err := tr.deliver(ctx, fault("deadline"))
	cancel()
	if err := ended("a target that hangs past the deadline", ctx, err); err != nil {
		return err
	}

	for _, m := range []behaviour{{"a target that hangs", hangs()},
		{"a target that begins an answer and hangs", stalls()}} {
		tr.target.handle(m.handler)
		tr.target.forget()
		limit, release := tr.bounded()
		ctx, cancel := context.WithCancel(limit)
		done := make(chan error, 1)
		go func() { done <- tr.deliver(ctx, fault("cancelled")) }()
		err := tr.target.wait(limit, 1)
		cancel()
		if err == nil {
			err = <-done
			// the status came, and may count as the answer
			if !(err == nil && strings.Contains(m.what, "begins")) {
				err = ended(m.what+" until it is cancelled", ctx, err)
			}
		}
		release()
		if err != nil {
			return err
		}
	}

	tr.target.handle(tr.Takes)
	ctx, cancel = context.WithCancel(context.Background())
	cancel()
	return ended("a context that ended before", ctx, tr.deliver(ctx, fault("ended")))
}

func contextEndsRetries(tr *trial) error {
	for _, m := range []behaviour{
		{"status 503", answers(503)},
		{"status 503 with Retry-After: 5", answers(503, "Retry-After", "5")},
		{"status 429 with Retry-After: 5", answers(429, "Retry-After", "5")},
		{"a connection that is reset", writes("")},
	} {
		tr.target.handle(m.handler)
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		err := tr.deliver(ctx, fault("impatient"))
		cancel()
		if err := want(m.what+" and a context that ends while the sink waits", err, again,
			throttled); err != nil {
			return err
		}
	}
	return nil
}

func oddEventsSettle(tr *trial) error {
	odd := oddEvents()
	for _, what := range slices.Sorted(maps.Keys(odd)) {
		body := odd[what]
		if c, ok := relay.SinkAs[relay.Ignorer](tr.sink); ok {
			d := tr.delivery(body)
			before := dump(d)
			first, second := tr.choose(c, what, d.Event), tr.choose(c, what, d.Event)
			if first != second {
				return fmt.Errorf("%s: Ignores answers %q and then %q for one event", what, first,
					second)
			}
			if dump(d) != before {
				return fmt.Errorf("%s: Ignores changed the event", what)
			}
			if first != "" {
				continue // a lane never delivers it
			}
		}
		// The target takes it. An error to be tried again would be tried for ever.
		if err := want(what, tr.deliver(context.Background(), body), taken, permanent,
			ignored); err != nil {
			return err
		}
	}
	return nil
}

func (tr *trial) choose(c relay.Ignorer, what string, e *guance.Event) string {
	defer func() {
		if p := recover(); p != nil {
			tr.errorf("%s: Ignores panicked: %v", what, p)
		}
	}()
	return c.Ignores(e)
}

// ignoresOnlyWhatItSaid finds a sink that decides in Deliver, and not in Ignores, that it ignores
// an event. By then the event may have superseded one that the sink would have sent.
func ignoresOnlyWhatItSaid(tr *trial) error {
	events := oddEvents()
	maps.Copy(events, ordinaryEvents())
	for _, what := range slices.Sorted(maps.Keys(events)) {
		body := events[what]
		c, asked := relay.SinkAs[relay.Ignorer](tr.sink)
		if asked && tr.choose(c, what, tr.delivery(body).Event) != "" {
			continue // a lane never delivers it
		}
		err := tr.deliver(context.Background(), body)
		if classOf(err) != ignored {
			continue // other checks test its class
		}
		if asked {
			return fmt.Errorf("%s: Deliver ignores an event for which Ignores returned \"\", "+
				"with the reason %q: both must agree, as by now "+
				"the event may have superseded one that would have been sent", what, err)
		}
		return fmt.Errorf("%s: Deliver ignores an event, with the reason %q, and no method "+
			"Ignores was found: give it one "+
			"(relay.Ignorer), or, if it decorates a sink that has one, a method Unwrap() "+
			"relay.Sink, as by now the event may have "+
			"superseded one that would have been sent", what, err)
	}
	return nil
}

// behaviourIsSeen finds a decorator without a method Unwrap.
func behaviourIsSeen(tr *trial) error { return relay.CheckSink(tr.sink) }

func deliveriesDoNotWait(tr *trial) error {
	const n = 8
	words := make([]string, n)
	ctx, cancel := tr.bounded()
	defer cancel()
	tr.target.handle(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tr.target.wait(r.Context(), n) == nil {
			tr.Takes.ServeHTTP(w, r)
		}
	}))
	ctx, stop := context.WithTimeout(ctx, 5*tr.Patience)
	defer stop()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		words[i] = fmt.Sprintf("marker%dx", i)
		wg.Go(func() { errs[i] = tr.deliver(ctx, fault(words[i])) })
	}
	wg.Wait()
	for _, err := range errs {
		if err := want(fmt.Sprintf("%d deliveries at once to a target that answers once it has "+
			"all, of which it got %d", n, len(tr.target.seen())), err, taken); err != nil {
			return err
		}
	}
	for _, r := range tr.target.seen() {
		var held []string
		for _, w := range words {
			if r.contains(w) {
				held = append(held, w)
			}
		}
		if len(held) > 1 {
			return fmt.Errorf("deliveries at once mix: one request holds %s",
				strings.Join(held, " and "))
		}
	}
	return nil
}

func nothingIsKept(tr *trial) error {
	for _, h := range []http.Handler{tr.Takes, answers(500)} {
		tr.target.handle(h)
		_ = tr.send("firstone") // the class does not matter here
		tr.target.handle(tr.Takes)
		tr.target.forget()
		if err := want("a second event", tr.send("secondone"), taken); err != nil {
			return err
		}
		for _, r := range tr.target.seen() {
			if r.contains("firstone") || r.contains(otherEvent().Title) {
				return errors.New("a delivery was kept after Deliver returned: its event came " +
					"again with the next one")
			}
		}
	}
	return nil
}

func failureIsForgotten(tr *trial) error {
	for _, m := range []behaviour{
		{"refused", answers(400)}, {"throttled", answers(429)}, {"failed", answers(500)},
		{"reset", writes("")},
		{"answered with garbage", writes("garbage\r\n\r\n")},
	} {
		tr.target.handle(m.handler)
		_ = tr.send("bad") // other checks test its class
		tr.target.handle(tr.Takes)
		if err := want("an event after one that was "+m.what, tr.send("good"), taken); err != nil {
			return err
		}
	}
	return nil
}
