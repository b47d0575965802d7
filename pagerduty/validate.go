package pagerduty

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/go-playground/validator/v10"
)

// alertRules are what makes PagerDuty refuse an alert event (PagerDuty developer
// docs, Events API v2: Trigger Events) and repair may not be able to mend. "units"
// counts UTF-16 code units, which holds under either reading of PagerDuty's
// "characters". They are no tags of Event: the validator boxes every field that it
// passes, those without a tag too.
type alertRules struct {
	Action   Action `validate:"oneof=trigger acknowledge resolve"`
	DedupKey string `validate:"notblank,units=255"`
	Summary  string `validate:"required_if=Action trigger,omitempty,units=1024"`
}

// changeRules are those of a change event.
type changeRules struct {
	Summary string `validate:"notblank,units=1024"`
}

// validate checks the rules. It runs after repair, so what it finds is what
// nobody but the caller can put right.
var validate = newValidator()

func newValidator() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	must := func(err error) {
		if err != nil {
			panic(err) // the two registrations below are fixed: only a typing error fails
		}
	}
	must(v.RegisterValidation("notblank", func(f validator.FieldLevel) bool {
		return f.Field().Kind() == reflect.String && !blank(f.Field().String())
	}))
	must(v.RegisterValidation("units", func(f validator.FieldLevel) bool {
		limit, err := strconv.Atoi(f.Param())
		return err == nil && within(f.Field().String(), limit)
	}))
	return v
}

// faults says in PagerDuty's field names what the tags found.
var faults = map[string]string{
	"Action.oneof":        "event_action must be trigger, acknowledge or resolve",
	"DedupKey.notblank":   "dedup_key is required to acknowledge or resolve: it names the alert",
	"Summary.required_if": "payload.summary is blank, and so is every field it could be made from",
	"Summary.notblank":    "payload.summary is blank",
}

func within(s string, limit int) bool { return len(s) <= limit || measure(s, units) <= limit }

// check returns the local error for an event that no repair makes sendable, with
// all that its rules find wrong. rules is an *alertRules or a *changeRules.
func check(rules any) error {
	err := validate.Struct(rules)
	if err == nil {
		return nil
	}
	local := &Error{Class: ClassPermanent, Message: "event is not valid"}
	var found validator.ValidationErrors
	if !errors.As(err, &found) {
		local.Err = err // which is how the validator would report a mistake in a tag
		return local
	}
	for _, fault := range found {
		text, ok := faults[fault.Field()+"."+fault.Tag()]
		if !ok {
			text = fmt.Sprintf("%s breaks the rule %s %s", fault.Field(), fault.Tag(), fault.Param())
		}
		local.Errors = append(local.Errors, text)
	}
	return local
}
