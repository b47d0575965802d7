package guance

import (
	"errors"
	"reflect"
	"strings"

	"github.com/go-playground/validator/v10"
)

// validate checks the validate tags of Event. One for the process: a validator
// caches the tags that it has parsed, and is safe for concurrent use. The tags
// are of the validator's own vocabulary, because the validator of a program
// that has an Event among its fields reads them too.
var validate = validator.New(validator.WithRequiredStructEnabled())

// A rule is what a validate tag says of one field of Event. All such fields are
// texts.
type rule struct {
	index    int
	name     string // on the wire
	required bool   // else the rule is for a text that is there
	tag      string // what remains
}

var rules = func() (all []rule) {
	event := reflect.TypeFor[Event]()
	for i := range event.NumField() {
		f := event.Field(i)
		presence, tag, found := strings.Cut(f.Tag.Get("validate"), ",")
		if found {
			all = append(all, rule{i, f.Tag.Get("json"), presence == "required", tag})
		}
	}
	return all
}()

// check notes which rules the event breaks. It names the rule and not the
// value: Invalid is for logs, and values can be anything. Text and Incidents
// have none of the fields that have rules.
//
// Fields are checked one by one, because the validator copies each field of a
// struct, with a rule or without, to the heap.
func (e *Event) check() {
	if e.Text || e.Incident != nil {
		return
	}
	event := reflect.ValueOf(e).Elem()
	for _, r := range rules {
		text := event.Field(r.index)
		switch {
		case e.Extra[r.name] != nil: // of a wrong type, which is noted already
		case text.Len() > 0:
			if broken, ok := errors.AsType[validator.ValidationErrors](validate.Var(text.Addr().Interface(), r.tag)); ok {
				e.invalid(r.name, "not as documented: want "+strings.TrimSuffix(broken[0].Tag()+"="+broken[0].Param(), "="))
			}
		case r.required:
			e.invalid(r.name, "absent, and required")
		}
	}
}
