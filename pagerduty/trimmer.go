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

// trimmer is what may be cut of an event: pointers into a copy of it, and the
// encoder that sees the copy. It cuts in grades and measures the encoded
// bytes again after each, because no arithmetic over values survives quoting,
// escapes and commas.
type trimmer struct {
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
func (t *trimmer) fit(body []byte) ([]byte, []Repair, error) {
	grades := []func(over int){t.cutLines, t.cutValues, t.dropFields, t.dropImages, t.dropLinks}
	if t.details != nil && encodedSize(*t.details) < len(body)-t.limit {
		// The details are not the trouble: emptying them would not do.
		grades = []func(over int){t.cutLines, t.dropImages, t.dropLinks, t.cutValues, t.dropFields}
	}
	if t.details != nil {
		*t.details = cloneTree(*t.details).(map[string]any)
		t.note = noteField
		for _, taken := (*t.details)[t.note]; taken; _, taken = (*t.details)[t.note] {
			t.note += "_"
		}
	}
	var err error
	for _, grade := range grades {
		// The note is one of the things to be measured, and may itself be
		// what is too much; the same grade then gets a second chance.
		for range 2 {
			grade(len(body) - t.limit)
			t.writeNote()
			if body, err = t.encode(); err != nil || len(body) <= t.limit {
				return body, t.told(), err
			}
		}
	}
	return nil, nil, &Error{
		Class:   ClassPermanent,
		Message: fmt.Sprintf("event has %d bytes with everything cut that can be, %d over the limit", len(body), len(body)-t.limit),
	}
}

// cut writes down that field went from one size to another.
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

// told returns the cuts, the largest first, and the small ones as a number.
func (t *trimmer) told() []Repair {
	largest := slices.Clone(t.cuts)
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
func (t *trimmer) cutLines(int) {
	for _, field := range slices.Sorted(maps.Keys(t.lines)) {
		line := t.lines[field]
		if size := measure(*line, units); size > maxLine {
			*line = shorten(*line, maxLine, units)
			t.cut(field, size, maxLine, "characters")
		}
	}
	if t.url != nil && len(*t.url) > maxURL {
		t.cut("client_url", len(*t.url), 0, "bytes") // half a URL leads nowhere
		*t.url = ""
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
		t.cut("payload.custom_details."+field, before[field], after[field], "bytes")
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
	_, dropped := lighten(fields, over, func(field string) int {
		return measure(field, encoded) + encodedSize((*t.details)[field]) + len(`"":,`)
	})
	for _, field := range dropped {
		t.cut("payload.custom_details."+field, encodedSize((*t.details)[field]), 0, "bytes")
		delete(*t.details, field)
	}
}

func (t *trimmer) dropImages(over int) {
	if t.images == nil {
		return
	}
	kept, dropped := lighten(*t.images, over, func(i Image) int { return encodedSize(i) + 1 })
	if len(dropped) > 0 {
		t.cut("images", len(*t.images), len(kept), "images")
		*t.images = kept
	}
}

func (t *trimmer) dropLinks(over int) {
	kept, dropped := lighten(*t.links, over, func(l Link) int { return encodedSize(l) + 1 })
	if len(dropped) > 0 {
		t.cut("links", len(*t.links), len(kept), "links")
		*t.links = kept
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
func (t *trimmer) writeNote() {
	if t.details == nil || len(t.cuts) == 0 {
		return
	}
	var cuts []string
	for _, cut := range t.told() {
		cuts = append(cuts, strings.TrimPrefix(cut.String(), "payload.custom_details."))
	}
	if *t.details == nil {
		*t.details = map[string]any{}
	}
	(*t.details)[t.note] = "Cut to fit PagerDuty's limit of event size: " + strings.Join(cuts, "; ")
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
