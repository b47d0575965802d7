// Package pagerdutysink sends Guance events to PagerDuty. It decides which event triggers,
// acknowledges or resolves an incident:
//
//	fatal, critical           trigger, critical
//	error, security high      trigger, error
//	warning, security medium  trigger, warning
//	no data                   trigger, warning, class "no data"
//	info, security low        ignored
//	recovered, closed         resolve, with the full payload, as orchestration rules match on content
//	Issue, Incident "working" acknowledge
//	a problem of no known level, plain text, and a body of no known kind with title and message
//	                          trigger, info
//	change, audit             as their status says, or a change event (Options.Changes)
//	anything else             ignored
//
// The dedup_key is the problem key, [relay.Delivery].Problem. So a problem, its repeats and its
// recovery belong to one incident, and no source can resolve an incident of another.
//
// [Options] change the severities, ignore levels or muted problems, keep incidents open, and add
// to alerts. Problems that are muted in Guance page unless Options.IgnoreMuted is set.
package pagerdutysink

import (
	"context"
	"errors"
	"log/slog"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/relay"
)

// A Sink is a [relay.Sink] that sends to PagerDuty. It is safe for concurrent use.
type Sink struct {
	client     *pagerduty.Client
	opts       Options
	enrichment *enrichment // nil: none
}

var (
	_ relay.Ignorer      = (*Sink)(nil)
	_ relay.AccountNamer = (*Sink)(nil)
)

// New returns a sink that sends through client. It panics if client is nil, and if opts has a level
// or a severity that does not exist, or EnrichRequired without Enrich.
func New(client *pagerduty.Client, opts *Options) *Sink {
	if client == nil {
		panic("pagerdutysink: New needs a client: pagerduty.NewClient returns one, or an error")
	}
	all, err := opts.withDefaults()
	if err != nil {
		panic("pagerdutysink: New: " + err.Error())
	}
	s := &Sink{client: client, opts: all}
	if all.Enrich != nil {
		s.enrichment = newEnrichment(&all)
	}
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
	if s.enrichment != nil {
		same, reason := s.event(d.Event, d.Problem)
		if reason != "" {
			return relay.Ignore(reason)
		}
		var err error
		if ev, err = s.enrichment.apply(ctx, d, ev, same); err != nil {
			return err
		}
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
