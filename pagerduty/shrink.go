package pagerduty

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// What oversize events keep. Nobody reads a source of more than a screen, and
// a value cut below minDetail says nothing: it goes as a whole.
const (
	maxLine   = 1024
	maxURL    = 2048
	minDetail = 64
)

// noteField is the field of the details that says what was cut.
const noteField = "_truncated"

// cargo is what may be cut of an event: pointers into a copy of it, and the
// encoder that sees the copy. It cuts in grades and measures the encoded
// bytes again after each, because no arithmetic over values survives quoting,
// escapes and commas.
type cargo struct {
	limit  int
	encode func() ([]byte, error)

	lines   map[string]*string // single lines without a documented limit
	url     *string            // nil: none
	details *map[string]any    // nil: a note has no place either
	links   *[]Link
	images  *[]Image // nil: none

	note  string // the field of the details that tells what was cut
	cuts  []cut
	index map[string]int // of cuts, by field
}

// cut is what was taken from one field, from its first cut to its last.
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

// maxTold bounds how many cuts are told one by one, the largest first: an
// event may have a hundred thousand fields.
const maxTold = 16

// fit cuts an event whose encoding, body, is over the limit, as little as
// makes it fit.
func (c *cargo) fit(body []byte) ([]byte, []Repair, error) {
	grades := []func(over int){c.cutLines, c.cutValues, c.dropFields, c.dropImages, c.dropLinks}
	if c.details != nil && encodedSize(*c.details) < len(body)-c.limit {
		// The details are not the trouble: emptying them would not do.
		grades = []func(over int){c.cutLines, c.dropImages, c.dropLinks, c.cutValues, c.dropFields}
	}
	if c.details != nil {
		*c.details = cloneTree(*c.details).(map[string]any)
		c.note = noteField
		for _, taken := (*c.details)[c.note]; taken; _, taken = (*c.details)[c.note] {
			c.note += "_"
		}
	}
	var err error
	for _, grade := range grades {
		// The note is one of the things to be measured, and may itself be
		// what is too much; the same grade then gets a second chance.
		for range 2 {
			grade(len(body) - c.limit)
			c.writeNote()
			if body, err = c.encode(); err != nil || len(body) <= c.limit {
				return body, c.told(), err
			}
		}
	}
	return nil, nil, &Error{
		Class:   ClassPermanent,
		Message: fmt.Sprintf("event has %d bytes with everything cut that can be, %d over the limit", len(body), len(body)-c.limit),
	}
}

// cut writes down that field went from one size to another.
func (c *cargo) cut(field string, from, to int, unit string) {
	if i, known := c.index[field]; known {
		c.cuts[i].to = to
		return
	}
	if c.index == nil {
		c.index = make(map[string]int)
	}
	c.index[field] = len(c.cuts)
	c.cuts = append(c.cuts, cut{field: field, from: from, to: to, unit: unit})
}

// told returns the cuts, the largest first, and the small ones as a number.
func (c *cargo) told() []Repair {
	largest := slices.Clone(c.cuts)
	slices.SortStableFunc(largest, func(a, b cut) int { return cmp.Compare(b.from-b.to, a.from-a.to) })
	told := make([]Repair, 0, min(len(largest), maxTold+1))
	for i, cut := range largest {
		if i == maxTold {
			more := fmt.Sprintf("%d smaller cuts more", len(largest)-maxTold)
			return append(told, Repair{Field: "payload.custom_details", Change: more})
		}
		told = append(told, cut.repair())
	}
	return told
}

// cutLines takes single lines to a length that is a line's.
func (c *cargo) cutLines(int) {
	for _, field := range slices.Sorted(maps.Keys(c.lines)) {
		line := c.lines[field]
		if size := measure(*line, units); size > maxLine {
			*line = shorten(*line, maxLine, units)
			c.cut(field, size, maxLine, "characters")
		}
	}
	if c.url != nil && len(*c.url) > maxURL {
		c.cut("client_url", len(*c.url), 0, "bytes") // half a URL leads nowhere
		*c.url = ""
	}
}

// leaf is a text somewhere in the details.
type leaf struct {
	field string // the top-level field it is in
	text  string
	size  int // encoded
	set   func(string)
}

// cutValues cuts the longest texts of the details to one common length, the
// greatest at which over bytes are saved: short values stay whole as long as
// a long one has anything to give.
func (c *cargo) cutValues(over int) {
	if c.details == nil || over <= 0 {
		return
	}
	var leaves []leaf
	for field, value := range *c.details {
		if field != c.note {
			leaves = appendLeaves(leaves, field, value, func(v any) { (*c.details)[field] = v })
		}
	}
	slices.SortFunc(leaves, func(a, b leaf) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.field, b.field))
	})
	level := max(waterLevel(leaves, over), minDetail)
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
		c.cut("payload.custom_details."+field, before[field], after[field], "bytes")
	}
}

// waterLevel returns the size to which the greatest of leaves, sorted
// downwards, must be cut for saving over bytes in all.
func waterLevel(leaves []leaf, over int) int {
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
		return append(leaves, leaf{field: field, text: v, size: measure(v, encoded), set: func(s string) { set(s) }})
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

// dropFields leaves out the largest fields of the details.
func (c *cargo) dropFields(over int) {
	if c.details == nil || over <= 0 {
		return
	}
	var fields []string
	for field := range *c.details {
		if field != c.note {
			fields = append(fields, field)
		}
	}
	slices.Sort(fields)
	_, dropped := lighten(fields, over, func(field string) int {
		return measure(field, encoded) + encodedSize((*c.details)[field]) + len(`"":,`)
	})
	for _, field := range dropped {
		c.cut("payload.custom_details."+field, encodedSize((*c.details)[field]), 0, "bytes")
		delete(*c.details, field)
	}
}

func (c *cargo) dropImages(over int) {
	if c.images == nil {
		return
	}
	kept, dropped := lighten(*c.images, over, func(i Image) int { return encodedSize(i) + 1 })
	if len(dropped) > 0 {
		c.cut("images", len(*c.images), len(kept), "images")
		*c.images = kept
	}
}

func (c *cargo) dropLinks(over int) {
	kept, dropped := lighten(*c.links, over, func(l Link) int { return encodedSize(l) + 1 })
	if len(dropped) > 0 {
		c.cut("links", len(*c.links), len(kept), "links")
		*c.links = kept
	}
}

// lighten drops the heaviest items until over is shed, and keeps the order of
// both those kept and those dropped.
func lighten[T any](items []T, over int, weigh func(T) int) (kept, dropped []T) {
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

// writeNote tells whoever reads the incident that it is not all there.
func (c *cargo) writeNote() {
	if c.details == nil || len(c.cuts) == 0 {
		return
	}
	var cuts []string
	for _, cut := range c.told() {
		cuts = append(cuts, strings.TrimPrefix(cut.String(), "payload.custom_details."))
	}
	if *c.details == nil {
		*c.details = map[string]any{}
	}
	(*c.details)[c.note] = "Cut to fit PagerDuty's limit of event size: " + strings.Join(cuts, "; ")
}

// cloneTree copies the maps and slices of a tree, for the caller's are not
// ours to cut.
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
