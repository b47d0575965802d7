package pagerduty

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

// Every repair of an alert event, with the words that a person reads.
func TestRepairsOfAnEvent(t *testing.T) {
	const odd, clean = "a\x00b", "ab"
	line := func(field string) Repair {
		return Repair{field, "invalid UTF-8 or control characters replaced"}
	}
	space := "white space, invalid UTF-8 or control characters replaced"
	sound := Event{Action: ActionTrigger, DedupKey: "k", Summary: "s", Source: "h",
		Severity: SeverityError}
	tests := map[string]struct {
		change, want func(*Event)
		repairs      []Repair
	}{
		"nothing": {func(*Event) {}, func(*Event) {}, nil},
		"lines": {func(e *Event) {
			e.Component, e.Group, e.Class, e.Source, e.Summary, e.Client = odd, odd, odd, odd, odd, odd
		}, func(e *Event) {
			e.Component, e.Group, e.Class, e.Source, e.Summary, e.Client = clean, clean, clean, clean,
				clean, clean
		}, []Repair{line("payload.component"), line("payload.group"), line("payload.class"),
			line("payload.source"), line("payload.summary"), line("client")}},
		"long summary": {func(e *Event) { e.Summary = strings.Repeat("世", 1025) },
			func(e *Event) { e.Summary = strings.Repeat("世", 1023) + "…" },
			[]Repair{{"payload.summary", "cut from 1025 to 1024 characters"}}},
		"blank": {func(e *Event) { e.Summary, e.Source, e.Severity = " ", "\t", " " },
			func(e *Event) {
				e.Summary, e.Source, e.Severity = "(no summary) k", "default", SeverityWarning
			},
			[]Repair{{"payload.source", "invalid UTF-8 or control characters replaced"},
				{"payload.summary", "blank; made from other fields"},
				{"payload.source", "blank; set to the default"},
				{"payload.severity", "blank; set to the default, warning"}}},
		"severity": {func(e *Event) { e.Severity = "FATAL" },
			func(e *Event) { e.Severity = SeverityCritical },
			[]Repair{{"payload.severity", `"FATAL" sent as critical`}}},
		"long unknown severity": {func(e *Event) { e.Severity = Severity(strings.Repeat("x", 40)) },
			func(e *Event) { e.Severity = SeverityWarning },
			[]Repair{{"payload.severity", `"` + strings.Repeat("x", 31) + `…" sent as warning`}}},
		"year": {func(e *Event) { e.Timestamp = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
			func(*Event) {}, []Repair{{"payload.timestamp", "year out of range; left out"}}},
		"client URL": {func(e *Event) { e.ClientURL = "javascript:alert(1)" }, func(*Event) {},
			[]Repair{{"client_url", "not http or https; left out"}}},
		"links": {func(e *Event) {
			e.Links = []Link{{Text: "none"}, {Href: "ftp://x"}, {Href: " https://a", Text: odd},
				{Href: "https://b", Text: "b"}}
		}, func(e *Event) { e.Links = []Link{{"https://a", clean}, {"https://b", "b"}} },
			[]Repair{{"links", "one without href left out"},
				{"links", "one whose href is not http or https left out"}, {"links", space}}},
		"images": {func(e *Event) {
			e.Images = []Image{{Src: "http://x"}, {Src: "https://a", Href: "ftp://x", Alt: "a"},
				{Src: "https://b", Href: " https://c", Alt: odd}, {Src: "https://d", Href: "http://d"}}
		}, func(e *Event) {
			e.Images = []Image{{Src: "https://a", Alt: "a"}, {"https://b", "https://c", clean},
				{Src: "https://d", Href: "http://d"}}
		}, []Repair{{"images", "one whose src is missing or not https left out"},
			{"images", "an href that is not http or https left out"}, {"images", space}}},
		"no key": {func(e *Event) { *e = Event{Action: ActionResolve, DedupKey: " "} },
			func(e *Event) { *e = Event{Action: ActionResolve} }, nil},
		"odd key": {func(e *Event) { e.DedupKey = odd },
			func(e *Event) { e.DedupKey = hashKey(clean, odd) },
			[]Repair{{"dedup_key", "invalid UTF-8 or control characters; hashed"}}},
		"long key": {func(e *Event) { e.DedupKey = strings.Repeat("k", 256) },
			func(e *Event) { e.DedupKey = hashKey(strings.Repeat("k", 256), strings.Repeat("k", 256)) },
			[]Repair{{"dedup_key", "over 255 characters; hashed"}}},
		"a key at the limit": {func(e *Event) { e.DedupKey = strings.Repeat("世", 255) },
			func(e *Event) { e.DedupKey = strings.Repeat("世", 255) }, nil},
		"details": {func(e *Event) { e.Details = map[string]any{"a": odd, "b": odd, "c": math.Inf(1)} },
			func(e *Event) { e.Details = map[string]any{"a": clean, "b": clean, "c": "+Inf"} },
			[]Repair{{"payload.custom_details", "a number JSON cannot write sent as text"},
				{"payload.custom_details", "invalid UTF-8 or control characters replaced"}}},
		"no details": {func(e *Event) { e.Details = map[string]any{} }, func(*Event) {}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ev, want := sound, sound
			test.change(&ev)
			test.want(&want)
			r := repairer{source: "default", severity: SeverityWarning}
			r.event(&ev)
			if diff := cmp.Diff(want, ev); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if name == "details" { // maps have no order
				slices.SortFunc(r.repairs, func(a, b Repair) int { return strings.Compare(a.Change, b.Change) })
			}
			if diff := cmp.Diff(test.repairs, r.repairs); diff != "" {
				t.Errorf("repairs (-want +got)\n%s", diff)
			}
		})
	}
}

// Every repair of a change event.
func TestRepairsOfAChange(t *testing.T) {
	ev := ChangeEvent{Summary: strings.Repeat("a", 1025), Source: "h\x00",
		Timestamp: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), Details: map[string]any{"a": "b\x00"},
		Links: []Link{{}}}
	var r repairer
	r.change(&ev)
	want := ChangeEvent{Summary: strings.Repeat("a", 1023) + "…", Source: "h",
		Details: map[string]any{"a": "b"}, Links: []Link{}}
	if diff := cmp.Diff(want, ev); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	repairs := []Repair{{"payload.summary", "cut from 1025 to 1024 characters"},
		{"payload.source", "invalid UTF-8 or control characters replaced"},
		{"payload.timestamp", "year out of range; left out"},
		{"payload.custom_details", "invalid UTF-8 or control characters replaced"},
		{"links", "one without href left out"}}
	if diff := cmp.Diff(repairs, r.repairs); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := repairs[4].String(); got != "links: one without href left out" {
		t.Errorf("a repair is printed as %q", got)
	}
}

type unreadable struct{}

func (unreadable) MarshalJSON() ([]byte, error) { return nil, fmt.Errorf("no") }

// Each kind of value in the details: what is sent, and whether that is said.
func TestDetailValues(t *testing.T) {
	deep := any("end")
	for range maxDepth {
		deep = []any{deep}
	}
	deeper := any([]any{deep})
	type named struct {
		A int `json:"a"`
	}
	same := []any{nil, true, 1, int8(1), int16(1), int32(1), int64(1), uint(1), uint8(1), uint16(1),
		uint32(1), uint64(1), 1.5, "text", map[string]any{"a": "b"}, []any{1, "b"}, deep}
	for _, v := range same {
		s := sanitizer{nodes: 1000}
		if got, changed := s.value(v, 0); changed || len(s.changes) > 0 || !reflect.DeepEqual(got, v) {
			t.Errorf("%T %v becomes %v, changed %v, %q", v, v, got, changed, s.changes)
		}
	}
	const (
		number = "a number JSON cannot write sent as text"
		cannot = "a value JSON cannot write replaced"
	)
	for name, test := range map[string]struct {
		given, want any
		note        string
	}{
		"NaN":       {math.NaN(), "NaN", number},
		"infinity":  {math.Inf(-1), "-Inf", number},
		"number":    {json.Number("12345678901234567890"), jsontext.Value("12345678901234567890"), ""},
		"no number": {json.Number("1\x002x"), "12x", number},
		"nil map":   {map[string]any(nil), nil, ""},
		"nil list":  {[]any(nil), nil, ""},
		"text":      {"a\x00", "a", "invalid UTF-8 or control characters replaced"},
		"struct":    {named{5}, map[string]any{"a": jsontext.Value("5")}, ""},
		"a channel": {make(chan int), "(a chan int, which JSON cannot write)", cannot},
		"an error":  {unreadable{}, "(a pagerduty.unreadable, which JSON cannot write)", cannot},
		"names clash": {map[string]any{"a\x00": 1, "a": 2}, map[string]any{"a": 2, "a_": 1},
			"invalid UTF-8 or control characters replaced"},
	} {
		s := sanitizer{nodes: 1000}
		got, changed := s.value(test.given, 0)
		if !changed || !reflect.DeepEqual(got, test.want) ||
			strings.Join(s.changes, ", ") != test.note {
			t.Errorf("%s: %#v, changed %v, %q; want %#v, %q", name, got, changed, s.changes, test.want,
				test.note)
		}
	}
	s := sanitizer{nodes: 1000}
	if _, changed := s.value(deeper, 0); !changed ||
		!slices.Equal(s.changes, []string{"nested too deep; the inner levels left out"}) {
		t.Errorf("changed %v, %q", changed, s.changes)
	}
}

// Only so many values are sent, and the rest is null.
func TestDetailsAreBounded(t *testing.T) {
	for _, test := range []struct {
		nodes int
		want  []any
	}{
		{4, []any{1, "b", named(3)}}, {3, []any{1, "b", nil}}, {2, []any{1, nil, nil}},
	} {
		s := sanitizer{nodes: test.nodes}
		got, _ := s.value([]any{1, "b", named(3)}, 0)
		if test.nodes == 4 {
			test.want[2] = jsontext.Value("3")
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%d values: %#v, want %#v", test.nodes, got, test.want)
		}
		if note := len(s.changes) == 1 && s.changes[0] == "too many values; the rest left out"; note !=
			(test.nodes < 4) {
			t.Errorf("%d values: %q", test.nodes, s.changes)
		}
	}
	for n, want := range map[int]int{255_999: 0, 256_000: 1} { // and the list itself
		list := make([]any, n)
		for i := range list {
			list[i] = 1
		}
		var r repairer
		if r.details(map[string]any{"list": list}); len(r.repairs) != want {
			t.Errorf("a list of %d values: %v", n, r.repairs)
		}
	}
	s := sanitizer{nodes: 0}
	if _, changed := s.value(nil, 0); changed {
		t.Error("null stays null")
	}
}

type named int

// Every word for a severity.
func TestSeverityWords(t *testing.T) {
	words := map[Severity]string{
		SeverityCritical: "critical crit fatal emergency emerg alert disaster p1",
		SeverityError:    "error err high major severe p2",
		SeverityWarning:  "warning warn medium moderate minor average p3",
		SeverityInfo:     "info information informational low notice debug ok none p4 p5",
	}
	n := 0
	for want, list := range words {
		for _, word := range strings.Fields(list) {
			n++
			for _, form := range []string{word, strings.ToUpper(word), " " + word + "\n"} {
				if got, ok := ParseSeverity(form); got != want || !ok {
					t.Errorf("%q is %q, %v, want %s", form, got, ok, want)
				}
			}
		}
	}
	if n != len(severityWords) {
		t.Errorf("%d words here, %d in the table", n, len(severityWords))
	}
	if got, ok := ParseSeverity("purple"); got != "" || ok {
		t.Errorf("an unknown word is %q, %v", got, ok)
	}
}

func TestWebURLs(t *testing.T) {
	for s, want := range map[string][2]bool{ // http or https; https
		"https://a": {true, true}, "HTTPS://a/b": {true, true}, "http://a": {true, false},
		"https://": {}, "https:///a": {}, "https:a": {}, "ftp://a": {}, "": {}, "a": {}, "httpsx://a": {},
	} {
		if got := isWebURL(s); got != want[0] {
			t.Errorf("isWebURL(%q) = %v", s, got)
		}
		if got := httpsURL(s); (got != "") != want[1] || want[1] && !strings.HasPrefix(got, "https://") {
			t.Errorf("httpsURL(%q) = %q", s, got)
		}
	}
	for year, want := range map[int]bool{-1: false, 0: true, 1: true, 9999: true, 10000: false} {
		if got := fourDigitYear(time.Date(year, 7, 1, 0, 0, 0, 0, time.UTC)); got != want {
			t.Errorf("the year %d can be written: %v", year, got)
		}
	}
	if !fourDigitYear(time.Time{}) {
		t.Error("no time is left out")
	}
}

func TestDedupKeyOfParts(t *testing.T) {
	for want, parts := range map[string][]string{
		"a/b": {"a", "b"}, `a\/b`: {"a/b"}, `a\\/b`: {`a\`, "b"}, "a": {"a"},
		hashKey(strings.Repeat("k", 300), strings.Repeat("k", 300)): {strings.Repeat("k", 300)},
	} {
		if got, err := DedupKey(parts...); got != want || err != nil {
			t.Errorf("DedupKey(%q) = %q, %v, want %q", parts, got, err, want)
		}
	}
	if got := hashKey(strings.Repeat("k", 300), "x"); len(got) != 255 || got[190] != '~' {
		t.Errorf("the key of a long one is %q", got)
	}
	_, err := DedupKey("a", " ", "b")
	if want := "pagerduty: dedup key: part 2 of 3 is blank; alerts that have nothing in common " +
		"would share the key"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// An acknowledge or resolve without any field of the payload is sent without one.
func TestBareEvents(t *testing.T) {
	if bare := (&Event{Action: ActionResolve, DedupKey: "k", Client: "c"}); !bare.bare() {
		t.Errorf("%+v has a payload", bare)
	}
	if (&Event{Action: ActionTrigger}).bare() {
		t.Error("a trigger has no payload")
	}
	for _, ev := range []*Event{{Summary: "s"}, {Source: "s"}, {Severity: "info"},
		{Timestamp: time.Unix(1, 0)}, {Component: "c"}, {Group: "g"}, {Class: "c"},
		{Details: map[string]any{"a": 1}}} {
		ev.Action = ActionResolve
		if ev.bare() {
			t.Errorf("%+v has no payload", ev)
		}
	}
}
