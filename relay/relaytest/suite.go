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
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
)

// SuiteOptions tell the suite about a target. A nil *SuiteOptions and a zero field mean the defaults.
type SuiteOptions struct {
	// Takes is how the target answers when all is well. It may check what it is sent, such as a signature, and refuse what is
	// wrong. Nil means 202 and an empty JSON object.
	Takes http.Handler
	// Refuses is how the target says that it will never take an event. Nil means status 400, whatever the body.
	Refuses http.Handler
	// Confirms says that the target answers in words of its own, which Takes and Refuses have, and that the sink looks for them: a
	// login page with status 200, or a gateway's 403, is then neither a delivery nor a refusal, and has to be tried again. False
	// lets the sink go by the status.
	Confirms bool
	// Throttles is how the target says that it is sent too much, if it has another way than status 429, which is always tried.
	Throttles http.Handler
	// Secrets are what newSink gave the sink and nobody may read in an error: keys, tokens, a path with a token in it.
	Secrets []string
	// Patience is how soon is soon; zero means 2 s. On a machine that may be busy with other work, more makes a sound sink pass for certain.
	Patience time.Duration
}

// Tester is what the suite needs of a test; *testing.T has it.
type Tester[T any] interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	Run(name string, f func(T)) bool
}

// TestSink holds a sink to the contract of relay.Sink, in one subtest for each duty. newSink is called once for each and makes a sink
// that sends to target.URL; the sink has to deliver an event of a critical problem. Run it under -race as well: that is how shared
// state shows. It takes a few seconds of real time.
//
// What is held: Deliver returns once the target has answered and not before, soon after its context ends and with the context's
// error; the target's refusal is relay.Permanent, 429 is relay.RetryAfter with the target's delay and without another try, 5xx and
// failures of the connection are to be tried again, and what is not the target's answer pauses nothing and, with Confirms, decides
// nothing; redirects are not followed, answers without end not read; what the sink is given is neither changed nor kept; deliveries do
// not wait for each other; no event makes it panic or be tried for ever; what Deliver ignores Ignores has ignored before, and a
// decorator does not hide the methods of the sink within; no error has a secret in it, even where the target's answer has.
func TestSink[T Tester[T]](t T, newSink func(t T, target *Target) relay.Sink, opts *SuiteOptions) {
	t.Helper()
	for _, c := range duties {
		t.Run(c.name, func(t T) {
			t.Helper()
			target, err := newTarget()
			if err != nil {
				t.Fatalf("%v", err)
			}
			t.Cleanup(target.close)
			sink := newSink(t, target)
			if sink == nil {
				t.Fatalf("newSink returned nil")
			}
			if err := c.hold(sink, target, opts); err != nil {
				t.Errorf("the sink does not keep the contract of relay.Sink: %v", err)
			}
		})
	}
}

// A duty is one thing that a sink owes.
type duty struct {
	name string
	// run returns how the sink failed. What is asked of every delivery, complaints of the trial, need not be in it.
	run func(*trial) error
}

// hold returns how a sink fails in its duty, or nil.
func (c duty) hold(sink relay.Sink, target *Target, opts *SuiteOptions) error {
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
	target.as(tr.Takes)
	err := c.run(tr)
	return errors.Join(append(tr.complaints, err)...)
}

// A trial is one sink under one duty.
type trial struct {
	SuiteOptions
	sink   relay.Sink
	target *Target
	seq    atomic.Uint64

	mu         sync.Mutex
	complaints []error
}

func (tr *trial) complain(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.complaints = append(tr.complaints, fmt.Errorf(format, args...))
}

// errNoAnswer stands for what a sink that panicked or never came back would have returned.
var errNoAnswer = errors.New("no answer of the sink")

// longest bounds every delivery: an attempt of a lane has 30 s.
const longest = 30 * time.Second

// deliver has the sink deliver a body and returns its error. Whatever is asked of every delivery is asked here.
func (tr *trial) deliver(ctx context.Context, body string) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	d := tr.delivery(body)
	before := state(d)
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				tr.complain("Deliver panicked on %.200s: %v\n%s", body, p, debug.Stack())
				done <- errNoAnswer
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
			tr.complain("Deliver did not return within %v of the end of its context", tr.Patience)
			return errNoAnswer // the sink still has the delivery: it is not ours to look at
		}
	}
	if after := state(d); after != before {
		tr.complain("Deliver changed what it was given, from %.300s to %.300s", before, after)
	}
	// Whoever kept it now holds nonsense, and a data race.
	*d.Event = *oddOne()
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
		Event: events[0], Lane: "suite", Problem: events[0].ProblemKey(), Seq: tr.seq.Add(1), Attempt: 1, Accepted: time.Now(),
	}
}

// state is all that a sink could change.
func state(d *relay.Delivery) string {
	e := *d.Event
	e.Raw = nil // so that it is built of the fields
	fields, err := e.MarshalJSON()
	if err != nil {
		fields = []byte(err.Error())
	}
	return fmt.Sprintf("%s %s %d %d %s, raw %s, fields %s", d.Lane, d.Problem, d.Seq, d.Attempt, d.Accepted, d.Event.Raw, fields)
}

func oddOne() *guance.Event { return &guance.Event{Title: "used after Deliver returned"} }

// lookForSecrets looks where a log would print: not only at Error.
func (tr *trial) lookForSecrets(err error) {
	if err == nil {
		return
	}
	for ; err != nil; err = errors.Unwrap(err) {
		prints := fmt.Sprintf("%v\n%+v\n%#v\n%q", err, err, err, err)
		for _, secret := range tr.Secrets {
			for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
				if secret != "" && strings.Contains(prints, form) {
					tr.complain("an error holds a secret: %s", strings.ReplaceAll(fmt.Sprintf("%T: %.300v", err, err), form, "[the secret]"))
					return
				}
			}
		}
	}
}

// soon returns a context that ends when nothing that is waited for can still come.
func (tr *trial) soon() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), longest)
}

// A class is what a lane makes of an error.
type class string

const (
	taken     class = "taken"
	again     class = "to be tried again"
	permanent class = "permanent"
	throttled class = "throttled"
	ignored   class = "ignored"
	none      class = "nothing, as the sink gave no answer"
)

func classOf(err error) class {
	switch {
	case err == nil:
		return taken
	case errors.Is(err, errNoAnswer):
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

// want returns an error unless err is of one of the classes.
func want(what string, err error, classes ...class) error {
	got := classOf(err)
	var names []string
	for _, c := range classes {
		if c == got {
			return nil
		}
		names = append(names, string(c))
	}
	return fmt.Errorf("%s: the delivery is %s, want %s (error: %.300v)", what, got, strings.Join(names, " or "), err)
}

// holds reports whether a request has a word anywhere.
func (r request) holds(word string) bool {
	return strings.Contains(r.head, word) || bytes.Contains(r.body, []byte(word))
}
