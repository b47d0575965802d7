// Package pagerdutysink sends Guance events to PagerDuty. It decides which event triggers,
// acknowledges or resolves an incident:
//
//	fatal, critical           trigger, critical
//	error, security high      trigger, error
//	warning, security medium  trigger, warning
//	no data                   trigger, warning (Options.NoData), class "no data"
//	info, security low, info  ignored, or trigger, info (Options.Info)
//	recovered, closed         resolve, with the full payload, as orchestration rules match on content
//	Issue, Incident "working" acknowledge
//	a problem of no known level, plain text, and a body of no known kind with title and message
//	                          trigger, info (Options.Unknown)
//	change, audit             as their status says, or a change event (Options.Changes)
//	anything else             ignored
//
// The dedup_key is the problem key, [relay.Delivery].Problem. So a problem, its repeats and its
// recovery belong to one incident, and no source can resolve an incident of another.
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

// Options are the settings of a [Sink]. A nil *Options means the defaults, and so does a field that
// is zero.
type Options struct {
	// NoData is the severity of a no-data event. Default: warning.
	NoData pagerduty.Severity
	// Unknown is the severity of an alert that names no known level. Default: info.
	Unknown pagerduty.Severity
	// Info sends info events as triggers with severity info. Default: they are ignored.
	Info bool
	// Sibling also resolves the problem of the other phase of a monitor, when a recovery may end
	// either phase: by hand, or because missing data counts as recovered. See
	// [guance.Event.SiblingKey]. It costs one more request for each such recovery. PagerDuty drops a
	// resolve of what is not open, but a new problem of the other phase at the same time is resolved.
	Sibling bool
	// Changes sends change and audit events as change events, which notify nobody. They need the
	// integration key of a service: keys that begin with R take none (PagerDuty developer docs, Change
	// Events).
	Changes bool
	// Map may change what is sent as an alert. If it returns false, the event is ignored. It is called
	// when the event is accepted and when it is sent, from several goroutines, and must do the same
	// each time. Events of one problem must keep one DedupKey, as only those of one problem are sent
	// in order. The DedupKey keeps sources apart, see [relay.ProblemKey]; when the event is accepted,
	// the source is not part of it yet. Default: nothing is changed.
	Map func(*guance.Event, *pagerduty.Event) (keep bool)
}

// A Sink is a [relay.Sink] that sends to PagerDuty. It is safe for concurrent use.
type Sink struct {
	client *pagerduty.Client
	opts   Options
}

var (
	_ relay.Ignorer      = (*Sink)(nil)
	_ relay.AccountNamer = (*Sink)(nil)
)

// New returns a sink that sends through client. It panics if client is nil.
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
	_, reason := s.event(e, e.ProblemKey())
	return reason
}

// Account implements [relay.AccountNamer]. Lanes with one routing key share its rate limit.
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
			d.LogAttrs(slog.String("event_action", "change"))
			logResult(d, result)
		}
		return err
	}
	ev, reason := s.event(d.Event, d.Problem)
	if reason != "" {
		return relay.Ignore(reason)
	}
	if err := send(ctx, client, ev, d); err != nil {
		return err
	}
	sibling := d.Event.SiblingKey()
	if s.opts.Sibling && sibling != "" && ev.Action == pagerduty.ActionResolve {
		ev.DedupKey = relay.ProblemKey(d.Source, sibling)
		return send(ctx, client, ev, d)
	}
	return nil
}

// send sends ev. It reports a lost answer to the lane, even if a quick retry was answered.
func send(ctx context.Context, c *pagerduty.Client, ev *pagerduty.Event, d *relay.Delivery) error {
	result, err := c.Send(ctx, ev)
	failed, _ := errors.AsType[*pagerduty.Error](err)
	if failed != nil && failed.AnswerLost() || result != nil && result.AnswerLost {
		d.LostAnswer()
	}
	if err == nil {
		d.LogAttrs(slog.String("event_action", string(ev.Action)),
			slog.String("severity", string(ev.Severity)), slog.String("dedup_key", result.DedupKey))
		logResult(d, result)
	}
	return err
}

// logResult adds PagerDuty's answer to the log.
func logResult(d *relay.Delivery, result *pagerduty.Result) {
	d.LogAttrs(slog.String("status", result.Status), slog.Int("code", result.StatusCode),
		slog.String("message", result.Message))
}
