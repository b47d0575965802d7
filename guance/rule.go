package guance

import (
	"errors"

	"github.com/go-playground/validator/v10"
)

// rules checks the rules of fields. One for the process: a validator caches the
// tags that it has parsed, and is safe for concurrent use.
var rules = func() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	known := func(fl validator.FieldLevel) bool { return Status(fl.Field().String()).Known() }
	if err := v.RegisterValidation("status", known); err != nil {
		panic("guance: " + err.Error()) // only for an empty or reserved name
	}
	return v
}()

// broken says which rule of f the event, which has the field, breaks, or
// returns "". It names the rule and not the value: Invalid is for logs, and
// values can be anything. Only what is at home behind a pointer is checked,
// because a text in an interface would be copied for it.
func (f *field) broken(e *Event) string {
	if f.rule == "" {
		return ""
	}
	broken, ok := errors.AsType[validator.ValidationErrors](rules.Var(f.home(e), f.rule))
	if !ok {
		return ""
	}
	rule := broken[0].Tag()
	if param := broken[0].Param(); param != "" {
		rule += "=" + param
	}
	return "not as documented: want " + rule
}
