package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"
)

// table renders results as Markdown: first what was to be reached, then every contest.
func (r *results) table(all []contest) string {
	var b strings.Builder
	for _, m := range r.machine {
		fmt.Fprintf(&b, "%s: %s; ", m.Key, m.Value)
	}
	b.WriteString("\n\n| to reach | goal | measured | |\n| --- | --- | --- | --- |\n")
	for _, c := range all {
		for _, g := range c.goals {
			r.goal(&b, &c, g)
		}
	}
	for _, c := range all {
		r.contest(&b, &c)
	}
	return b.String()
}

func (r *results) goal(b *strings.Builder, c *contest, g goal) {
	s, ok := r.of(figure{c.name, g.side, g.unit}, g.of)
	if !ok {
		return
	}
	unit := g.unit
	if g.of != "" {
		unit = "ratio"
	}
	sign, bound, met := "≥", g.min, s.median >= g.min
	if g.max > 0 {
		sign, bound, met = "≤", g.max, s.median <= g.max
	}
	word := "met"
	if !met {
		word = "**not met**"
	}
	fmt.Fprintf(b, "| %s | %s %s | %s (%s–%s) | %s |\n", g.text, sign, format(bound, unit),
		format(s.median, unit), format(s.min, unit), format(s.max, unit), word)
}

func (r *results) contest(b *strings.Builder, c *contest) {
	var rows strings.Builder
	for _, side := range c.sides {
		var cells []string
		seen := false
		for _, unit := range c.units {
			f := figure{c.name, side.name, unit}
			s, ok := r.of(f, "")
			if !ok {
				cells = append(cells, "")
				continue
			}
			seen = true
			cell := format(s.median, unit)
			if ratio, ok := r.of(f, c.base); ok && c.base != "" && side.name != c.base &&
				!math.IsNaN(ratio.median) {
				cell += fmt.Sprintf(" · %s× (%s–%s)", format(ratio.median, "ratio"),
					format(ratio.min, "ratio"), format(ratio.max, "ratio"))
			}
			cells = append(cells, cell)
		}
		if seen {
			fmt.Fprintf(&rows, "| %s | %s |\n", side.name, strings.Join(cells, " | "))
		}
	}
	if rows.Len() == 0 {
		return
	}
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n| side | %s |\n|%s\n%s", c.name, c.about,
		strings.Join(c.units, " | "), strings.Repeat(" --- |", len(c.units)+1), rows.String())
}

// The table stands between these lines of docs/performance.md.
const (
	tableBegin = "<!-- table: GOWORK=off go run -C bench . -publish ../docs -->\n"
	tableEnd   = "<!-- end of table -->\n"
)

// insert puts a table in the place of the one that a file has.
func insert(path, table string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(text, []byte(tableBegin))
	_, after, ended := bytes.Cut(rest, []byte(tableEnd))
	if !ok || !ended {
		return fmt.Errorf("%s has no place for the table: %q and %q", path, tableBegin, tableEnd)
	}
	return os.WriteFile(path, fmt.Appendf(nil, "%s%s%s%s%s", before, tableBegin, table, tableEnd,
		after), 0o644)
}
