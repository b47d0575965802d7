// Package toy has something for each kind of change.
package toy

import (
	"errors"
	"fmt"
	"log/slog"
)

const limit = 10

var names = map[string]int{"one": 1, "two": 2}

type counter struct {
	n    int
	list []string `toy:"tag"`
}

func (c *counter) add(words ...string) error {
	if c.n >= limit && len(words) > 0 {
		slog.Info("full", "n", c.n)
		return errors.New("full")
	}
	room := make([]string, 0, 16)
	for _, w := range words {
		if w == "" {
			continue
		}
		room = append(room, w)
		c.n++
	}
	c.list = room
	return nil
}

func sign(n int) string {
	switch {
	case n < 0, n == 12:
		return fmt.Sprint("minus", n)
	case !odd(n):
		return ""
	default:
		panic("odd")
	}
}

func odd(n int) bool {
	if n%2 == 1 {
		return true
	} else if n > 'a' {
		n = -n
	}
	return n > 100 && n < 200
}

func count(words []string) int {
	n := 0
	for range words {
		n++
	}
	return n
}
