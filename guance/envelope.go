package guance

import (
	"bytes"
	"iter"

	"github.com/go-json-experiment/json/jsontext"
)

// wrapperLevels is how deep events are looked for in an object that is none
// itself. What a merged notification looks like is documented nowhere; stored
// copies come under "content", lists of them under "content"."data" (OpenAPI).
const wrapperLevels = 2

// A class is what an object's own members make of it.
type class int

const (
	classNone     class = iota
	classEvent          // has a status or an event id, or what only monitors have
	classIncident       // has the id of an Issue or Incident
)

// classify tells what an object is by its own members. A status or event id
// makes an event even if an Incident's id stands beside it; a monitor's
// reference does not, because the vendor's on-call script expects to find one in
// Incidents.
func classify(object jsontext.Value) class {
	result := classNone
	for name, v := range members(object).all {
		switch {
		case v.Kind() == 'n' || string(v) == `""`:
			// absent
		case name == "df_status" || name == "df_event_id":
			return classEvent
		case v.Kind() == '"' && incidentKind(name, v) != "":
			result = classIncident
		case result == classNone && (name == "df_monitor_checker_event_ref" || name == "df_monitor_checker_id"):
			result = classEvent
		}
	}
	return result
}

// unwrap returns the events that e, an object of the body, holds or is.
//
// An event or Incident by its own members is itself. Else, if it holds a single
// Incident and at most one event, it is that Incident as a whole: its status
// and its event may stand beside the object with its id. Else it is a wrapper,
// if it holds anything; else an Incident if an id stands anywhere in it; else
// an event of which little is known.
func unwrap(e *Event) []*Event {
	if e.Status != "" || e.EventID != "" {
		return []*Event{e} // as classify would say, without a second look
	}
	object := bytes.TrimSpace(e.Raw)
	switch classify(object) {
	case classEvent:
		return []*Event{e}
	case classIncident:
		e.adopt(e)
		return []*Event{e}
	}
	var found []*Event
	home, incidents := e, 0
	for part, class := range inner(object) {
		if len(found) > MaxEvents {
			break // one too many is enough to be refused
		}
		if class == classIncident {
			part.adopt(part)
			home, incidents = part, incidents+1
		}
		found = append(found, part)
	}
	if len(found) == 0 || incidents == 1 && len(found) <= 2 {
		e.adopt(home)
		return []*Event{e}
	}
	return found
}

// inner yields the events and Incidents inside an object that is neither, but
// not those inside documented fields: they belong to the event that has them.
func inner(object jsontext.Value) iter.Seq2[*Event, class] {
	return func(yield func(*Event, class) bool) {
		for name, v := range members(object).all {
			if _, documented := fieldIndex[name]; !documented && !visit(v, 1, yield) {
				return
			}
		}
	}
}

// visit yields v or what is inside it, and reports whether to go on. An array
// is not a level of its own unless it stands in another one.
func visit(v jsontext.Value, level int, yield func(*Event, class) bool) bool {
	if level > wrapperLevels {
		return true
	}
	switch v.Kind() {
	case '[':
		for element := range elements(v).all {
			deeper := level
			if element.Kind() == '[' {
				deeper++
			}
			if !visit(element, deeper, yield) {
				return false
			}
		}
	case '{':
		if class := classify(v); class != classNone {
			return yield(parse(v), class)
		}
		for _, member := range members(v).all {
			if !visit(member, level+1, yield) {
				return false
			}
		}
	}
	return true
}

// parse returns the event of an object that is known to be valid JSON.
func parse(object jsontext.Value) *Event {
	r := read(object)
	defer r.release()
	e, err := r.event()
	if err != nil {
		return &Event{Raw: object} // unreachable for valid JSON
	}
	return e
}
