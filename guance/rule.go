package guance

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/go-playground/validator/v10"
)

// validate checks the validate tags of Event. There is one for the process: a validator caches the
// tags that it has parsed, and is safe for concurrent use. The tags have only the validator's own
// words, since the validator of a program that has an Event in a struct reads them too.
var validate = validator.New(validator.WithRequiredStructEnabled())

// A rule is the validate tag of one field of Event. All these fields are strings.
type rule struct {
	index     int
	name      string // on the wire
	required  bool   // otherwise the rule applies to a text that is not empty
	tag       string // the tag without its first part
	fastCheck func(text string) bool
}

var rules = func() (all []rule) {
	event := reflect.TypeFor[Event]()
	for i := range event.NumField() {
		f := event.Field(i)
		presence, tag, found := strings.Cut(f.Tag.Get("validate"), ",")
		if found {
			all = append(all, rule{i, f.Tag.Get("json"), presence == "required", tag, newFastCheck(tag)})
		}
	}
	return all
}()

// newFastCheck returns a fast check for texts that obey a tag. It is never true for a text that the
// validator refuses. It may be false for a text that the validator accepts; the validator then
// checks that text. The validator uses reflection and regular expressions, which took a fifth of
// the time and allocations of decoding an event; nearly all texts are valid.
func newFastCheck(tag string) func(text string) bool {
	name, param, _ := strings.Cut(tag, "=")
	switch {
	case name == "startswith":
		return func(text string) bool { return strings.HasPrefix(text, param) }
	case name == "oneof", name == "oneofci":
		words := strings.Fields(param)
		return func(text string) bool { return slices.Contains(words, text) }
	case tag == "len=32,hexadecimal":
		return func(text string) bool {
			return len(text) == 32 &&
				strings.Trim(text, "0123456789abcdef") == ""
		}
	}
	return func(string) bool { return false }
}

// check records which rules the event breaks. It records the rule and never the value: Invalid is
// for logs. Text events and Incidents have none of the fields with rules.
//
// Fields are checked one by one, because the validator allocates for every field of a struct, also
// for those without a rule.
func (e *Event) check() {
	if e.Text || e.Incident != nil {
		return
	}
	event := reflect.ValueOf(e).Elem()
	for _, r := range rules {
		text := event.Field(r.index).String()
		switch {
		case r.fastCheck(text):
		case e.Extra[r.name] != nil: // of a wrong type, which is recorded already
		case text != "":
			if broken, ok := errors.AsType[validator.ValidationErrors](validate.Var(text, r.tag)); ok {
				want := strings.TrimSuffix(broken[0].Tag()+"="+broken[0].Param(), "=")
				e.invalid(r.name, "not as documented: want "+want)
			}
		case r.required:
			e.invalid(r.name, "absent, and required")
		}
	}
}
