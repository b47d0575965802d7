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
//	plain text, unknown       trigger, info, if it looks like an alert: it has a title and a message; otherwise ignored
//
// The dedup_key is the event's problem key, so that a fault, its repeats and its recovery meet in one incident.
package pagerdutysink

import (
	"context"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/relay"
)

// Options change the mapping. A nil *Options and a zero field mean the defaults.
type Options struct {
	// NoData is the severity of a no-data event; empty means warning.
	NoData pagerduty.Severity
	// Info has info events trigger with severity info; false ignores them.
	Info bool
	// Map may change what is sent, and returns false to ignore the event. It is called when the event is accepted and when it is
	// sent, from several goroutines, and must give the same answer to the same event. Nil changes nothing.
	Map func(*guance.Event, *pagerduty.Event) (keep bool)
}

// A Sink is a relay.Sink that sends to PagerDuty. It is safe for concurrent use.
type Sink struct {
	client *pagerduty.Client
	opts   Options
}

var _ relay.Chooser = (*Sink)(nil)

// New returns a sink that sends through client.
func New(client *pagerduty.Client, opts *Options) *Sink {
	s := &Sink{client: client}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.NoData == "" {
		s.opts.NoData = pagerduty.SeverityWarning
	}
	return s
}

// Ignores implements [relay.Chooser].
func (s *Sink) Ignores(e *guance.Event) string {
	_, reason := s.event(e)
	return reason
}

// Deliver implements [relay.Sink].
func (s *Sink) Deliver(ctx context.Context, d *relay.Delivery) error {
	ev, reason := s.event(d.Event)
	if reason != "" {
		return relay.Ignore(reason)
	}
	_, err := s.client.WithLimiter(&allowance{d: d}).Send(ctx, ev)
	return err
}

// An allowance charges the lane's budget for the client's quick retries. The lane has paid for the first request.
type allowance struct {
	d    *relay.Delivery
	used bool
}

// Wait implements [pagerduty.Limiter].
func (a *allowance) Wait(ctx context.Context) error {
	if !a.used {
		a.used = true
		return nil
	}
	return a.d.Spend(ctx)
}
