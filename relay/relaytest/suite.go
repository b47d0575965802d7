package relaytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
)

// SuiteOptions describe a target. A nil *SuiteOptions and a zero field mean the defaults.
type SuiteOptions struct {
	// Takes answers as the target does when it takes an event. It may check the request, such as a
	// signature, and refuse a wrong one. Nil means 202 and an empty JSON object.
	Takes http.Handler
	// Refuses answers as the target does when it will never take an event. Nil means status 400,
	// whatever the body.
	Refuses http.Handler
	// Confirms says that the bodies of Takes and Refuses are the target's own, and that the sink
	// checks them. A login page with status 200, or a 403 of a gateway, is then neither a delivery
	// nor a refusal, and must be tried again. If it is false, the sink may go by the status alone.
	Confirms bool
	// Throttles answers as the target does when it gets too many requests, if it does not use
	// status 429. Status 429 is always tested.
	Throttles http.Handler
	// Secrets are what newSink gave the sink and no error may show: keys, tokens, a path with a
	// token in it.
	Secrets []string
	// Patience is how long a sink may take to return after its context has ended; zero means 2 s.
	// Use more on a busy machine.
	Patience time.Duration
}

// TestSink tests a sink against the contract of relay.Sink, one subtest for each duty. newSink is
// called once a subtest and makes a sink that sends to target.URL. The sink must deliver an event
// of a critical problem. Run it under -race too, which finds shared state. It takes a few seconds.
//
// It tests that:
//
//   - Deliver returns after the target has answered, not before; and soon after its context ends,
//     with the context's error;
//   - a refusal by the target is relay.Permanent; 429 is relay.RetryAfter with the target's delay,
//     and is not tried again by the sink; 5xx and failures of the connection are tried again by the
//     lane; an answer that is not the target's pauses nothing and, with Confirms, decides nothing;
//   - the sink follows no redirect and does not read an endless answer;
//   - it neither changes nor keeps a Delivery or an Event; deliveries do not wait for each other;
//   - no event makes it panic, or fails for ever;
//   - what Deliver ignores, Ignores has ignored before; a decorator does not hide the methods of
//     the sink within;
//   - no error shows a secret, even if the target's answer has it.
func TestSink(
	t *testing.T, newSink func(t *testing.T, target *Target) relay.Sink, opts *SuiteOptions,
) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			target := newTarget(t)
			sink := newSink(t, target)
			if sink == nil {
				t.Fatal("newSink returned nil")
			}
			if err := c.test(sink, target, opts); err != nil {
				t.Errorf("the sink breaks the contract of relay.Sink: %v", err)
			}
		})
	}
}

// A check tests one duty of a sink.
type check struct {
	name string
	// run returns what is wrong, apart from what each delivery is tested for: see deliver.
	run func(*trial) error
}

// test returns what is wrong with a sink, or nil.
func (c check) test(sink relay.Sink, target *Target, opts *SuiteOptions) error {
	tr := &trial{sink: sink, target: target}
	if opts != nil {
		tr.SuiteOptions = *opts
	}
	if tr.Takes == nil {
		tr.Takes = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write([]byte("{}"))
		})
	}
	if tr.Patience <= 0 {
		tr.Patience = 2 * time.Second
	}
	target.handle(tr.Takes)
	err := c.run(tr)
	return errors.Join(append(tr.found, err)...)
}

// A trial is one run of a check.
type trial struct {
	SuiteOptions
	sink   relay.Sink
	target *Target
	seq    atomic.Uint64

	mu    sync.Mutex
	found []error // by deliver; guarded by mu
}

// errorf reports what is wrong.
func (tr *trial) errorf(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.found = append(tr.found, fmt.Errorf(format, args...))
}

// errNoReturn is the result of a sink that panicked or never returned.
var errNoReturn = errors.New("the sink did not return")

// attemptTimeout bounds each delivery. It is the default of a lane.
const attemptTimeout = 30 * time.Second

// deliver calls the sink with the event of a body and returns its error. It tests what holds for
// each delivery: no panic, the Delivery unchanged and not kept, no secret in the error.
func (tr *trial) deliver(ctx context.Context, body string) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	d := tr.delivery(body)
	before := dump(d)
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				tr.errorf("Deliver panicked on %.200s: %v\n%s", body, p, debug.Stack())
				done <- errNoReturn
			}
		}()
		done <- tr.sink.Deliver(ctx, d)
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		select {
		case err = <-done:
		case <-time.After(tr.Patience):
			tr.errorf("Deliver did not return within %v of the end of its context", tr.Patience)
			return errNoReturn // the sink still uses the delivery
		}
	}
	if after := dump(d); after != before {
		tr.errorf("Deliver changed what it was given, from %.300s to %.300s", before, after)
	}
	// A sink that kept it now finds another event in it, and -race finds the access.
	*d.Event = *otherEvent()
	*d = relay.Delivery{Event: d.Event, Problem: "used after Deliver returned"}
	tr.lookForSecrets(err)
	return err
}

func (tr *trial) delivery(body string) *relay.Delivery {
	contentType := "application/json"
	if !strings.HasPrefix(body, "{") {
		contentType = "text/plain"
	}
	events, err := guance.Decode([]byte(body), contentType)
	if err != nil || len(events) != 1 {
		panic(fmt.Sprintf("relaytest: the suite's own event does not decode to one event: %v", err))
	}
	return &relay.Delivery{
		Event: events[0], Lane: "suite", Problem: events[0].ProblemKey(), Seq: tr.seq.Add(1),
		Attempt: 1, Accepted: time.Now(),
	}
}

// dump returns all that a sink could change.
func dump(d *relay.Delivery) string {
	e := *d.Event
	e.Raw = nil // so that MarshalJSON uses the fields
	fields, err := e.MarshalJSON()
	if err != nil {
		fields = []byte(err.Error())
	}
	return fmt.Sprintf("%s %s %s %d %d %s, raw %s, fields %s", d.Lane, d.Source, d.Problem, d.Seq,
		d.Attempt, d.Accepted, d.Event.Raw, fields)
}

func otherEvent() *guance.Event { return &guance.Event{Title: "used after Deliver returned"} }

// lookForSecrets searches all that a log could print of an error, not only Error().
func (tr *trial) lookForSecrets(err error) {
	if err == nil {
		return
	}
	for ; err != nil; err = errors.Unwrap(err) {
		prints := fmt.Sprintf("%v\n%+v\n%#v\n%q", err, err, err, err)
		for _, secret := range tr.Secrets {
			for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
				if secret != "" && strings.Contains(prints, form) {
					tr.errorf("an error holds a secret: %s",
						strings.ReplaceAll(fmt.Sprintf("%T: %.300v", err, err), form,
							"[the secret]"))
					return
				}
			}
		}
	}
}

// bounded returns a context that ends when the check has failed anyway.
func (tr *trial) bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), attemptTimeout)
}

// A class is how a lane treats an error.
type class string

const (
	taken     class = "taken"
	again     class = "to be tried again"
	permanent class = "permanent"
	throttled class = "throttled"
	ignored   class = "ignored"
	none      class = "unknown, as the sink did not return"
)

func classOf(err error) class {
	switch {
	case err == nil:
		return taken
	case errors.Is(err, errNoReturn):
		return none
	}
	switch answerOf(err) {
	case Unsent:
		return ignored
	case Refused:
		return permanent
	case Throttled:
		return throttled
	}
	return again
}

// want returns an error unless the class of err is one of classes.
func want(what string, err error, classes ...class) error {
	got := classOf(err)
	var names []string
	for _, c := range classes {
		if c == got {
			return nil
		}
		names = append(names, string(c))
	}
	return fmt.Errorf("%s: the delivery is %s, want %s (error: %.300v)", what, got,
		strings.Join(names, " or "), err)
}

// contains reports whether a word is in a request.
func (r request) contains(word string) bool {
	return strings.Contains(r.head, word) || bytes.Contains(r.body, []byte(word))
}
