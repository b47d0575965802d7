package guance

import (
	"cmp"
	"crypto/md5" //nolint:gosec // the vendor's identity is an MD5; nothing secret rests on it
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// The phases in which a monitor's event can arise: df_monitor_checker_sub.
const (
	phaseCheck  = "check"
	phaseNoData = "nodata"
)

// ProblemKey names the problem that the event is about. A fault, its repeats,
// its changes of level and its recovery share it, and nothing else does, as far
// as the event tells. It is never empty, and never rests on what changes within
// one fault: level, message, value, alert policy or time. It is the first of
//
//  1. df_monitor_checker_event_ref, which the event fields and the API for
//     manual recovery give for this purpose;
//  2. the same value computed, if the event has a monitor id: the MD5 of
//     df_dimension_tags as sent, "~", df_monitor_checker_id, "~", and the phase,
//     which is how the sample's reference comes about, so that bodies with and
//     without one still meet;
//  3. df_fault_id, whose round ends with the fault;
//  4. for an Issue or Incident the identity of the event behind it, else its
//     own id;
//  5. if the event is a problem or a recovery, a hash of workspace, source,
//     title and tags, by which the two can meet;
//  6. df_event_id;
//  7. a hash of the content, for what names nothing.
//
// Keys have no bounded length where the event does not bound them.
func (e *Event) ProblemKey() string {
	switch {
	case e.EventRef != "":
		return e.EventRef
	case e.CheckerID != "":
		return e.checkerKey(e.phase())
	case e.FaultID != "":
		return e.FaultID
	case e.Incident != nil && e.Incident.Resource != "":
		return e.Incident.Resource
	case e.Incident != nil && e.Incident.UUID != "":
		return e.Incident.UUID
	case e.State() != StateNeither:
		workspace, _ := e.Workspace()
		return digest("problem", workspace, e.Source, e.Title, e.tagsText())
	case e.EventID != "":
		return e.EventID
	}
	content := e.Raw
	if content == nil {
		content = e.encode()
	}
	return digest("content", string(content))
}

// SiblingKey returns the key under which the same monitor and object would have
// a problem of the other phase, for a recovery that may end either; "" for all
// other events.
//
// By the vendor's formula a threshold fault and missing data of one host are
// two problems. That holds together as long as each recovers in its own phase,
// which two recoveries may not: missing data that counts as recovered ends a
// threshold fault, and a person who recovers by hand means the host. What they
// carry is not documented, so a sink can be told to resolve the sibling too.
func (e *Event) SiblingKey() string {
	if e.CheckerID == "" || e.State() != StateRecovered || !e.recoveredBy(StatusNoDataAsOK, StatusManualOK) {
		return ""
	}
	if e.EventRef != "" && e.EventRef != e.checkerKey(e.phase()) {
		return "" // another formula: the sibling's key cannot be told
	}
	if e.phase() == phaseNoData {
		return e.checkerKey(phaseCheck)
	}
	return e.checkerKey(phaseNoData)
}

// recoveredBy reports whether the status or its detail is one of those given.
func (e *Event) recoveredBy(statuses ...Status) bool {
	for _, s := range statuses {
		if e.Status.normal() == s || e.SubStatus.normal() == s {
			return true
		}
	}
	return false
}

// phase returns the phase of the event; check if it does not say.
func (e *Event) phase() string { return cmp.Or(e.CheckerSub, phaseCheck) }

// checkerKey is the vendor's formula for df_monitor_checker_event_ref.
func (e *Event) checkerKey(phase string) string {
	sum := md5.Sum([]byte(e.tagsText() + "~" + e.CheckerID + "~" + phase)) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// tagsText returns the text of the dimension tags as sent, and for an event
// built from fields a text with sorted names.
func (e *Event) tagsText() string {
	if e.DimensionTagsText != "" {
		return e.DimensionTagsText
	}
	return string(appendPairs(nil, e.DimensionTags))
}

// digest hashes parts, marked so that no two ways of making a key meet.
func digest(mark string, parts ...string) string {
	sum := sha256.Sum256([]byte(mark + "\x00" + strings.Join(parts, "\x00")))
	return mark + "-" + hex.EncodeToString(sum[:16])
}
