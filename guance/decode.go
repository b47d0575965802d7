package guance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Decode returns the events that a webhook body holds, in their order. It does
// not keep body.
//
// The content decides before contentType does, which may be empty or wrong:
//
//   - An object is one event, or a wrapper around events one or two levels
//     down, or an Issue or Incident wherever its id stands.
//   - An array is its elements, each taken for itself; an empty one has none.
//   - A string that holds an object or array is what it holds; any other is a
//     text event, which is how MarshalJSON writes one.
//   - Any other JSON, null included, is one event of KindUnknown.
//   - What is not JSON is a text event if contentType is text/plain, and a
//     *SyntaxError otherwise. A text/plain body counts as JSON only if it is an
//     object or array.
//
// A body beyond MaxBodySize, MaxDepth, MaxEvents or MaxMembers is a *LimitError.
// If the error is not nil, there are no events.
//
// The values of fields are read as Guance is known to write them somewhere: a
// number or a string of one; a time in seconds, or in milliseconds above 10^10;
// an object or list, or a string that holds one; null for what is absent. Of
// fields with the same name the first counts, so that nothing appended to an
// object can contradict what a check in front of the receiver has seen.
//
// Every event returned survives being written and read: decoding what its
// MarshalJSON returns gives exactly one event, equal to it.
func Decode(body []byte, contentType string) ([]*Event, error) {
	if len(body) > MaxBodySize {
		return nil, &LimitError{LimitSize, MaxBodySize}
	}
	own := repair(body)
	plain := isPlainText(contentType)
	if content := bytes.TrimLeft(own, space); plain && !composite(content) {
		return []*Event{textEvent(string(own))}, nil
	}
	if err := checkDepth(own); err != nil {
		return nil, err
	}
	events, err := decodeJSON(own)
	if syntax, ok := errors.AsType[*SyntaxError](err); ok {
		if plain {
			return []*Event{textEvent(string(own))}, nil
		}
		syntax.Offset += int64(len(body) - len(bytes.TrimPrefix(body, byteOrderMark)))
	}
	return events, err
}

var byteOrderMark = []byte("\ufeff")

// repair returns a copy of body in valid UTF-8 without a byte order mark.
func repair(body []byte) []byte {
	body = bytes.TrimPrefix(body, byteOrderMark)
	if utf8.Valid(body) {
		return bytes.Clone(body)
	}
	return bytes.ToValidUTF8(body, []byte("\ufffd"))
}

// isPlainText reports whether a content type is text/plain, whatever its
// parameters.
func isPlainText(contentType string) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "text/plain")
}

// textEvent makes an event of the text form: a title, an empty line, a message
// (older notification target page).
func textEvent(text string) *Event {
	e := &Event{Text: true, Raw: []byte(text)}
	lines := strings.ReplaceAll(strings.TrimSpace(text), "\r\n", "\n")
	title, message, found := strings.Cut(lines, "\n\n")
	if !found {
		title, message, _ = strings.Cut(lines, "\n")
	}
	e.Title, e.Message = strings.TrimSpace(title), strings.TrimSpace(message)
	return e
}

// A decoder collects the events of one JSON body.
type decoder struct {
	*reader
	events []*Event
}

func decodeJSON(own []byte) ([]*Event, error) {
	d := decoder{reader: read(own)}
	defer d.release()
	if err := d.value(true); err != nil {
		return nil, d.explain(err)
	}
	end := d.InputOffset()
	switch _, err := d.ReadToken(); err {
	case io.EOF:
		return d.events, nil
	case nil:
		return nil, &SyntaxError{end, errors.New("more after the first value")}
	default:
		return nil, d.explain(err)
	}
}

// explain makes a *SyntaxError of what the parser said. Errors that are this
// package's own stay as they are.
func (d *decoder) explain(err error) error {
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return &SyntaxError{syntax.ByteOffset, syntax.Err}
	}
	if err == io.EOF { // nothing at all, where a value was due
		return &SyntaxError{int64(len(d.text)), io.ErrUnexpectedEOF}
	}
	return err
}

// value decodes the next value of the body. An array is entered rather than
// read as a whole, so that nested arrays cost one pass and not one per level.
func (d *decoder) value(whole bool) error {
	switch d.PeekKind() {
	case '[':
		if _, err := d.ReadToken(); err != nil {
			return err
		}
		for d.PeekKind() != ']' {
			if err := d.value(false); err != nil {
				return err
			}
		}
		_, err := d.ReadToken()
		return err
	case '{':
		e, err := d.event()
		if err != nil {
			return err
		}
		if whole {
			e.Raw = d.text
		}
		return d.unwrap(e)
	}
	v, err := d.next()
	if err != nil {
		return err
	}
	if v.Kind() == '"' {
		if inner, ok := undump(v); ok && composite(inner) {
			return d.inside(inner)
		}
		return d.add(textEvent(unquote(v)))
	}
	kind := kindNames[v.Kind()]
	if whole {
		v = d.text
	}
	return d.add(&Event{Raw: v, Invalid: []string{"got " + kind + ", want an object"}})
}

// inside decodes JSON that a JSON string held.
func (d *decoder) inside(text jsontext.Value) error {
	inner := decoder{reader: read(text), events: d.events}
	defer inner.release()
	err := inner.value(true)
	d.events = inner.events
	return err
}

func (d *decoder) add(events ...*Event) error {
	if len(d.events)+len(events) > MaxEvents {
		return &LimitError{LimitEvents, MaxEvents}
	}
	d.events = append(d.events, events...)
	return nil
}

// event reads the next value, an object, into an Event.
func (r *reader) event() (*Event, error) {
	if _, err := r.ReadToken(); err != nil {
		return nil, err
	}
	start := r.InputOffset() - 1
	e := new(Event)
	var seen [len(fields)]bool
	for n := 1; r.PeekKind() != '}'; n++ {
		if n > MaxMembers {
			return nil, &LimitError{LimitMembers, MaxMembers}
		}
		name, err := r.next()
		if err != nil {
			return nil, err
		}
		v, err := r.next()
		if err != nil {
			return nil, err
		}
		e.set(name, v, &seen)
	}
	if _, err := r.ReadToken(); err != nil {
		return nil, err
	}
	end := r.InputOffset()
	e.Raw = r.text[start:end:end]
	return e, nil
}

// set stores one member of an event object.
func (e *Event) set(quoted, v jsontext.Value, seen *[len(fields)]bool) {
	name := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 { // an escaped spelling is no way past a check either
		name = appendUnquoted(nil, quoted)
	}
	i, documented := fieldIndex[string(name)]
	switch {
	case !documented:
		if _, again := e.Extra[string(name)]; again {
			e.invalid(string(name), "repeated; the first one counts")
		} else {
			e.keep(string(name), v)
		}
	case seen[i]:
		e.invalid(fields[i].name, "repeated; the first one counts")
	default:
		seen[i] = true
		if v.Kind() != 'n' {
			e.setDocumented(&fields[i], v)
		}
	}
}

// setDocumented stores a value under its typed home, or, if it does not fit
// there, in Extra.
func (e *Event) setDocumented(f *field, v jsontext.Value) {
	if !f.decode(e, v) {
		e.invalid(f.name, "got "+kindNames[v.Kind()]+", want "+f.want+"; kept in Extra")
		e.keep(f.name, v)
		return
	}
}

// keep stores a value in Extra.
func (e *Event) keep(name string, v jsontext.Value) {
	if e.Extra == nil {
		e.Extra = make(map[string]json.RawMessage)
	}
	e.Extra[name] = json.RawMessage(v)
}

// maxInvalid and maxName bound what a hostile object can make Invalid grow to.
const (
	maxInvalid = 32
	maxName    = 64
)

// invalid notes what is wrong with a field.
func (e *Event) invalid(name, what string) {
	if len(e.Invalid) < maxInvalid {
		e.Invalid = append(e.Invalid, fmt.Sprintf("%.*s: %s", maxName, name, what))
	}
}

// kindNames are the kinds of JSON values, for people.
var kindNames = map[jsontext.Kind]string{
	'n': "null", 't': "a boolean", 'f': "a boolean", '"': "a string",
	'0': "a number", '{': "an object", '[': "an array",
}
