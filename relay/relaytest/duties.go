package relaytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
)

// duties are the suite.
var duties = []duty{
	{"TakesEvents", takesEvents},
	{"ReturnsAfterTheAnswer", returnsAfterTheAnswer},
	{"RefusalIsPermanent", refusalIsPermanent},
	{"RoadIsNoTarget", roadIsNoTarget},
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

// A mood is a way for a target to be.
type mood struct {
	what string
	h    http.Handler
}

// fault is the body of a critical problem that has word in every field that a sink may send.
func fault(word string) string {
	p := guancetest.NewProblem("cpu usage "+word, "host", "web-"+word)
	p.Edit = func(e *guance.Event) {
		e.EventID, e.EventRef = "event-"+word, "ref-"+word
		e.Title, e.Message = "title "+word, "message "+word
	}
	return string(p.Fault(guance.LevelCritical).Raw)
}

func takesEvents(tr *trial) error {
	p := guancetest.NewProblem("disk usage", "host", "web001")
	for _, e := range []*guance.Event{p.Fault(guance.LevelCritical), p.Fault(guance.LevelFatal), p.Recover()} {
		tr.target.forget()
		err := tr.deliver(context.Background(), string(e.Raw))
		if err := want(fmt.Sprintf("a target that takes an event of status %q", e.Status), err, taken); err != nil {
			return err
		}
		if len(tr.target.seen()) == 0 {
			return fmt.Errorf("an event of status %q counts as taken, and no request reached the target", e.Status)
		}
	}
	return nil
}

// returnsAfterTheAnswer has the target refuse the event after a while: a sink that sends in the background counts it as taken, however late the
// machine lets it say so.
func returnsAfterTheAnswer(tr *trial) error {
	gate := make(chan struct{})
	tr.target.as(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-gate:
			answers(400).ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
	ctx, cancel := tr.soon()
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- tr.deliver(ctx, fault("late")) }()
	if err := tr.target.wait(ctx, 1); err != nil {
		return err
	}
	select {
	case err := <-done:
		return fmt.Errorf("Deliver returned %v before the target had answered: nobody would learn of a failure", err)
	case <-time.After(50 * time.Millisecond): // it shortens the test of most sinks that send in the background; nothing rests on it
	}
	close(gate)
	if err := <-done; classOf(err) == taken {
		return errors.New("the target refused the event after a while, and Deliver counts it as taken: " +
			"it returned before the target had answered, and nobody would learn of a failure")
	}
	return nil
}

func refusalIsPermanent(tr *trial) error {
	refuses := tr.Refuses
	if refuses == nil {
		refuses = answers(400)
	}
	tr.target.as(refuses)
	return want("the target's refusal of the event", tr.deliver(context.Background(), fault("refused")), permanent)
}

// roadIsNoTarget holds a sink to what others than the target may answer: gateways, proxies, login pages.
func roadIsNoTarget(tr *trial) error {
	classes := []class{again, permanent}
	if tr.Confirms {
		classes = []class{again}
	}
	for _, status := range []int{302, 400, 401, 403, 404, 407, 413, 421, 451} {
		if status == 400 && tr.Refuses == nil {
			continue // which is the target's own refusal
		}
		tr.target.as(says(fmt.Sprintf("HTTP/1.1 %d Gateway\r\nConnection: close\r\nLocation: /login\r\nRetry-After: 60\r\nContent-Length: 17\r\n\r\n<html>page</html>", status)))
		if err := want(fmt.Sprintf("status %d of a gateway", status), tr.deliver(context.Background(), fault("stopped")), classes...); err != nil {
			return err
		}
	}
	return nil
}

func throttlingPausesTheLane(tr *trial) error {
	try := func(what string, h http.Handler) error {
		tr.target.as(h)
		tr.target.forget()
		err := tr.deliver(context.Background(), fault("throttled"))
		if n := len(tr.target.seen()); n > 1 {
			return fmt.Errorf("%s: the sink sent %d requests to a target that is sent too much", what, n)
		}
		if err := want(what, err, throttled); err != nil {
			return err
		}
		if got := retryAfter(err); strings.HasSuffix(what, "Retry-After: 7") && got != 7*time.Second {
			return fmt.Errorf("%s: the lane is asked to wait for %v", what, got)
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
		tr.target.as(answers(status))
		tr.target.forget()
		err := tr.deliver(context.Background(), fault("failed"))
		if err := want(fmt.Sprintf("status %d", status), err, again, throttled); err != nil {
			return err
		}
		if n := len(tr.target.seen()); n > 5 {
			return fmt.Errorf("status %d: one delivery made %d requests; the lane tries again, with backoff and within the budget", status, n)
		}
	}
	return nil
}

func connectionErrorIsTriedAgain(tr *trial) error {
	for _, m := range []mood{
		{"a connection that is reset", says("")},
		{"an answer cut in its head", says("HTTP/1.1 50")},
	} {
		tr.target.as(m.h)
		if err := want(m.what, tr.deliver(context.Background(), fault("reset")), again); err != nil {
			return err
		}
	}
	tr.target.close()
	return want("a connection that is refused", tr.deliver(context.Background(), fault("refused")), again)
}

func garbageIsNoRefusal(tr *trial) error {
	tr.target.as(says("\x15\x03\x01\x00\x02\x02\x50\r\n\r\n"))
	if err := want("an answer that is not HTTP", tr.deliver(context.Background(), fault("garbage")), again); err != nil {
		return err
	}
	classes := []class{taken, again}
	if tr.Confirms {
		classes = []class{again}
	}
	for _, body := range []string{"", "null", "[]", "{}", `{"code":`, `{"status":200}`, "<html>please log in</html>", "\x00\xff\xfe"} {
		for _, status := range []int{200, 202} {
			tr.target.as(says(fmt.Sprintf("HTTP/1.1 %d OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)))
			err := tr.deliver(context.Background(), fault("garbage"))
			if err := want(fmt.Sprintf("status %d with the body %q", status, body), err, classes...); err != nil {
				return err
			}
		}
	}
	tr.target.as(says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"))
	return want("status 200 with a body cut short", tr.deliver(context.Background(), fault("garbage")), classes...)
}

func redirectIsNotFollowed(tr *trial) error {
	elsewhere, err := newTarget()
	if err != nil {
		return err
	}
	defer elsewhere.close()
	elsewhere.as(tr.Takes)
	for _, status := range []int{301, 302, 303, 307, 308} {
		tr.target.as(answers(status, "Location", elsewhere.URL+"/elsewhere"))
		err := tr.deliver(context.Background(), fault("redirected"))
		if seen := elsewhere.seen(); len(seen) > 0 {
			return fmt.Errorf("status %d: the sink went where the target sent it, and took the event and its secrets along: %.100s", status, seen[0].head)
		}
		if err := want(fmt.Sprintf("status %d", status), err, again, permanent); err != nil {
			return err
		}
	}
	return nil
}

func endlessAnswerIsNotRead(tr *trial) error {
	const enough, most = 64 << 20, 24 << 20 // what a reader of everything reads, what sockets may buffer
	for _, status := range []int{200, 500} {
		var written atomic.Int64
		finished := make(chan struct{})
		var once sync.Once
		tr.target.as(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
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
		_ = tr.deliver(context.Background(), fault("endless")) // any class will do: such an answer means nothing
		ctx, cancel := tr.soon()
		select {
		case <-finished:
		case <-ctx.Done():
		}
		cancel()
		if n := written.Load(); n > most {
			return fmt.Errorf("status %d: the sink read %d MiB of an answer without end", status, n>>20)
		}
	}
	return nil
}

func contextEndsTheDelivery(tr *trial) error {
	ended := func(what string, ctx context.Context, err error) error {
		if errors.Is(err, errNoAnswer) {
			return nil // the complaint says it
		}
		if !errors.Is(err, ctx.Err()) && !errors.Is(err, context.Cause(ctx)) {
			return fmt.Errorf("%s: the error is not the context's: %.300v", what, err)
		}
		return want(what, err, again)
	}

	tr.target.as(hangs())
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	err := tr.deliver(ctx, fault("deadline"))
	cancel()
	if err := ended("a target that hangs past the deadline", ctx, err); err != nil {
		return err
	}

	for _, m := range []mood{{"a target that hangs", hangs()}, {"a target that begins an answer and hangs", stalls()}} {
		tr.target.as(m.h)
		tr.target.forget()
		limit, release := tr.soon()
		ctx, cancel := context.WithCancel(limit)
		done := make(chan error, 1)
		go func() { done <- tr.deliver(ctx, fault("cancelled")) }()
		err := tr.target.wait(limit, 1)
		cancel()
		if err == nil {
			err = <-done
			if !(err == nil && strings.Contains(m.what, "begins")) { // the status was there: to take it for the answer is right
				err = ended(m.what+" until it is cancelled", ctx, err)
			}
		}
		release()
		if err != nil {
			return err
		}
	}

	tr.target.as(tr.Takes)
	ctx, cancel = context.WithCancel(context.Background())
	cancel()
	return ended("a context that ended before", ctx, tr.deliver(ctx, fault("ended")))
}

func contextEndsRetries(tr *trial) error {
	for _, m := range []mood{
		{"status 503", answers(503)},
		{"status 503 with Retry-After: 5", answers(503, "Retry-After", "5")},
		{"status 429 with Retry-After: 5", answers(429, "Retry-After", "5")},
		{"a connection that is reset", says("")},
	} {
		tr.target.as(m.h)
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		err := tr.deliver(ctx, fault("impatient"))
		cancel()
		if err := want(m.what+" and a context that ends while the sink waits", err, again, throttled); err != nil {
			return err
		}
	}
	return nil
}

// oddEvents are bodies that Guance may send, or somebody in its name.
func oddEvents() map[string]string {
	long := strings.Repeat("磁盘使用率过高 🔥 ", 20_000)
	p := guancetest.NewProblem("odd", "host", "web001")
	return map[string]string{
		"no field at all":            `{}`,
		"a status and nothing else":  `{"df_status":"critical"}`,
		"a recovery, nothing else":   `{"df_status":"ok"}`,
		"an unknown status":          `{"df_status":"purple","df_title":"t"}`,
		"an unknown kind":            `{"hello":["world",{"n":1}]}`,
		"nulls":                      `{"df_status":"critical","df_title":null,"df_message":null,"df_dimension_tags":null,"date":null,"Result":null}`,
		"wrong types":                `{"df_status":["critical"],"df_title":{"a":1},"df_message":7,"date":"yesterday","df_dimension_tags":[1]}`,
		"empty texts":                `{"df_status":"critical","df_title":"","df_message":" ","df_event_link":""}`,
		"texts of 500 kB":            fmt.Sprintf(`{"df_status":"critical","df_title":%q,"df_message":%q}`, long, long),
		"a key of 10,000 characters": fmt.Sprintf(`{"df_status":"critical","df_title":"t","df_monitor_checker_event_ref":%q}`, strings.Repeat("k", 10_000)),
		"Chinese, emoji, right-to-left": `{"df_status":"critical","df_title":"主机 web001 内存使用率过高 👩‍👩‍👧‍👦","df_message":"\u202eمرحبا\u202c 𠮷野家",` +
			`"df_dimension_tags":"{\"主机\":\"网站\"}"}`,
		"control characters":       `{"df_status":"critical","df_title":"a\u0000b\u0007\r\nc\u2028d\ufeff","df_message":"\u001b[31mred\ud800"}`,
		"formats and markup":       `{"df_status":"critical","df_title":"%s%d%!n{{.Name}} {{ host }} ${x}","df_message":"<script>alert(1)</script> </at> **[x](javascript:1)** \\\" '"}`,
		"times that cannot be":     `{"df_status":"critical","df_title":"t","timestamp":-1,"date":99999999999999999999,"df_fault_duration":-5}`,
		"a link that is none":      `{"df_status":"critical","df_title":"t","df_event_link":"javascript:alert(1)","df_event_url":"http://[::1"}`,
		"a deep result":            `{"df_status":"critical","df_title":"t","Result":{"a":[{"b":[{"c":{"d":[1,2,[3]]}}]}]}}`,
		"a number beyond floats":   `{"df_status":"critical","df_title":"t","Result":1e400}`,
		"a thousand tags":          `{"df_status":"critical","df_title":"t","df_dimension_tags":{` + manyTags(1000) + `}}`,
		"the form of old versions": "磁盘告警\n主机 web001 的磁盘使用率为 95%",
		"no data":                  string(p.NoData().Raw),
		"data back":                string(p.DataBack().Raw),
		"info":                     string(p.Info().Raw),
		"a recovery by hand":       string(p.RecoverByHand().Raw),
		"an incident in work":      string(p.Incident("working").Raw),
	}
}

func manyTags(n int) string {
	var tags []string
	for i := range n {
		tags = append(tags, fmt.Sprintf(`"tag%d":"值%d"`, i, i))
	}
	return strings.Join(tags, ",")
}

func oddEventsSettle(tr *trial) error {
	odd := oddEvents()
	for _, what := range slices.Sorted(maps.Keys(odd)) {
		body := odd[what]
		if c, ok := relay.SinkAs[relay.Ignorer](tr.sink); ok {
			d := tr.delivery(body)
			before := state(d)
			first, second := tr.choose(c, what, d.Event), tr.choose(c, what, d.Event)
			if first != second {
				return fmt.Errorf("%s: Ignores answers %q and then %q for one event", what, first, second)
			}
			if state(d) != before {
				return fmt.Errorf("%s: Ignores changed the event", what)
			}
			if first != "" {
				continue // never delivered
			}
		}
		// The target takes it: what is then tried again is tried again for ever.
		if err := want(what, tr.deliver(context.Background(), body), taken, permanent, ignored); err != nil {
			return err
		}
	}
	return nil
}

func (tr *trial) choose(c relay.Ignorer, what string, e *guance.Event) string {
	defer func() {
		if p := recover(); p != nil {
			tr.complain("%s: Ignores panicked: %v", what, p)
		}
	}()
	return c.Ignores(e)
}

// ordinaryEvents are what Guance sends every day: a sink that makes a choice makes it among these.
func ordinaryEvents() map[string]string {
	events := make(map[string]string)
	for level := guance.LevelNoData; level <= guance.LevelFatal; level++ {
		events["a fault of level "+level.String()] = string(guancetest.NewProblem("ordinary", "host", "web002").Fault(level).Raw)
	}
	events["a recovery"] = string(guancetest.NewProblem("ordinary", "host", "web002").Recover().Raw)
	return events
}

// ignoresOnlyWhatItSaid finds a sink that looks at the content of an event when it is to be sent, and not when it is asked before. By then the
// event may have superseded one that the sink would have sent.
func ignoresOnlyWhatItSaid(tr *trial) error {
	events := oddEvents()
	maps.Copy(events, ordinaryEvents())
	for _, what := range slices.Sorted(maps.Keys(events)) {
		body := events[what]
		c, asked := relay.SinkAs[relay.Ignorer](tr.sink)
		if asked && tr.choose(c, what, tr.delivery(body).Event) != "" {
			continue // never delivered
		}
		err := tr.deliver(context.Background(), body)
		if classOf(err) != ignored {
			continue // other duties ask for its class
		}
		if asked {
			return fmt.Errorf("%s: Deliver ignores an event for which Ignores returned \"\", with the reason %q: both must give one answer, as by now "+
				"the event may have superseded one that would have been sent", what, err)
		}
		return fmt.Errorf("%s: Deliver ignores an event, with the reason %q, and the sink was not asked before: give it a method Ignores "+
			"(relay.Ignorer), or, if it decorates a sink that has one, a method Unwrap() relay.Sink, as by now the event may have "+
			"superseded one that would have been sent", what, err)
	}
	return nil
}

// behaviourIsSeen finds a decorator without Unwrap.
func behaviourIsSeen(tr *trial) error { return relay.CheckSink(tr.sink) }

func deliveriesDoNotWait(tr *trial) error {
	const n = 8
	words := make([]string, n)
	ctx, cancel := tr.soon()
	defer cancel()
	tr.target.as(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
		if err := want(fmt.Sprintf("%d deliveries at once to a target that answers once it has all, of which it got %d", n, len(tr.target.seen())), err, taken); err != nil {
			return err
		}
	}
	for _, r := range tr.target.seen() {
		var held []string
		for _, w := range words {
			if r.holds(w) {
				held = append(held, w)
			}
		}
		if len(held) > 1 {
			return fmt.Errorf("deliveries at once mix: one request holds %s", strings.Join(held, " and "))
		}
	}
	return nil
}

func nothingIsKept(tr *trial) error {
	for _, h := range []http.Handler{tr.Takes, answers(500)} {
		tr.target.as(h)
		_ = tr.deliver(context.Background(), fault("firstone")) // either class: what counts is what stays
		tr.target.as(tr.Takes)
		tr.target.forget()
		if err := want("a second event", tr.deliver(context.Background(), fault("secondone")), taken); err != nil {
			return err
		}
		for _, r := range tr.target.seen() {
			if r.holds("firstone") || r.holds(oddOne().Title) {
				return errors.New("a delivery was kept after Deliver returned: its event came again with the next one")
			}
		}
	}
	return nil
}

func failureIsForgotten(tr *trial) error {
	for _, m := range []mood{
		{"refused", answers(400)}, {"throttled", answers(429)}, {"failed", answers(500)}, {"reset", says("")},
		{"answered with garbage", says("garbage\r\n\r\n")},
	} {
		tr.target.as(m.h)
		_ = tr.deliver(context.Background(), fault("bad")) // other duties ask for its class
		tr.target.as(tr.Takes)
		if err := want("an event after one that was "+m.what, tr.deliver(context.Background(), fault("good")), taken); err != nil {
			return err
		}
	}
	return nil
}
