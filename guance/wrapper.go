package guance

import (
	"bytes"
	"iter"

	"github.com/go-json-experiment/json/jsontext"
)

// wrapperLevels is how many levels deep a wrapper is searched for events. The form of a merged
// notification is not documented. Stored copies are under "content", and lists of them under
// "content"."data" (OpenAPI).
const wrapperLevels = 2

// class says what an object is by its own members.
type class int

const (
	classNone     class = iota
	classStatus         // has a status, and no id
	classEvent          // has the id of an event or monitor
	classIncident       // has the id of an Issue or Incident
)

// classify returns the class of an object. An object with the id of an Incident is an Incident,
// unless it also has the status and the id of an event: the vendor's on-call script expects
// references to a monitor in Incidents.
func classify(object jsontext.Value) class {
	var status, event, incident bool
	for name, v := range members(object).all {
		switch {
		case v.Kind() == 'n' || string(v) == `""`:
			// absent
		case name == "df_status":
			status = true
		case name == "df_event_id", name == "df_monitor_checker_event_ref",
			name == "df_monitor_checker_id":
			event = true
		case incidentKind(name, v) != "":
			incident = true
		}
	}
	switch {
	case incident && !(status && event):
		return classIncident
	case event:
		return classEvent
	case status:
		return classStatus
	}
	return classNone
}

// unwrap adds the events of e, an object of the body. The first rule that applies decides:
//
//  1. An event or Incident by its own members is one event.
//  2. An object with a status but no id is a wrapper if it holds events with ids: the status then
//     sums them up. Otherwise it is one event.
//  3. An object that holds one Incident and at most one event is that Incident: its status and its
//     event may stand beside the object that has its id.
//  4. An object that holds any events is a wrapper.
//  5. An object with the id of an Incident at any depth is that Incident.
//  6. Any other object is one event.
func (d *decoder) unwrap(e *Event) error {
	object, own := jsontext.Value(bytes.Trim(e.Raw, space)), classEvent
	if e.Status == "" || e.EventID == "" { // otherwise it is classEvent
		own = classify(object)
	}
	switch own {
	case classIncident:
		e.setIncident()
		fallthrough
	case classEvent:
		e.check()
		return d.add(e)
	}
	var parts []*Event
	events, incidents := 0, 0
	for value, class := range inner(object) {
		if len(parts) > MaxEvents {
			break // enough for the *LimitError
		}
		part, err := parse(value)
		if err != nil {
			return err
		}
		switch class {
		case classEvent:
			events++
		case classIncident:
			part.setIncident()
			incidents++
		}
		part.check()
		parts = append(parts, part)
	}
	switch {
	case own == classStatus && events == 0:
	case own == classNone && (len(parts) == 0 || incidents == 1 && len(parts) <= 2):
		e.setIncident()
	default:
		return d.add(parts...)
	}
	e.check()
	return d.add(e)
}

// inner yields the events and Incidents inside an object that is neither. It skips documented
// fields, whose content belongs to the event that has them.
func inner(object jsontext.Value) iter.Seq2[jsontext.Value, class] {
	return func(yield func(jsontext.Value, class) bool) {
		for name, v := range members(object).all {
			if _, documented := fieldIndex[name]; !documented && !visit(v, 1, yield) {
				return
			}
		}
	}
}

// visit yields v or what is inside it, and reports whether to continue. An array or string counts
// as a level only inside an array.
func visit(v jsontext.Value, level int, yield func(jsontext.Value, class) bool) bool {
	if level > wrapperLevels {
		return true
	}
	switch v.Kind() {
	case '"':
		if inner, ok := unquoteJSON(v); ok && composite(inner) {
			return visit(inner, level, yield)
		}
	case '[':
		for element := range elements(v).all {
			deeper := level
			if element.Kind() == '[' || element.Kind() == '"' {
				deeper++
			}
			if !visit(element, deeper, yield) {
				return false
			}
		}
	case '{':
		if class := classify(v); class != classNone {
			return yield(v, class)
		}
		for _, member := range members(v).all {
			if !visit(member, level+1, yield) {
				return false
			}
		}
	}
	return true
}

// parse decodes an object that is valid JSON. The only error is a *LimitError.
func parse(object jsontext.Value) (*Event, error) {
	r := read(object)
	defer r.release()
	return r.event()
}
