package pagerduty

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// The limits of the Events API v2 (PagerDuty developer docs, Trigger Events and Overview).
// PagerDuty writes 512 KB; 512 000 bytes of encoded JSON fit both meanings of KB.
const (
	maxSummary  = 1024
	maxDedupKey = 255
	maxBody     = 512_000
)

// Repair is one change that was made to an event so that PagerDuty takes it.
type Repair struct {
	Field  string // PagerDuty's name of the field, such as "payload.summary"
	Change string // what was done, such as "cut from 1500 to 1024 characters"
}

// String returns "field: change".
func (r Repair) String() string { return r.Field + ": " + r.Change }

// repairer repairs one event and records what it changed. The same event gives the same result,
// except for the random dedup key of a trigger that has none.
type repairer struct {
	source   string
	severity Severity
	repairs  []Repair
}

func (r *repairer) note(field, format string, args ...any) {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	r.repairs = append(r.repairs, Repair{Field: field, Change: format})
}

// event repairs ev in all but its size.
func (r *repairer) event(ev *Event) {
	r.dedupKey(ev)
	if !ev.bare() {
		r.payload(ev)
	}
	ev.Client = r.line("client", ev.Client)
	ev.ClientURL = cleanURL(r.line("client_url", ev.ClientURL))
	if ev.ClientURL != "" && !isWebURL(ev.ClientURL) {
		r.note("client_url", "not http or https; left out")
		ev.ClientURL = ""
	}
	ev.Links = r.links(ev.Links)
	ev.Images = r.images(ev.Images)
}

// change repairs ev in all but its size.
func (r *repairer) change(ev *ChangeEvent) {
	ev.Summary = r.cut("payload.summary", r.line("payload.summary", ev.Summary), maxSummary)
	ev.Source = r.line("payload.source", ev.Source)
	if !fourDigitYear(ev.Timestamp) {
		ev.Timestamp = r.dropTimestamp()
	}
	ev.Details = r.details(ev.Details)
	ev.Links = r.links(ev.Links)
}

func (r *repairer) payload(ev *Event) {
	const summary = "payload.summary"
	ev.Component = r.line("payload.component", ev.Component)
	ev.Group = r.line("payload.group", ev.Group)
	ev.Class = r.line("payload.class", ev.Class)
	ev.Source = r.line("payload.source", ev.Source)
	ev.Summary = r.line(summary, ev.Summary)
	if blank(ev.Summary) {
		ev.Summary = ""
		others := []string{ev.Class, ev.Component, ev.Group, ev.Source, ev.DedupKey}
		if i := slices.IndexFunc(others, func(s string) bool { return !blank(s) }); i >= 0 {
			ev.Summary = "(no summary) " + others[i]
			r.note(summary, "blank; made from other fields")
		}
	}
	ev.Summary = r.cut(summary, ev.Summary, maxSummary)
	if blank(ev.Source) {
		ev.Source = r.source
		r.note("payload.source", "blank; set to the default")
	}
	ev.Severity = r.mapSeverity(ev.Severity)
	if !fourDigitYear(ev.Timestamp) {
		ev.Timestamp = r.dropTimestamp()
	}
	ev.Details = r.details(ev.Details)
}

func (r *repairer) mapSeverity(given Severity) Severity {
	severity, known := ParseSeverity(string(given))
	if !known {
		severity = r.severity
	}
	switch {
	case severity == given:
	case blank(string(given)):
		r.note("payload.severity", "blank; set to the default, %s", severity)
	default:
		shown := shorten(clean(string(given), true), 32, units)
		r.note("payload.severity", "%q sent as %s", shown, severity)
	}
	return severity
}

// line returns s as valid text on one line.
func (r *repairer) line(field, s string) string {
	cleaned := clean(s, true)
	if cleaned != s {
		r.note(field, "invalid UTF-8 or control characters replaced")
	}
	return cleaned
}

func (r *repairer) cut(field, s string, limit int) string {
	if len(s) <= limit {
		return s // a text never has more units than bytes
	}
	fitted := shorten(s, limit, units)
	if fitted != s {
		r.note(field, "cut from %d to %d characters", measure(s, units), limit)
	}
	return fitted
}

// dedupKey makes the key fit, and gives a trigger without one a random key. PagerDuty opens a
// second incident for a second trigger without a key, and a lost answer makes the client send a
// second copy.
func (r *repairer) dedupKey(ev *Event) {
	const field = "dedup_key"
	if blank(ev.DedupKey) {
		ev.DedupKey = ""
		if ev.Action == ActionTrigger {
			ev.DedupKey = rand.Text()
			r.note(field, "missing; made at random")
		}
		return
	}
	cleaned := clean(ev.DedupKey, true)
	switch {
	case cleaned != ev.DedupKey:
		r.note(field, "invalid UTF-8 or control characters; hashed")
	case len(cleaned) > maxDedupKey && measure(cleaned, units) > maxDedupKey:
		r.note(field, "over %d characters; hashed", maxDedupKey)
	default:
		return
	}
	ev.DedupKey = hashKey(cleaned, ev.DedupKey)
}

// hashKey returns the beginning of readable and a hash of original. So keys that differ only behind
// the limit, or only in characters that cannot be sent, do not become one alert.
func hashKey(readable, original string) string {
	sum := sha256.Sum256([]byte(original))
	digest := hex.EncodeToString(sum[:])
	return head(readable, maxDedupKey-len(digest)-1, units) + "~" + digest
}

// DedupKey joins parts to a key of at most 255 characters. Different parts give different keys. A
// blank part is an error: a key without its identifier would join unrelated alerts, and the first
// resolve would close them all.
func DedupKey(parts ...string) (string, error) {
	if len(parts) == 0 {
		return "", fmt.Errorf("pagerduty: dedup key without parts")
	}
	escape := strings.NewReplacer(`\`, `\\`, `/`, `\/`)
	escaped := make([]string, len(parts))
	for i, part := range parts {
		if blank(part) {
			return "", fmt.Errorf("pagerduty: dedup key: part %d of %d is blank; alerts that have nothing "+
				"in common would share the key", i+1, len(parts))
		}
		escaped[i] = escape.Replace(part)
	}
	ev := Event{Action: ActionTrigger, DedupKey: strings.Join(escaped, "/")}
	(&repairer{}).dedupKey(&ev)
	return ev.DedupKey, nil
}
