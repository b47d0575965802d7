package pagerduty

import (
	"errors"
	"strings"
)

const hidden = "[routing key]"

// scrub replaces the routing key in a text.
func scrub(s string, key RoutingKey) string {
	return strings.ReplaceAll(s, key.Reveal(), hidden)
}

// cause wraps an error of a transport or a limiter, and prints it without the routing key. Such an
// error may hold the whole request and show it with %#v or as JSON. fmt and encoders follow
// pointers and unexported fields, but cannot look into a function.
type cause struct {
	text   string
	err    func() error
	hasKey bool // the text of err has the key: err is used for errors.Is only
}

func causeOf(err error, key RoutingKey) error {
	text := err.Error()
	clean := scrub(text, key)
	return &cause{text: clean, err: func() error { return err }, hasKey: clean != text}
}

func (c *cause) Error() string        { return c.text }
func (c *cause) Is(target error) bool { return errors.Is(c.err(), target) }

// Unwrap returns the error, or nil if its text has the routing key.
func (c *cause) Unwrap() error {
	if c.hasKey {
		return nil
	}
	return c.err()
}
