package guance

import (
	"fmt"
	"maps"
	"slices"
)

// MarshalJSON returns the event as Guance sent it: Raw itself (not a copy) if the event was decoded
// from JSON, and a JSON string if it was decoded from text. For an event built from fields it
// encodes the fields and Extra. [Decode] reads each of these as one event.
//
// It never fails for an event that Decode returned. json.Marshal, which calls it, also compacts the
// bytes and escapes HTML.
func (e *Event) MarshalJSON() ([]byte, error) {
	switch {
	case e.Raw == nil || e.Text:
		return e.encode(), nil
	default:
		return e.Raw, nil
	}
}

// UnmarshalJSON reads what MarshalJSON wrote, or any body that [Decode] reads as one event. For no
// event or several it returns an error and does not change e.
func (e *Event) UnmarshalJSON(text []byte) error {
	events, err := Decode(text, "application/json")
	if err != nil {
		return err
	}
	if len(events) != 1 {
		return fmt.Errorf("guance: the JSON holds %d events, want 1; use Decode for several", len(events))
	}
	*e = *events[0]
	return nil
}

// encode writes the documented fields and then Extra, both by name. A field of a wrong type, which
// is in Extra, is written unless the typed field has been set since.
func (e *Event) encode() []byte {
	if e.Text {
		return quote(nil, e.plainText())
	}
	dst := []byte{'{'}
	written := make(map[string]bool)
	for _, f := range fields {
		start := len(dst)
		dst = append(quote(dst, f.name), ':')
		head := len(dst)
		if dst = f.encode(e, dst); len(dst) == head {
			dst = dst[:start]
			continue
		}
		dst = append(dst, ',')
		written[f.name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(e.Extra)) {
		if !written[name] && len(e.Extra[name]) > 0 {
			dst = append(append(append(quote(dst, name), ':'), e.Extra[name]...), ',')
		}
	}
	if e.Incident != nil {
		dst = e.Incident.append(dst, e.Extra)
	}
	if len(dst) == 1 {
		return append(dst, '}')
	}
	dst[len(dst)-1] = '}' // replaces the last comma
	return dst
}

// plainText returns the text of a text event.
func (e *Event) plainText() string {
	if e.Raw != nil {
		return string(e.Raw)
	}
	if e.Message == "" {
		return e.Title
	}
	return e.Title + "\n\n" + e.Message
}
