package pagerduty_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

func withSummary(summary string) *pagerduty.Event {
	ev := trigger("a")
	ev.Summary = summary
	return ev
}

func TestFact20LongSummaryIsCut(t *testing.T) {
	for n := 1025; n <= 1124; n++ {
		s := send(t, pagerduty.Options{}, withSummary(strings.Repeat("a", n)))
		want := strings.Repeat("a", 1023) + "…"
		if s.payload()["summary"] != want || !s.repaired("payload.summary") {
			t.Fatalf("%d characters: sent %d bytes, Repairs = %v", n, len(s.payload()["summary"].(string)),
				s.result.Repairs)
		}
	}
}

// PagerDuty does not define "characters". The text that is sent has at most 1024 by every
// definition that allows Chinese text its full length.
func TestFact21SummaryAtTheLimit(t *testing.T) {
	for name, test := range map[string]struct {
		summary string
		whole   bool
	}{
		"letters":  {strings.Repeat("a", 1024), true},
		"CJK":      {strings.Repeat("中", 1024), true},
		"emoji":    {strings.Repeat("🙂", 1024), false}, // 2048 UTF-16 units
		"emoji/2":  {strings.Repeat("🙂", 512), true},
		"CJK + 1":  {strings.Repeat("中", 1025), false},
		"combined": {strings.Repeat("e\u0301", 600), false},
	} {
		s := send(t, pagerduty.Options{}, withSummary(test.summary))
		got := s.payload()["summary"].(string)
		if (got == test.summary) != test.whole || s.repaired("payload.summary") == test.whole {
			t.Errorf("%s: %d runes sent, Repairs = %v", name, utf8.RuneCountInString(got), s.result.Repairs)
		}
		if units := len(utf16.Encode([]rune(got))); units > 1024 || !test.whole && units < 1022 {
			t.Errorf("%s: %d UTF-16 units sent", name, units)
		}
	}
}

func TestFact27SeverityIsMapped(t *testing.T) {
	tests := []struct{ given, fallback, want pagerduty.Severity }{
		{"critical", "", "critical"},
		{"error", "", "error"},
		{"warning", "", "warning"},
		{"info", "", "info"},
		{"CRITICAL", "", "critical"},
		{" Warning ", "", "warning"},
		{"invalid-severity", "", "error"},
		{"invalid-severity", "warning", "warning"},
		{"", "", "error"},
		{"", "info", "info"},
		{"  ", "critical", "critical"},
		{"none", "", "info"},
		{"high", "", "error"},
		{"low", "", "info"},
		{"fatal", "", "critical"},
		{"medium", "", "warning"},
		{"P1", "", "critical"},
	}
	for _, test := range tests {
		ev := trigger("a")
		ev.Severity = test.given
		s := send(t, pagerduty.Options{DefaultSeverity: test.fallback}, ev)
		if got := s.payload()["severity"]; got != string(test.want) {
			t.Errorf("%q with default %q sent as %v, want %s", test.given, test.fallback, got, test.want)
		}
		if s.repaired("payload.severity") == (test.given == test.want) {
			t.Errorf("%q: Repairs = %v", test.given, s.result.Repairs)
		}
	}
}

func TestFact28UselessLinksAndImagesAreLeftOut(t *testing.T) {
	ev := trigger("a")
	ev.Links = []pagerduty.Link{
		{Href: "https://example.com/1", Text: "one"}, {Text: "no href"}, {Href: " \t"},
		{Href: "http://example.com/2"}, {Href: " https://example.com/3\n"},
	}
	ev.Images = []pagerduty.Image{
		{Src: "https://example.com/1.png"}, {Href: "https://example.com", Alt: "no src"},
		{Src: "http://example.com/2.png"},
		{Src: "HTTPS://example.com/3.png", Href: "https://example.com", Alt: "three"}, {Src: "https://"},
		{Src: "ftp://example.com"}, {Src: "https://example.com/4.png", Href: "mailto:a@example.com"},
	}
	s := send(t, pagerduty.Options{}, ev)
	links := []any{
		map[string]any{"href": "https://example.com/1", "text": "one"},
		map[string]any{"href": "http://example.com/2"},
		map[string]any{"href": "https://example.com/3"},
	}
	if diff := cmp.Diff(any(links), s.body["links"]); diff != "" {
		t.Errorf("links: (-want +got)\n%s", diff)
	}
	images := []any{
		map[string]any{"src": "https://example.com/1.png"},
		map[string]any{"src": "https://example.com/3.png", "href": "https://example.com", "alt": "three"},
		map[string]any{"src": "https://example.com/4.png"},
	}
	if diff := cmp.Diff(any(images), s.body["images"]); diff != "" {
		t.Errorf("images: (-want +got)\n%s", diff)
	}
	if !s.repaired("links") || !s.repaired("images") {
		t.Errorf("Repairs = %v", s.result.Repairs)
	}
}

// What is left out of an image is said once.
func TestHrefOfAnImageIsLeftOut(t *testing.T) {
	ev := trigger("a")
	ev.Images = []pagerduty.Image{{Src: "https://example.com/1.png", Href: "mailto:a@example.com"}}
	s := send(t, pagerduty.Options{}, ev)
	want := []pagerduty.Repair{
		{Field: "images", Change: "an href that is not http or https left out"},
	}
	if diff := cmp.Diff(want, s.result.Repairs); diff != "" {
		t.Errorf("Repairs: (-want +got)\n%s", diff)
	}
}

func TestFact31OddTimestamps(t *testing.T) {
	tests := []struct {
		name string
		time time.Time
		want any
	}{
		{"none", time.Time{}, nil},
		{"milliseconds", time.Date(2026, 3, 4, 5, 6, 7, 89_999_999, time.UTC),
			"2026-03-04T05:06:07.089Z"},
		{"another zone", time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("", 8*3600)),
			"2026-03-03T21:06:07.000Z"},
		{"hour of one digit", time.Date(2021, 10, 22, 5, 1, 32, 0, time.UTC), "2021-10-22T05:01:32.000Z"},
		{"year of five digits", time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), nil},
		{"before the era", time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), nil},
	}
	for _, test := range tests {
		ev := trigger("a")
		ev.Timestamp = test.time
		s := send(t, pagerduty.Options{}, ev)
		if got := s.payload()["timestamp"]; got != test.want {
			t.Errorf("%s: sent %v, want %v", test.name, got, test.want)
		}
		if want := test.want == nil && !test.time.IsZero(); s.repaired("payload.timestamp") != want {
			t.Errorf("%s: Repairs = %v", test.name, s.result.Repairs)
		}
	}
}

func TestFact36DedupKeyFits(t *testing.T) {
	sentAs := func(key string) string {
		s := send(t, pagerduty.Options{}, trigger(key))
		got, _ := s.body["dedup_key"].(string)
		if got != s.result.DedupKey {
			t.Errorf("sent %q, Result.DedupKey %q", got, s.result.DedupKey)
		}
		if units := len(utf16.Encode([]rune(got))); units > 255 {
			t.Errorf("sent %d UTF-16 units", units)
		}
		return got
	}
	for _, whole := range []string{"a", strings.Repeat("k", 255), strings.Repeat("键", 255),
		"磁盘/db-1"} {
		if got := sentAs(whole); got != whole {
			t.Errorf("%q sent as %q", whole, got)
		}
	}
	long := strings.Repeat("k", 254)
	seen := map[string]string{}
	for _, key := range []string{long + "ab", long + "ac", long + "abc", strings.Repeat("🙂", 128),
		"a\x00b", "a\x01b", "a\xffb", "a\xfeb"} {
		got := sentAs(key)
		if got == key || got != sentAs(key) {
			t.Errorf("%q sent as %q, and not always", key, got)
		}
		if other, taken := seen[got]; taken {
			t.Errorf("%q and %q are both sent as %q", key, other, got)
		}
		seen[got] = key
	}
	if got := sentAs(long + "ab"); !strings.HasPrefix(got, "kkkkkkkkkkkkkkkk") {
		t.Errorf("%q cannot be recognized", got)
	}
	resolved := send(t, pagerduty.Options{}, resolve(long+"ab")).result.DedupKey
	if resolved != sentAs(long+"ab") {
		t.Errorf("the resolve goes to %q", resolved)
	}
}

func TestFact36DedupKeyOfBlankParts(t *testing.T) {
	for _, parts := range [][]string{{}, {""}, {" ", "\t"}, {"a", ""}, {"", "a"}, {"\u3000"}} {
		if key, err := pagerduty.DedupKey(parts...); err == nil {
			t.Errorf("DedupKey(%q) = %q; want an error", parts, key)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringMatching(`[a\\/中]{1,100}`)
		one := rapid.SliceOfN(part, 1, 4).Draw(t, "one")
		other := rapid.SliceOfN(part, 1, 4).Draw(t, "other")
		first, err1 := pagerduty.DedupKey(one...)
		second, err2 := pagerduty.DedupKey(other...)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if (first == second) != (cmp.Diff(one, other) == "") {
			t.Fatalf("DedupKey(%q) = %q, DedupKey(%q) = %q", one, first, other, second)
		}
		if n := utf8.RuneCountInString(first); n > 255 {
			t.Fatalf("%d characters", n)
		}
	})
}

// A trigger without a key would page twice if its answer were lost.
func TestTriggerWithoutDedupKeyGetsOne(t *testing.T) {
	first := send(t, pagerduty.Options{}, trigger(""))
	second := send(t, pagerduty.Options{}, trigger(" "))
	if first.body["dedup_key"] == "" || first.result.DedupKey != first.body["dedup_key"] ||
		!first.repaired("dedup_key") {
		t.Errorf("sent %v, result %+v", first.body["dedup_key"], first.result)
	}
	if first.result.DedupKey == second.result.DedupKey {
		t.Error("two alerts share a made-up key")
	}
}

func TestBlankFields(t *testing.T) {
	ev := &pagerduty.Event{Action: pagerduty.ActionTrigger, DedupKey: "a", Summary: "  ",
		Source: "\t", Class: "disk"}
	s := send(t, pagerduty.Options{DefaultSource: "relay-1"}, ev)
	if s.payload()["summary"] != "(no summary) disk" || s.payload()["source"] != "relay-1" {
		t.Errorf("payload = %v", s.payload())
	}
	if !s.repaired("payload.summary") || !s.repaired("payload.source") {
		t.Errorf("Repairs = %v", s.result.Repairs)
	}
}

// The source of an event without one is the host that sends it.
func TestDefaultSourceIsTheHost(t *testing.T) {
	want, err := os.Hostname()
	if err != nil || want == "" {
		want = "unknown"
	}
	for _, given := range []string{"", " "} {
		ev := trigger("a")
		ev.Source = ""
		if got := send(t, pagerduty.Options{DefaultSource: given}, ev).payload()["source"]; got != want {
			t.Errorf("DefaultSource %q: the source is %q, want %q", given, got, want)
		}
	}
}

// The first of these that is not blank takes the place of a blank summary.
func TestBlankSummaryIsMadeOfOtherFields(t *testing.T) {
	ev := pagerduty.Event{Action: pagerduty.ActionTrigger, DedupKey: "key", Source: "host-1",
		Group: "shop", Component: "disk", Class: "usage"}
	for _, other := range []*string{&ev.Class, &ev.Component, &ev.Group, &ev.Source, &ev.DedupKey} {
		sent := ev
		s := send(t, pagerduty.Options{}, &sent)
		if want := "(no summary) " + *other; s.payload()["summary"] != want ||
			!s.repaired("payload.summary") {
			t.Errorf("the summary is %q, repairs %v, want %q", s.payload()["summary"], s.result.Repairs,
				want)
		}
		*other = " "
	}
}

func TestControlCharactersAndInvalidUTF8(t *testing.T) {
	odd := "a\x00b\x1b[31m\xffc\nd"
	ev := trigger("a")
	ev.Summary, ev.Source, ev.Component, ev.Group, ev.Class, ev.Client = odd, odd, odd, odd, odd, odd
	ev.Details = map[string]any{odd: odd, "n": []any{odd}}
	s := send(t, pagerduty.Options{}, ev)
	const line, text = "ab[31m\ufffdc d", "ab[31m\ufffdc\nd"
	for _, field := range []string{"summary", "source", "component", "group", "class"} {
		if s.payload()[field] != line || !s.repaired("payload."+field) {
			t.Errorf("%s sent as %q", field, s.payload()[field])
		}
	}
	if s.body["client"] != line {
		t.Errorf("client sent as %q", s.body["client"])
	}
	if diff := cmp.Diff(map[string]any{text: text, "n": []any{text}}, s.details()); diff != "" {
		t.Errorf("details: (-want +got)\n%s", diff)
	}
}

type panicky struct{}

func (panicky) MarshalJSON() ([]byte, error) { panic("no") }

// One value that cannot be written must not lose the event.
func TestDetailsThatCannotBeWritten(t *testing.T) {
	loop := map[string]any{}
	loop["self"] = loop
	list := make([]any, 1)
	list[0] = list
	for name, value := range map[string]any{
		"NaN": math.NaN(), "infinity": math.Inf(1), "channel": make(chan int), "function": func() {},
		"complex": complex(1, 2), "itself": loop, "list of itself": list, "panics": panicky{},
		"small NaN": float32(math.NaN()),
	} {
		s := send(t, pagerduty.Options{}, withDetails(map[string]any{"odd": value, "good": "kept"}))
		if s.details()["good"] != "kept" || !s.repaired("payload.custom_details") {
			t.Errorf("%s: details %.200v, Repairs %v", name, fmt.Sprint(s.details()), s.result.Repairs)
		}
	}
}

// An event that cannot be repaired is an error, and nothing is sent.
func TestUnsendableEvents(t *testing.T) {
	tests := []struct {
		ev   *pagerduty.Event
		says string
	}{
		{nil, "nil"},
		{&pagerduty.Event{}, "event_action"},
		{&pagerduty.Event{Action: "Trigger", DedupKey: "a", Summary: "s"}, "event_action"},
		{&pagerduty.Event{Action: "delete", DedupKey: "a"}, "event_action"},
	}
	for _, test := range tests {
		fake := pagerdutytest.NewTransport()
		_, err := newClient(t, &pagerduty.Options{Transport: fake}).Send(t.Context(), test.ev)
		e, ok := errors.AsType[*pagerduty.Error](err)
		if !ok || !e.Permanent() || e.Answered() || !strings.Contains(e.Error(), test.says) ||
			len(fake.Requests()) != 0 {
			t.Errorf("Send(%+v) = %v after %d requests", test.ev, err, len(fake.Requests()))
		}
	}
	for _, ev := range []*pagerduty.ChangeEvent{nil, {}, {Summary: " "}} {
		fake := pagerdutytest.NewTransport()
		_, err := newClient(t, &pagerduty.Options{Transport: fake}).SendChange(t.Context(), ev)
		if e, ok := errors.AsType[*pagerduty.Error](err); !ok || !e.Permanent() ||
			len(fake.Requests()) != 0 {
			t.Errorf("SendChange(%+v) = %v after %d requests", ev, err, len(fake.Requests()))
		}
	}
}
