package pagerduty

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Limits for events that are too large. Nobody reads a source that is longer than a screen, and a
// detail shorter than minDetail says nothing.
const (
	maxLine   = 1024
	maxURL    = 2048
	minDetail = 64
)

// noteField is the name of the detail that says what was cut.
const noteField = "_truncated"

// trimmer cuts one event until its encoding fits. Its pointers lead into a copy of the event, which
// encode encodes. It cuts in steps and measures the encoded bytes after each: quotes, escapes and
// commas cannot be computed from the values.
type trimmer struct {
	limit  int
	encode func() ([]byte, error)

	lines   map[string]*string // single lines that have no documented limit
	url     *string            // nil: none
	details *map[string]any    // nil: none, and no note
	links   *[]Link
	images  *[]Image // nil: none

	note  string // the name of the detail that says what was cut
	cuts  []cut
	index map[string]int // into cuts, by field
}

// cut is what was cut from one field, over all steps.
type cut struct {
	field    string
	from, to int
	unit     string
}

func (c cut) repair() Repair {
	change := fmt.Sprintf("cut from %d to %d %s", c.from, c.to, c.unit)
	if c.to == 0 {
		change = fmt.Sprintf("left out: %d %s", c.from, c.unit)
	}
	return Repair{Field: shorten(c.field, 2*minDetail, units), Change: change}
}

// maxListed is the number of cuts that are listed, the largest first: an event may have a hundred
// thousand fields.
const maxListed = 16

// fit cuts the event, whose encoding is body, as little as makes it fit.
func (t *trimmer) fit(body []byte) ([]byte, []Repair, error) {
	steps := []func(over int){t.cutLines, t.cutValues, t.dropFields, t.dropImages, t.dropLinks}
	if t.details != nil && encodedSize(*t.details) < len(body)-t.limit {
		// The details are smaller than the excess: cut them last.
		steps = []func(over int){t.cutLines, t.dropImages, t.dropLinks, t.cutValues, t.dropFields}
	}
	if t.details != nil {
		*t.details = cloneTree(*t.details).(map[string]any)
		t.note = noteField
		for _, taken := (*t.details)[t.note]; taken; _, taken = (*t.details)[t.note] {
			t.note += "_"
		}
	}
	var err error
	for _, step := range steps {
		// The note takes space too, and may itself exceed the limit. So each step gets a second try.
		for range 2 {
			step(len(body) - t.limit)
			t.writeNote()
			if body, err = t.encode(); err != nil || len(body) <= t.limit {
				return body, t.repairs(), err
			}
		}
	}
	return nil, nil, &Error{
		Class: ClassPermanent,
		Message: fmt.Sprintf("event has %d bytes after all cuts, %d over the limit",
			len(body), len(body)-t.limit),
	}
}

// cut records that field was cut from one size to another.
func (t *trimmer) cut(field string, from, to int, unit string) {
	if i, known := t.index[field]; known {
		t.cuts[i].to = to
		return
	}
	if t.index == nil {
		t.index = make(map[string]int)
	}
	t.index[field] = len(t.cuts)
	t.cuts = append(t.cuts, cut{field: field, from: from, to: to, unit: unit})
}

// repairs returns the cuts, the largest first, and the number of the others.
func (t *trimmer) repairs() []Repair {
	largest := slices.Clone(t.cuts)
	slices.SortStableFunc(largest, func(a, b cut) int { return cmp.Compare(b.from-b.to, a.from-a.to) })
	list := make([]Repair, 0, min(len(largest), maxListed+1))
	for i, cut := range largest {
		if i == maxListed {
			more := fmt.Sprintf("%d smaller cuts more", len(largest)-maxListed)
			return append(list, Repair{Field: "payload.custom_details", Change: more})
		}
		list = append(list, cut.repair())
	}
	return list
}

// cutLines cuts single lines to maxLine.
func (t *trimmer) cutLines(int) {
	for _, field := range slices.Sorted(maps.Keys(t.lines)) {
		line := t.lines[field]
		if size := measure(*line, units); size > maxLine {
			*line = shorten(*line, maxLine, units)
			t.cut(field, size, maxLine, "characters")
		}
	}
	if t.url != nil && len(*t.url) > maxURL {
		t.cut("client_url", len(*t.url), 0, "bytes") // a part of a URL is useless
		*t.url = ""
	}
}

// leaf is one text in the details.
type leaf struct {
	field string // its top-level field
	text  string
	size  int // of the encoded text
	set   func(string)
}

// cutValues cuts the longest texts of the details to one common length. It takes the greatest
// length that saves over bytes, so short texts stay whole while a long one can be cut.
func (t *trimmer) cutValues(over int) {
	if t.details == nil || over <= 0 {
		return
	}
	var leaves []leaf
	for field, value := range *t.details {
		if field != t.note {
			leaves = appendLeaves(leaves, field, value, func(v any) { (*t.details)[field] = v })
		}
	}
	slices.SortFunc(leaves, func(a, b leaf) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.field, b.field))
	})
	level := max(commonLength(leaves, over), minDetail)
	before, after := map[string]int{}, map[string]int{}
	for _, l := range leaves {
		if l.size <= level {
			break
		}
		short := shorten(l.text, level, encoded)
		l.set(short)
		before[l.field] += l.size
		after[l.field] += measure(short, encoded)
	}
	for _, field := range slices.Sorted(maps.Keys(before)) {
		t.cut("payload.custom_details."+field, before[field], after[field], "bytes")
	}
}

// commonLength returns the length to which the longest of leaves, sorted by size, must be cut to
// save over bytes.
func commonLength(leaves []leaf, over int) int {
	total := 0
	for i, l := range leaves {
		total += l.size
		next := 0
		if i+1 < len(leaves) {
			next = leaves[i+1].size
		}
		if total-next*(i+1) >= over {
			return (total - over) / (i + 1)
		}
	}
	return 0
}

func appendLeaves(leaves []leaf, field string, value any, set func(any)) []leaf {
	switch v := value.(type) {
	case string:
		size := measure(v, encoded)
		return append(leaves, leaf{field: field, text: v, size: size, set: func(s string) { set(s) }})
	case map[string]any:
		for key, inner := range v {
			leaves = appendLeaves(leaves, field, inner, func(x any) { v[key] = x })
		}
	case []any:
		for i, inner := range v {
			leaves = appendLeaves(leaves, field, inner, func(x any) { v[i] = x })
		}
	}
	return leaves
}

// dropFields removes the largest fields of the details.
func (t *trimmer) dropFields(over int) {
	if t.details == nil || over <= 0 {
		return
	}
	var fields []string
	for field := range *t.details {
		if field != t.note {
			fields = append(fields, field)
		}
	}
	slices.Sort(fields)
	_, dropped := dropLargest(fields, over, func(field string) int {
		return measure(field, encoded) + encodedSize((*t.details)[field]) + len(`"":,`)
	})
	for _, field := range dropped {
		t.cut("payload.custom_details."+field, encodedSize((*t.details)[field]), 0, "bytes")
		delete(*t.details, field)
	}
}

func (t *trimmer) dropImages(over int) { dropFrom(t, "images", t.images, over) }
func (t *trimmer) dropLinks(over int)  { dropFrom(t, "links", t.links, over) }

// dropFrom removes the largest elements of list.
func dropFrom[T any](t *trimmer, field string, list *[]T, over int) {
	if list == nil {
		return
	}
	kept, dropped := dropLargest(*list, over, func(v T) int { return encodedSize(v) + 1 })
	if len(dropped) > 0 {
		t.cut(field, len(*list), len(kept), field)
		*list = kept
	}
}

// dropLargest removes the largest elements until over bytes are saved. kept and dropped keep their
// order.
func dropLargest[T any](items []T, over int, weigh func(T) int) (kept, dropped []T) {
	order := make([]int, len(items))
	weight := make([]int, len(items))
	for i, item := range items {
		order[i], weight[i] = i, weigh(item)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(weight[b], weight[a]) })
	out := make([]bool, len(items))
	for _, i := range order {
		if over <= 0 {
			break
		}
		over -= weight[i]
		out[i] = true
	}
	for i, item := range items {
		if out[i] {
			dropped = append(dropped, item)
		} else {
			kept = append(kept, item)
		}
	}
	return kept, dropped
}

// writeNote adds a detail that says what was cut.
func (t *trimmer) writeNote() {
	if t.details == nil || len(t.cuts) == 0 {
		return
	}
	var cuts []string
	for _, cut := range t.repairs() {
		cuts = append(cuts, strings.TrimPrefix(cut.String(), "payload.custom_details."))
	}
	if *t.details == nil {
		*t.details = map[string]any{}
	}
	(*t.details)[t.note] = "Cut to fit PagerDuty's limit of event size: " + strings.Join(cuts, "; ")
}

// cloneTree copies maps and slices, so that the caller's are not changed.
func cloneTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, inner := range v {
			out[key] = cloneTree(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = cloneTree(inner)
		}
		return out
	}
	return v
}
