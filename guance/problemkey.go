package guance

import (
	"cmp"
	"crypto/md5" //nolint:gosec // the vendor's identity is an MD5; nothing secret rests on it
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// The phases of a check in which an event arises: df_monitor_checker_sub.
const (
	phaseCheck  = "check"
	phaseNoData = "nodata"
)

// ProblemKey names the problem that the event is about. A fault, its repeats, its changes of level
// and its recovery have the same key; as far as the event tells, other events have other keys. It
// is never empty. It does not depend on what changes during a fault: level, message, value, alert
// policy or time. It is the first of these that the event has:
//
//  1. df_monitor_checker_event_ref, which the event fields and the API for manual recovery define
//     for this purpose;
//  2. with a monitor id, the same value computed: the MD5 of df_dimension_tags as sent, "~",
//     df_monitor_checker_id, "~", and the phase. The sample's reference is made so. A body without
//     a reference then has the same key as one with it;
//  3. df_fault_id, which is the same for all events of one fault;
//  4. for an Issue or Incident, the identity of the event behind it, or its own id;
//  5. for a problem or recovery, a hash of workspace, source, title and tags;
//  6. df_event_id;
//  7. a hash of the content.
//
// The length of the key is limited only by the event.
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

// SiblingKey returns the key that the same monitor and object would have in the other phase. It is
// "" unless the event is a recovery that may end problems of both phases.
//
// By the vendor's formula, a threshold fault and missing data of one host are two problems. Usually
// each recovers in its own phase. Two recoveries may not: missing data that counts as recovered
// ends a threshold fault, and a person who recovers by hand means the host. It is not documented
// which phase these carry, so a sink can be told to resolve the sibling too.
func (e *Event) SiblingKey() string {
	if e.CheckerID == "" || e.State() != StateRecovered ||
		!e.recoveredBy(StatusNoDataAsOK, StatusManualOK) {
		return ""
	}
	if e.EventRef != "" && e.EventRef != e.checkerKey(e.phase()) {
		return "" // another formula: the key of the sibling is not known
	}
	if e.phase() == phaseNoData {
		return e.checkerKey(phaseCheck)
	}
	return e.checkerKey(phaseNoData)
}

// recoveredBy reports whether the status or the sub-status is one of statuses.
func (e *Event) recoveredBy(statuses ...Status) bool {
	for _, s := range statuses {
		if e.Status.normalized() == s || e.SubStatus.normalized() == s {
			return true
		}
	}
	return false
}

// phase returns the phase of the event, by default check.
func (e *Event) phase() string { return cmp.Or(e.CheckerSub, phaseCheck) }

// checkerKey is the vendor's formula for df_monitor_checker_event_ref.
func (e *Event) checkerKey(phase string) string {
	//nolint:gosec // see the import
	sum := md5.Sum([]byte(e.tagsText() + "~" + e.CheckerID + "~" + phase))
	return hex.EncodeToString(sum[:])
}

// tagsText returns the dimension tags as sent. For an event built from fields it returns a text
// with sorted names.
func (e *Event) tagsText() string {
	if e.DimensionTagsText != "" {
		return e.DimensionTagsText
	}
	return string(appendPairs(nil, e.DimensionTags))
}

// digest hashes parts. mark keeps keys that are made in different ways apart.
func digest(mark string, parts ...string) string {
	sum := sha256.Sum256([]byte(mark + "\x00" + strings.Join(parts, "\x00")))
	return mark + "-" + hex.EncodeToString(sum[:16])
}
