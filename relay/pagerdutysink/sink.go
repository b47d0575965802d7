// Package pagerdutysink brings Guance events to PagerDuty: it says which event opens, updates, acknowledges or resolves an
// incident, and sends it.
//
//	fatal, critical           trigger, critical
//	error, security high      trigger, error
//	warning, security medium  trigger, warning
//	no data                   trigger, warning (Options.NoData), class "no data"
//	info, security low, info  ignored, or trigger, info (Options.Info)
//	recovered, closed         resolve, with the full payload: orchestration rules match on content
//	Issue, Incident "working" acknowledge
//	a fault of unknown level, plain text, and what is not understood but looks like an alert (it has a title and a message)
//	                          trigger, info (Options.Unknown)
//	change, audit             as their status says, or a change event (Options.Changes)
//	anything else             ignored
//
// The dedup_key is the event's problem key, so that a fault, its repeats and its recovery meet in one incident.
package pagerdutysink

import (
	"cmp"
	"context"
	"errors"
	"log/slog"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/relay"
)

// Options change the mapping. A nil *Options and a zero field mean the defaults.
type Options struct {
	// NoData is the severity of a no-data event; empty means warning.
	NoData pagerduty.Severity
	// Unknown is the severity of what looks like an alert and names no level that is known; empty means info.
	Unknown pagerduty.Severity
	// Info has info events trigger with severity info; false ignores them.
	Info bool
	// Sibling has a recovery that may end either phase of a monitor, by hand or because missing data counts as recovered, resolve the
	// problem of the other phase too; see [guance.Event.SiblingKey]. It costs one more request for each of these. PagerDuty
	// drops a resolve of what is not open; one that overlaps with a new fault of the other phase resolves that.
	Sibling bool
	// Changes sends change and audit events as change events, which notify nobody, and never as alerts. They need the key of a
	// service integration: keys that begin with R take none (PagerDuty developer docs, Change Events).
	Changes bool
	// Map may change what is sent as an alert, and returns false to ignore the event. It is called when the event is accepted and when it
	// is sent, from several goroutines, and must give the same answer to the same event. Events of one problem must keep one
	// DedupKey, or they go out in no order. Nil changes nothing.
	Map func(*guance.Event, *pagerduty.Event) (keep bool)
}

// A Sink is a relay.Sink that sends to PagerDuty. It is safe for concurrent use.
type Sink struct {
	client *pagerduty.Client
	opts   Options
}

var (
	_ relay.Ignorer      = (*Sink)(nil)
	_ relay.AccountNamer = (*Sink)(nil)
)

// New returns a sink that sends through client. It panics if client is nil, which is a mistake of the program.
func New(client *pagerduty.Client, opts *Options) *Sink {
	if client == nil {
		panic("pagerdutysink: New needs a client: pagerduty.NewClient returns one, or an error")
	}
	s := &Sink{client: client}
	if opts != nil {
		s.opts = *opts
	}
	s.opts.NoData = cmp.Or(s.opts.NoData, pagerduty.SeverityWarning)
	s.opts.Unknown = cmp.Or(s.opts.Unknown, pagerduty.SeverityInfo)
	return s
}

// Ignores implements [relay.Ignorer].
func (s *Sink) Ignores(e *guance.Event) string {
	if s.isChange(e) {
		return ""
	}
	_, reason := s.event(e)
	return reason
}

// Account implements [relay.AccountNamer]: lanes under one routing key share what PagerDuty allows it.
func (s *Sink) Account() string {
	if account := s.client.Account(); account != "" {
		return "pagerduty " + account
	}
	return ""
}

// Deliver implements [relay.Sink].
func (s *Sink) Deliver(ctx context.Context, d *relay.Delivery) error {
	client := s.client.WithLimiter(d)
	if s.isChange(d.Event) {
		result, err := client.SendChange(ctx, change(d.Event))
		if err == nil {
			d.LogAttrs(append([]slog.Attr{slog.String("event_action", "change")}, answerOf(result)...)...)
		}
		return err
	}
	ev, reason := s.event(d.Event)
	if reason != "" {
		return relay.Ignore(reason)
	}
	if err := send(ctx, client, ev, d); err != nil {
		return err
	}
	if sibling := d.Event.SiblingKey(); s.opts.Sibling && sibling != "" && ev.Action == pagerduty.ActionResolve {
		ev.DedupKey = sibling
		return send(ctx, client, ev, d)
	}
	return nil
}

// send sends ev, and tells the lane if the answer to one of the requests was lost, also if a later one was answered.
func send(ctx context.Context, client *pagerduty.Client, ev *pagerduty.Event, d *relay.Delivery) error {
	result, err := client.Send(ctx, ev)
	failed, _ := errors.AsType[*pagerduty.Error](err)
	if failed != nil && failed.AnswerLost() || result != nil && result.AnswerLost {
		d.LostAnswer()
	}
	if err == nil {
		d.LogAttrs(append([]slog.Attr{
			slog.String("event_action", string(ev.Action)), slog.String("severity", string(ev.Severity)), slog.String("dedup_key", result.DedupKey),
		}, answerOf(result)...)...)
	}
	return err
}

// answerOf returns PagerDuty's words for the log.
func answerOf(result *pagerduty.Result) []slog.Attr {
	return []slog.Attr{
		slog.String("status", result.Status), slog.Int("code", result.StatusCode), slog.String("message", result.Message),
	}
}
