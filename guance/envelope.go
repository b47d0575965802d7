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
	classStatus         // has a status, and nothing that names an event
	classEvent          // has the id of an event or monitor
	classIncident       // has the id of an Issue or Incident
)

// classify tells what an object is by its own members. The id of an Incident
// makes it one unless an event stands there in full, with status and id: the
// vendor's on-call script expects to find the references of a monitor in
// Incidents.
func classify(object jsontext.Value) class {
	var status, event, incident bool
	for name, v := range members(object).all {
		switch {
		case v.Kind() == 'n' || string(v) == `""`:
			// absent
		case name == "df_status":
			status = true
		case name == "df_event_id", name == "df_monitor_checker_event_ref", name == "df_monitor_checker_id":
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

// unwrap adds the events that e, an object of the body, holds or is.
//
// An event or Incident by its own members is itself. One that has a status and
// nothing else that names it is itself unless it holds events that are named:
// then the status sums them up. Else, if it holds a single Incident and at most
// one event, it is that Incident as a whole: its status and its event may stand
// beside the object with its id. Else it is a wrapper, if it holds anything;
// else an Incident if an id stands anywhere in it; else an event of which
// little is known.
func (d *decoder) unwrap(e *Event) error {
	object, own := jsontext.Value(bytes.Trim(e.Raw, space)), classEvent
	if e.Status == "" || e.EventID == "" { // else classify would say the same
		own = classify(object)
	}
	switch own {
	case classIncident:
		e.adopt()
		fallthrough
	case classEvent:
		e.check()
		return d.add(e)
	}
	var found []*Event
	events, incidents := 0, 0
	for value, class := range inner(object) {
		if len(found) > MaxEvents {
			break // one too many is enough to be refused
		}
		part, err := parse(value)
		if err != nil {
			return err
		}
		switch class {
		case classEvent:
			events++
		case classIncident:
			part.adopt()
			incidents++
		}
		part.check()
		found = append(found, part)
	}
	switch {
	case own == classStatus && events == 0:
	case own == classNone && (len(found) == 0 || incidents == 1 && len(found) <= 2):
		e.adopt()
	default:
		return d.add(found...)
	}
	e.check()
	return d.add(e)
}

// inner yields the events and Incidents inside an object that is neither, but
// not those inside documented fields: they belong to the event that has them.
func inner(object jsontext.Value) iter.Seq2[jsontext.Value, class] {
	return func(yield func(jsontext.Value, class) bool) {
		for name, v := range members(object).all {
			if _, documented := fieldIndex[name]; !documented && !visit(v, 1, yield) {
				return
			}
		}
	}
}

// visit yields v or what is inside it, and reports whether to go on. An array
// or string is not a level of its own unless it stands in an array.
func visit(v jsontext.Value, level int, yield func(jsontext.Value, class) bool) bool {
	if level > wrapperLevels {
		return true
	}
	switch v.Kind() {
	case '"':
		if inner, ok := undump(v); ok && composite(inner) {
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

// parse returns the event of an object that is known to be valid JSON. The only
// error is a *LimitError.
func parse(object jsontext.Value) (*Event, error) {
	r := read(object)
	defer r.release()
	return r.event()
}
