package guance

import (
	"errors"
	"reflect"
	"slices"
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
	obeys    func(text string) bool
}

var rules = func() (all []rule) {
	event := reflect.TypeFor[Event]()
	for i := range event.NumField() {
		f := event.Field(i)
		presence, tag, found := strings.Cut(f.Tag.Get("validate"), ",")
		if found {
			all = append(all, rule{i, f.Tag.Get("json"), presence == "required", tag, glance(tag)})
		}
	}
	return all
}()

// glance returns what sees at once that a text obeys a tag. It never says so of a text that the validator would refuse, and may miss one
// that it would not: those the validator judges. It does that by reflection and regular expressions, which took a fifth of the time and of the
// allocations of decoding an event, for texts that are nearly always good.
func glance(tag string) func(text string) bool {
	name, param, _ := strings.Cut(tag, "=")
	switch {
	case name == "startswith":
		return func(text string) bool { return strings.HasPrefix(text, param) }
	case name == "oneof", name == "oneofci":
		words := strings.Fields(param)
		return func(text string) bool { return slices.Contains(words, text) }
	case tag == "len=32,hexadecimal":
		return func(text string) bool { return len(text) == 32 && strings.Trim(text, "0123456789abcdef") == "" }
	}
	return func(string) bool { return false }
}

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
		text := event.Field(r.index).String()
		switch {
		case r.obeys(text):
		case e.Extra[r.name] != nil: // of a wrong type, which is noted already
		case text != "":
			if broken, ok := errors.AsType[validator.ValidationErrors](validate.Var(text, r.tag)); ok {
				e.invalid(r.name, "not as documented: want "+strings.TrimSuffix(broken[0].Tag()+"="+broken[0].Param(), "="))
			}
		case r.required:
			e.invalid(r.name, "absent, and required")
		}
	}
}
