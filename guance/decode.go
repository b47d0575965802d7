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

// Decode returns the events in a webhook body, in order. It copies body.
//
// The content decides the form; contentType may be empty or wrong:
//
//   - An object is one event, or a wrapper around events one or two levels down, or an Issue or
//     Incident, whose id may stand at any depth.
//   - An array is its elements, each by itself; an empty one has no events.
//   - A string that holds an object or array counts as that. Any other string is a text event;
//     MarshalJSON writes text events so.
//   - Any other JSON, including null, is one event of KindUnknown.
//   - A body that is not JSON is a text event if contentType is text/plain, and otherwise a
//     *SyntaxError. A text/plain body counts as JSON only if it is an object or array.
//
// A body that exceeds MaxBodySize, MaxDepth, MaxEvents or MaxMembers is a *LimitError. With an
// error there are no events.
//
// Decode accepts every form in which Guance is known to write a value: a number, or a string with
// one; a time in seconds, or in milliseconds above 10^10; an object or list, or a string with one;
// null for absent. Of fields with the same name the first counts: so a field that is appended to an
// object cannot contradict what an earlier check of the body has seen.
//
// Decoding the MarshalJSON of a returned event gives exactly one event, which is equal to it.
func Decode(body []byte, contentType string) ([]*Event, error) {
	if len(body) > MaxBodySize {
		return nil, &LimitError{LimitSize, MaxBodySize}
	}
	text := toUTF8(body)
	plain := isPlainText(contentType)
	if content := bytes.TrimLeft(text, space); plain && !composite(content) {
		return []*Event{textEvent(string(text))}, nil
	}
	if err := checkDepth(text); err != nil {
		return nil, err
	}
	events, err := decodeJSON(text)
	if syntax, ok := errors.AsType[*SyntaxError](err); ok {
		if plain {
			return []*Event{textEvent(string(text))}, nil
		}
		syntax.Offset += int64(len(body) - len(bytes.TrimPrefix(body, byteOrderMark)))
	}
	return events, err
}

var byteOrderMark = []byte("\ufeff")

// toUTF8 returns a copy of body in valid UTF-8 without a byte order mark.
func toUTF8(body []byte) []byte {
	body = bytes.TrimPrefix(body, byteOrderMark)
	if utf8.Valid(body) {
		return bytes.Clone(body)
	}
	return bytes.ToValidUTF8(body, []byte("\ufffd"))
}

// isPlainText reports whether a content type is text/plain, with any parameters.
func isPlainText(contentType string) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "text/plain")
}

// textEvent makes an event of the text form: a title, an empty line, a message (older notification
// target page).
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

// decoder collects the events of one JSON body.
type decoder struct {
	*reader
	events []*Event
}

func decodeJSON(text []byte) ([]*Event, error) {
	d := decoder{reader: read(text)}
	defer d.release()
	if err := d.value(true); err != nil {
		return nil, d.parseError(err)
	}
	end := d.InputOffset()
	switch _, err := d.ReadToken(); err {
	case io.EOF:
		return d.events, nil
	case nil:
		return nil, &SyntaxError{end, errors.New("unexpected data after the first value")}
	default:
		return nil, d.parseError(err)
	}
}

// parseError makes a *SyntaxError of an error of the parser. It returns this package's own errors
// unchanged.
func (d *decoder) parseError(err error) error {
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return &SyntaxError{syntax.ByteOffset, syntax.Err}
	}
	if err == io.EOF { // no value at all
		return &SyntaxError{int64(len(d.text)), io.ErrUnexpectedEOF}
	}
	return err
}

// value decodes the next value of the body. It decodes an array element by element, so that nested
// arrays take one pass and not one per level.
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
		if inner, ok := unquoteJSON(v); ok && composite(inner) {
			return d.decodeInner(inner)
		}
		return d.add(textEvent(unquote(v)))
	}
	kind := kindNames[v.Kind()]
	if whole {
		v = d.text
	}
	return d.add(&Event{Raw: v, Invalid: []string{"got " + kind + ", want an object"}})
}

// decodeInner decodes JSON that was inside a JSON string.
func (d *decoder) decodeInner(text jsontext.Value) error {
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

// event decodes the next value, an object, as an Event.
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
	if bytes.IndexByte(name, '\\') >= 0 { // the same name may be written with escapes
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

// setDocumented stores a value in its typed field, or in Extra if it does not fit there.
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

// maxInvalid and maxName limit the size of Invalid.
const (
	maxInvalid = 32
	maxName    = 64
)

// invalid records what is wrong with a field.
func (e *Event) invalid(name, what string) {
	if len(e.Invalid) < maxInvalid {
		e.Invalid = append(e.Invalid, fmt.Sprintf("%.*s: %s", maxName, name, what))
	}
}

// kindNames are the names of JSON kinds for Invalid.
var kindNames = map[jsontext.Kind]string{
	'n': "null", 't': "a boolean", 'f': "a boolean", '"': "a string",
	'0': "a number", '{': "an object", '[': "an array",
}
