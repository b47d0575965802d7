package webhooksink

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
)

// parseTemplate returns a function that makes the body of a payload. isJSON says that the body has
// to be JSON.
func parseTemplate(text string, isJSON bool) (func(Payload) ([]byte, error), error) {
	t := template.New("Options.Template").Option("missingkey=zero").Funcs(template.FuncMap{
		"json": func(v any) (string, error) {
			b, err := encode(v)
			return string(b), err
		},
	})
	t, err := t.Parse(text)
	if err != nil {
		problem := "cannot be parsed"
		if strings.Contains(err.Error(), "not defined") {
			problem = "calls a function that does not exist"
		}
		return nil, templateError(problem, err)
	}
	body := func(p Payload) ([]byte, error) {
		var b bytes.Buffer
		if err := t.Execute(&b, p); err != nil {
			return nil, err
		}
		if isJSON && !json.Valid(b.Bytes()) {
			return nil, notJSON(b.Bytes())
		}
		return b.Bytes(), nil
	}
	return body, try(body)
}

// try makes a body of a sample event. A template may fail for an event that lacks something. What
// is reported is a mistake for each event: a field that does not exist, or quotes that are
// missing.
func try(body func(Payload) ([]byte, error)) error {
	now := time.Unix(1_700_000_000, 0).UTC()
	_, err := body(payloadOf(&relay.Delivery{
		Event: &guance.Event{
			Status: guance.StatusCritical, Timestamp: now, EventID: "event-1", CheckerID: "rul_1",
			Title: `disk "/" is full`, Message: "a\nb", CheckerName: "disk", Label: []string{"db"},
			DimensionTags: map[string]string{"host": "web001"}, EventLink: "https://example.com/",
		},
		Problem: "sample", Accepted: now,
	}))
	if wrong, ok := errors.AsType[*jsonError](err); ok {
		return &OptionError{Option: "Template", Problem: wrong.problem()}
	}
	if err != nil && strings.Contains(err.Error(), "can't evaluate field") {
		return templateError("names a field that no event has", err)
	}
	return nil
}

// A jsonError says where the result of a template stops being JSON.
type jsonError struct{ offset int64 }

func (e *jsonError) problem() string {
	return fmt.Sprintf("makes a body that is not JSON from byte %d on: write values with {{json …}}, "+
		"or set the content type", e.offset)
}

func (e *jsonError) Error() string { return "Options.Template " + e.problem() }

func notJSON(body []byte) error {
	e := &jsonError{offset: int64(len(body))}
	var v any
	if syntax, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(body, &v)); ok {
		e.offset = syntax.Offset
	}
	return e
}
