package pagerdutysink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty"
)

// Options are the settings of a [Sink]. A nil *Options has all defaults, and so has a field that is
// zero.
//
// Severities, MinLevel and IgnoreMuted never ignore a recovery or an acknowledgement. An event that
// is ignored changes nothing. So a problem that falls to an ignored level, or is muted, stays at
// PagerDuty as it was until it recovers or has an event that is sent. If its earlier event still
// waits, that is sent.
type Options struct {
	// Severities are the severities of levels; [Ignored] ignores the events of a level. The severity
	// may be any word that [pagerduty.ParseSeverity] knows. [guance.LevelNone] stands for an alert
	// that names no known level. Default, and for each level that is not in it: the table of the
	// package comment.
	Severities map[guance.Level]pagerduty.Severity
	// MinLevel ignores problems of a lower level. No data is below warning. An alert that names no
	// known level is not ignored, as it may be the worst of all. Default: no minimum.
	MinLevel guance.Level
	// IgnoreMuted ignores problems that are muted in Guance (df_is_silent). Default: they are sent.
	IgnoreMuted bool
	// KeepOpen ignores recoveries, by hand too, so that a person closes each incident. The record
	// of a problem that was sent then stays open. If the problem comes back, PagerDuty opens a new
	// incident only if the last one was closed. In a backlog the event ranks as a repeat, after new
	// problems. A problem that is over before it was sent is sent too. Default: a recovery resolves.
	KeepOpen bool
	// Sibling also resolves the problem of the other phase of a monitor, when a recovery may end
	// either phase: by hand, or because missing data counts as recovered. See
	// [guance.Event.SiblingKey]. It costs one more request for each such recovery. PagerDuty drops a
	// resolve of what is not open, but a new problem of the other phase at the same time is resolved.
	Sibling bool
	// Changes sends change and audit events as change events, which notify nobody. They need the
	// integration key of a service: keys that begin with R take none (PagerDuty developer docs, Change
	// Events). The options for alerts do not apply to them.
	Changes bool
	// Map may change what is sent as an alert. If it returns false, the event is ignored. It is called
	// when the event is accepted and when it is sent, from several goroutines, and must do the same
	// each time. Events of one problem must keep one DedupKey, as only those of one problem are sent
	// in order. The DedupKey keeps sources apart, see [relay.ProblemKey]. When the event is accepted,
	// the source is not part of it yet. Default: nothing is changed.
	Map func(*guance.Event, *pagerduty.Event) (keep bool)
	// Enrich adds to an alert what needs a look-up, such as the owner of a host. It is called after
	// Map, once in each attempt to send, from several goroutines. It must not change the event of
	// Guance. Changes of Action and DedupKey are undone.
	//
	// ctx ends after 5 s, or after half of the time that is left of the attempt if that is less. If
	// Enrich does not return by then, returns an error or panics, the alert is sent without any of its
	// changes. The custom detail "enrichment" says so, and a warning at most once a minute has the
	// error, which must hold no secret. A call of more than 500 ms costs one more request of the
	// budget. At most 64 calls run at a time. Those that did not return in time count until they do,
	// and calls above the limit fail after the same time. Default: no look-up.
	Enrich func(ctx context.Context, e *guance.Event, alert *pagerduty.Event) error
	// EnrichRequired makes a failure of Enrich a failed attempt: the alert is kept and tried again,
	// recoveries too. While Enrich fails, the lane sends no alerts. Any error of Enrich counts like
	// that, also one that has a method such as Permanent or RetryAfter. Default: the alert is sent
	// without.
	EnrichRequired bool
	// Logger gets the warnings about Enrich. Default: slog.Default().
	Logger *slog.Logger
}

// Ignored in Options.Severities ignores the events of a level.
const Ignored pagerduty.Severity = "ignored"

// severities are the defaults of Options.Severities.
var severities = map[guance.Level]pagerduty.Severity{
	guance.LevelFatal:    pagerduty.SeverityCritical,
	guance.LevelCritical: pagerduty.SeverityCritical,
	guance.LevelError:    pagerduty.SeverityError,
	guance.LevelWarning:  pagerduty.SeverityWarning,
	guance.LevelNoData:   pagerduty.SeverityWarning,
	guance.LevelInfo:     Ignored,
	guance.LevelNone:     pagerduty.SeverityInfo,
}

// withDefaults returns the options with a table that has every level, or says what is wrong.
func (o *Options) withDefaults() (Options, error) {
	var all Options
	if o != nil {
		all = *o
	}
	all.Severities = maps.Clone(severities)
	if o == nil {
		return all, nil
	}
	for level, word := range o.Severities {
		severity, ok := pagerduty.ParseSeverity(string(word))
		if word == Ignored {
			severity, ok = Ignored, true
		}
		switch {
		case !known(level):
			return all, fmt.Errorf("Options.Severities has %v, which is no level", level)
		case !ok:
			return all, fmt.Errorf("Options.Severities: %q of level %v is no severity; "+
				"pagerdutysink.Ignored ignores a level", word, level)
		}
		all.Severities[level] = severity
	}
	switch {
	case !known(o.MinLevel):
		return all, fmt.Errorf("Options.MinLevel %v is no level", o.MinLevel)
	case o.EnrichRequired && o.Enrich == nil:
		return all, errors.New("Options.EnrichRequired needs Options.Enrich")
	}
	return all, nil
}

func known(level guance.Level) bool {
	_, ok := severities[level]
	return ok
}
