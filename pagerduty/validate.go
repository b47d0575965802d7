package pagerduty

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/go-playground/validator/v10"
)

// alertRules are the rules that an alert event may still break after the repair; PagerDuty then
// refuses it (PagerDuty developer docs, Events API v2: Trigger Events). "units" counts UTF-16 code
// units. The rules are not tags of Event, since the validator allocates for every field that it
// visits, also for those without a tag.
type alertRules struct {
	Action   Action `validate:"oneof=trigger acknowledge resolve"`
	DedupKey string `validate:"notblank,units=255"`
	Summary  string `validate:"required_if=Action trigger,omitempty,units=1024"`
}

// changeRules are the rules of a change event.
type changeRules struct {
	Summary string `validate:"notblank,units=1024"`
}

// validate checks the rules. It runs after the repair, so only the caller can correct what it
// finds.
var validate = newValidator()

func newValidator() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	must := func(err error) {
		if err != nil {
			panic(err) // only a typing error in the two registrations below
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

// ruleMessages describe a broken rule with PagerDuty's field names.
var ruleMessages = map[string]string{
	"Action.oneof":        "event_action must be trigger, acknowledge or resolve",
	"DedupKey.notblank":   "dedup_key is required to acknowledge or resolve: it names the alert",
	"Summary.required_if": "payload.summary is blank, and so is every field it could be made from",
	"Summary.notblank":    "payload.summary is blank",
}

func within(s string, limit int) bool { return len(s) <= limit || measure(s, units) <= limit }

// check returns an error with all broken rules. rules is an *alertRules or a *changeRules.
func check(rules any) error {
	err := validate.Struct(rules)
	if err == nil {
		return nil
	}
	local := &Error{Class: ClassPermanent, Message: "event is not valid"}
	var found validator.ValidationErrors
	if !errors.As(err, &found) {
		local.Err = err // a mistake in a tag
		return local
	}
	for _, broken := range found {
		text, ok := ruleMessages[broken.Field()+"."+broken.Tag()]
		if !ok {
			text = fmt.Sprintf("%s breaks the rule %s %s", broken.Field(), broken.Tag(), broken.Param())
		}
		local.Errors = append(local.Errors, text)
	}
	return local
}
