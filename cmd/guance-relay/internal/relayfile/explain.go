package relayfile

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
)

// An Explainer shows what would be sent. Its lanes send nothing: their requests end in it.
type Explainer struct {
	now    time.Time
	bodies [][]byte
}

// NewExplainer returns an Explainer for which it is now.
func NewExplainer(now time.Time) *Explainer { return &Explainer{now: now} }

// Loader returns the loader for the configuration that is explained.
func (e *Explainer) Loader() *Loader {
	return &Loader{Transport: e, Logger: slog.New(slog.DiscardHandler)}
}

// RoundTrip implements http.RoundTripper with an answer that every target could give.
func (e *Explainer) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	e.bodies = append(e.bodies, body)
	const answer = `{"status":"success","message":"not sent","dedup_key":"","code":0,"errcode":0}`
	return &http.Response{
		StatusCode: http.StatusAccepted, Status: "202 Accepted", Proto: "HTTP/1.1", ProtoMajor: 1,
		ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(answer)), ContentLength: int64(len(answer)), Request: req,
	}, nil
}

// Explain returns which lanes of a configuration would get an event of a source, why, and what they
// would send.
func (e *Explainer) Explain(ctx context.Context, c *Config, source string,
	ev *guance.Event) string {
	var b strings.Builder
	env := newEnvironment(source, ev)
	fmt.Fprintf(&b, "source %s, kind %s, state %s, level %s\n", source, env.Kind, env.State,
		levelName(env.Level))
	name := source
	if source == defaultSource {
		name = ""
	}
	problem := relay.ProblemKey(name, ev.ProblemKey())
	fmt.Fprintf(&b, "problem key: %s\n", problem)
	if may := c.File.Sources[source].Workspaces; len(may) > 0 && env.Workspace.ID != "" &&
		!slices.Contains(may, env.Workspace.ID) {
		fmt.Fprintf(&b, "refused, and not kept: the source may not speak for workspace %s\n",
			env.Workspace.ID)
		return b.String()
	}
	d := c.Table.Decide(source, ev)
	for _, s := range d.Steps {
		what := "does not match"
		if s.Matched {
			what = "matches: " + LaneNames(s.Lanes)
		}
		if s.Err != nil {
			what = "fails, and counts as a match: " + LaneNames(s.Lanes) + " (" + firstLine(s.Err) + ")"
		}
		switch {
		case s.Route == 0:
			fmt.Fprintf(&b, "there are no routes: %s\n", LaneNames(s.Lanes))
		case s.When == "":
			fmt.Fprintf(&b, "route %d takes every event: %s\n", s.Route, LaneNames(s.Lanes))
		default:
			fmt.Fprintf(&b, "route %d (%s) %s\n", s.Route, strings.Join(strings.Fields(s.When), " "), what)
		}
	}
	switch {
	case d.Fallback:
		fmt.Fprintf(&b, "the fallback gets it, unless another lane has the problem: %s\n", d.Lanes[0])
	case len(d.Lanes) == 0:
		b.WriteString("no lane gets it: it is not kept\n")
	}
	if len(c.Targets) > 1 && !d.Fallback {
		b.WriteString("a lane that has this problem already gets the event too\n")
	}
	for _, t := range c.Targets {
		if slices.Contains(d.Lanes, t.Name) {
			e.lane(ctx, &b, t, ev, problem)
		}
	}
	return b.String()
}

// lane writes what a lane would send.
func (e *Explainer) lane(ctx context.Context, b *strings.Builder, t *Target, ev *guance.Event,
	problem string) {
	fmt.Fprintf(b, "lane %s (%s, %s):", t.Name, t.Type, t.Address)
	if ignorer, ok := relay.SinkAs[relay.Ignorer](t.Sink); ok {
		if reason := ignorer.Ignores(ev); reason != "" {
			fmt.Fprintf(b, " ignores it: %s\n", reason)
			return
		}
	}
	e.bodies = nil
	err := t.Sink.Deliver(ctx, &relay.Delivery{
		Event: ev, Lane: t.Name, Problem: problem, Seq: 1, Attempt: 1, Accepted: e.now,
	})
	switch {
	case t.Type == "log":
		b.WriteString(" a line in the log\n")
		return
	case len(e.bodies) == 0:
		fmt.Fprintf(b, " sends nothing: %v\n", err)
		return
	case t.Signed:
		b.WriteString(" sends, with a signature that is not shown\n")
	default:
		b.WriteString(" sends\n")
	}
	for _, body := range e.bodies {
		b.WriteString(indent(withoutKey(body)))
		b.WriteByte('\n')
	}
}

// withoutKey replaces the routing key in a body for PagerDuty: its file may have changed since the
// configuration was read.
func withoutKey(body []byte) []byte {
	var known struct {
		Key string `json:"routing_key"`
	}
	if json.Unmarshal(body, &known) != nil || known.Key == "" {
		return body
	}
	return bytes.ReplaceAll(body, []byte(known.Key), []byte("***"))
}

// LaneNames returns the names of lanes for people.
func LaneNames(lanes []string) string {
	if len(lanes) == 0 {
		return "nobody"
	}
	return strings.Join(lanes, ", ")
}

func levelName(l int) string {
	if l == unknownLevel {
		return "unknown"
	}
	return guance.Level(l).String()
}

// A TestEvent is one of the events with which a lane is tried.
type TestEvent struct {
	What  string // for people
	Event *guance.Event
	at    time.Time
}

// Delivery returns the delivery of the event to a lane.
func (e TestEvent) Delivery(lane string) *relay.Delivery {
	return &relay.Delivery{
		Event: e.Event, Lane: lane, Problem: e.Event.ProblemKey(), Seq: 1, Attempt: 1, Accepted: e.at,
	}
}

// TestEvents returns a fault and its recovery, which say that they are a test.
func TestEvents(now time.Time) []TestEvent {
	reference := strings.ToLower(rand.Text())
	event := func(status guance.Status, id, message string) *guance.Event {
		return &guance.Event{
			Status: status, EventID: "event-test-" + reference + id, Timestamp: now, Date: now,
			Title:   "TEST of guance-relay: nothing is wrong",
			Message: message, CheckerName: "guance-relay send-test",
			EventRef: reference + strings.Repeat("0", max(0, 32-len(reference))),
		}
	}
	return []TestEvent{
		{"test fault", event(guance.StatusCritical, "a",
			"This is a test of the relay's configuration. It is resolved at once."), now},
		{"recovery", event(guance.StatusOK, "b", "The test is over."), now},
	}
}
