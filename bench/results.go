package main

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// results are the figures of all rounds.
type results struct {
	head    string // the lines about the machine
	machine []benchfmt.Config
	values  map[figure][]float64 // one for each round
}

// A figure is what a side measures.
type figure struct{ contest, side, unit string }

// begin takes the lines about the machine.
func (r *results) begin(out io.Writer, machine string) error {
	r.head, r.values = machine, make(map[figure][]float64)
	_, err := io.WriteString(out, machine)
	return err
}

// add writes a line of a side out and learns from it.
func (r *results) add(out io.Writer, line string) error {
	if _, err := io.WriteString(out, line); err != nil {
		return err
	}
	return r.read(strings.NewReader(r.head+line), "results")
}

func readResults(path string) (*results, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &results{values: make(map[figure][]float64)}
	return r, r.read(bytes.NewReader(text), path)
}

// read learns from lines as go test prints them.
func (r *results) read(from io.Reader, name string) error {
	lines := benchfmt.NewReader(from, name)
	for lines.Scan() {
		switch line := lines.Result().(type) {
		case *benchfmt.SyntaxError:
			return line
		case *benchfmt.Result:
			if len(line.Config) > 0 {
				r.machine = slices.Clone(line.Config)
			}
			contest, side, _ := strings.Cut(string(line.Name), "/side=")
			if i := strings.LastIndexByte(side, '-'); i >= 0 {
				side = side[:i] // the number of processors
			}
			for _, v := range line.Values {
				value, unit := v.Value, v.Unit
				if v.OrigUnit != "" { // benchfmt turns some into seconds
					value, unit = v.OrigValue, v.OrigUnit
				}
				f := figure{contest, side, unit}
				r.values[f] = append(r.values[f], value)
			}
		}
	}
	return lines.Err()
}

// A spread is the median of some values, and the least and the greatest of them.
type spread struct{ median, min, max float64 }

// of returns what a side measured, divided round by round by what another did if there is one.
func (r *results) of(f figure, base string) (s spread, ok bool) {
	values := slices.Clone(r.values[f])
	if base != "" {
		under := r.values[figure{f.contest, base, f.unit}]
		values = values[:min(len(values), len(under))]
		for i := range values {
			values[i] /= under[i]
		}
	}
	if len(values) == 0 {
		return s, false
	}
	slices.Sort(values)
	half := len(values) / 2
	s = spread{values[half], values[0], values[len(values)-1]}
	if len(values)%2 == 0 {
		s.median = (values[half-1] + values[half]) / 2
	}
	return s, true
}

// format writes a value with three digits and its unit.
func format(v float64, unit string) string {
	switch {
	case v < 0:
		return "−" + format(-v, unit)
	case unit == "ratio":
		return strconv.FormatFloat(v, 'f', 2, 64)
	case strings.HasSuffix(unit, "-ns") || strings.HasSuffix(unit, "ns/event") ||
		strings.HasSuffix(unit, "ns/put"):
		for _, scale := range []struct {
			of   float64
			name string
		}{{1e9, " s"}, {1e6, " ms"}, {1e3, " µs"}} {
			if v >= scale.of {
				return digits(v/scale.of) + scale.name
			}
		}
		return digits(v) + " ns"
	case strings.HasSuffix(unit, "-B"):
		return digits(v/(1<<20)) + " MiB"
	}
	return digits(v)
}

func digits(v float64) string {
	switch {
	case v >= 1000:
		text := strconv.FormatFloat(v, 'f', 0, 64)
		for i := len(text) - 3; i > 0; i -= 3 {
			text = text[:i] + "," + text[i:]
		}
		return text
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
