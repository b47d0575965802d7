package pagerduty

import (
	"errors"
	"strings"
)

const hidden = "[routing key]"

// scrub takes the key out of a text a server wrote.
func scrub(s string, key RoutingKey) string {
	return strings.ReplaceAll(s, key.Reveal(), hidden)
}

// cause is an error that a transport or a limiter wrote. What such an error
// prints with %#v or as JSON is not ours: it may hold the whole request. fmt
// walks through pointers and unexported fields, and stops at a function.
type cause struct {
	text string
	err  func() error
	mute bool // err prints the key; it answers errors.Is and is given to nobody
}

func causeOf(err error, key RoutingKey) error {
	text := err.Error()
	clean := scrub(text, key)
	return &cause{text: clean, err: func() error { return err }, mute: clean != text}
}

func (c *cause) Error() string        { return c.text }
func (c *cause) Is(target error) bool { return errors.Is(c.err(), target) }

// Unwrap returns the error itself, unless it would print the routing key.
func (c *cause) Unwrap() error {
	if c.mute {
		return nil
	}
	return c.err()
}
