package pagerduty_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// maxBody is PagerDuty's 512 KB, by the smaller meaning of KB.
const maxBody = 512_000

// sent is an event as it arrived.
type sent struct {
	size   int
	body   map[string]any
	result *pagerduty.Result
}

func (s *sent) payload() map[string]any {
	p, _ := s.body["payload"].(map[string]any)
	return p
}

func (s *sent) details() map[string]any {
	d, _ := s.payload()["custom_details"].(map[string]any)
	return d
}

// repaired reports whether a repair names field.
func (s *sent) repaired(field string) bool {
	for _, r := range s.result.Repairs {
		if r.Field == field {
			return true
		}
	}
	return false
}

// send sends ev through a client with opts and returns what the fake received.
func send(t testing.TB, opts pagerduty.Options, ev *pagerduty.Event) *sent {
	t.Helper()
	fake := pagerdutytest.NewTransport()
	opts.Transport = fake
	result, err := newClient(t, &opts).Send(t.Context(), ev)
	if err != nil {
		t.Fatal(err)
	}
	return arrived(t, fake, result)
}

func arrived(t testing.TB, fake *pagerdutytest.Transport, result *pagerduty.Result) *sent {
	t.Helper()
	request := fake.Requests()[len(fake.Requests())-1]
	s := &sent{size: request.Size, result: result}
	if err := json.Unmarshal(request.Body, &s.body); err != nil {
		t.Fatal(err)
	}
	if request.Status != 202 || request.Size > maxBody {
		t.Errorf("%d bytes were answered with %d", request.Size, request.Status)
	}
	return s
}

func withDetails(details map[string]any) *pagerduty.Event {
	ev := trigger("a")
	ev.Details = details
	return ev
}

func TestFact23OversizeDetailsAreCutAndItIsSaid(t *testing.T) {
	long := strings.Repeat("a", 513_000)
	s := send(t, pagerduty.Options{},
		withDetails(map[string]any{"log": long, "host": "db-1", "count": 7}))
	log, _ := s.details()["log"].(string)
	if !strings.HasPrefix(long, strings.TrimSuffix(log, "…")) || len(log) < 510_000 {
		t.Errorf("log has %d bytes; only as much as must be should go", len(log))
	}
	if s.details()["host"] != "db-1" || s.details()["count"] != 7.0 {
		t.Errorf("what is small did not stay whole: host %v, count %v", s.details()["host"],
			s.details()["count"])
	}
	if note, _ := s.details()["_truncated"].(string); !strings.Contains(note,
		"log: cut from 513000 to") {
		t.Errorf("_truncated = %q", note)
	}
	if !s.repaired("payload.custom_details.log") {
		t.Errorf("Repairs = %v", s.result.Repairs)
	}
}

func TestFact24WhatIsLargeBesidesTheDetailsIsCutToo(t *testing.T) {
	const many = 6000
	links := make([]pagerduty.Link, many)
	images := make([]pagerduty.Image, many)
	for i := range many {
		links[i] = pagerduty.Link{Href: fmt.Sprintf("https://example.com/%d/%s", i,
			strings.Repeat("l", 100)), Text: "t"}
		images[i] = pagerduty.Image{Src: fmt.Sprintf("https://example.com/%d/%s", i,
			strings.Repeat("i", 100))}
	}
	huge := strings.Repeat("x", 600_000)
	tests := []struct {
		name   string
		change func(*pagerduty.Event)
		field  string // of a repair
	}{
		{"source", func(ev *pagerduty.Event) { ev.Source = huge }, "payload.source"},
		{"summary", func(ev *pagerduty.Event) { ev.Summary = huge }, "payload.summary"},
		{"component", func(ev *pagerduty.Event) { ev.Component = huge }, "payload.component"},
		{"client URL", func(ev *pagerduty.Event) { ev.ClientURL = "https://" + huge }, "client_url"},
		{"dedup key", func(ev *pagerduty.Event) { ev.DedupKey = huge }, "dedup_key"},
		{"links", func(ev *pagerduty.Event) { ev.Links = links }, "links"},
		{"images", func(ev *pagerduty.Event) { ev.Images = images }, "images"},
		{"many small details", func(ev *pagerduty.Event) {
			ev.Details = make(map[string]any)
			for i := range 100_000 {
				ev.Details[fmt.Sprintf("field-%06d", i)] = i
			}
		}, "payload.custom_details"},
		{"deep details", func(ev *pagerduty.Event) {
			ev.Details = map[string]any{"list": []any{map[string]any{"log": huge}, "small"}}
		}, "payload.custom_details.list"},
		{"all of it", func(ev *pagerduty.Event) {
			ev.Source, ev.Summary, ev.Component, ev.Group, ev.Class = huge, huge, huge, huge, huge
			ev.Client, ev.ClientURL, ev.Links, ev.Images = huge, huge, links, images
			ev.Details = map[string]any{"log": huge, huge: huge}
		}, "links"},
		{"a resolve without payload", func(ev *pagerduty.Event) {
			*ev = pagerduty.Event{Action: pagerduty.ActionResolve, DedupKey: "a", Client: huge, Links: links}
		}, "links"},
	}
	for _, test := range tests {
		ev := withDetails(map[string]any{"host": "db-1"})
		test.change(ev)
		s := send(t, pagerduty.Options{}, ev)
		if !s.repaired(test.field) {
			t.Errorf("%s: Repairs = %v; want one of %s", test.name, s.result.Repairs, test.field)
		}
		if len(s.result.Repairs) > 40 {
			t.Errorf("%s: %d repairs told one by one", test.name, len(s.result.Repairs))
		}
	}
}

func TestFact24LinksAndImagesGoBeforeDetailsThatAreSmall(t *testing.T) {
	ev := withDetails(map[string]any{"runbook": strings.Repeat("r", 2000)})
	for i := range 600 {
		ev.Links = append(ev.Links,
			pagerduty.Link{Href: fmt.Sprintf("https://example.com/%d", i), Text: strings.Repeat("t", 1000)})
	}
	s := send(t, pagerduty.Options{}, ev)
	if s.details()["runbook"] != ev.Details["runbook"] {
		t.Error("details were cut although the links were the trouble")
	}
	if kept := len(s.body["links"].([]any)); kept < 400 || kept == 600 {
		t.Errorf("%d of 600 links kept", kept)
	}
}

func TestFact25ExactlyTheLimitIsSentWhole(t *testing.T) {
	filled := func(n int) *pagerduty.Event {
		return withDetails(map[string]any{"log": strings.Repeat("a", n)})
	}
	rest := send(t, pagerduty.Options{}, filled(1000)).size - 1000
	whole := send(t, pagerduty.Options{}, filled(maxBody-rest))
	if whole.size != maxBody || len(whole.result.Repairs) != 0 {
		t.Errorf("%d bytes sent, Repairs = %v; want %d and none", whole.size, whole.result.Repairs,
			maxBody)
	}
	over := send(t, pagerduty.Options{}, filled(maxBody-rest+1))
	if len(over.result.Repairs) != 1 || over.size < maxBody-200 {
		t.Errorf("one byte more: %d bytes sent, Repairs = %v", over.size, over.result.Repairs)
	}
}

func TestFact26SizeIsThatOfTheEncodedBytes(t *testing.T) {
	tests := []struct {
		name, text string
		fits       bool
	}{
		{"no escapes for HTML", strings.Repeat("<&>", 150_000), true},
		{"wide letters", strings.Repeat("中", 200_000), false},
		{"wide letters that fit", strings.Repeat("中", 170_000), true},
		{"quotes", strings.Repeat(`"`, 300_000), false},
		{"line breaks", strings.Repeat("\n", 300_000), false},
		{"invalid UTF-8", strings.Repeat("\xff", 200_000), false},
	}
	for _, test := range tests {
		s := send(t, pagerduty.Options{}, withDetails(map[string]any{"log": test.text}))
		_, cut := s.details()["_truncated"]
		if cut == test.fits {
			t.Errorf("%s: %d bytes sent, cut: %t", test.name, s.size, cut)
		}
		if cut && s.size < maxBody-500 {
			t.Errorf("%s: %d bytes sent; more was cut than had to be", test.name, s.size)
		}
	}
}

// The note must not replace a field of the caller's.
func TestNoteTakesAFreeName(t *testing.T) {
	s := send(t, pagerduty.Options{},
		withDetails(map[string]any{"log": strings.Repeat("a", 600_000), "_truncated": "mine"}))
	if s.details()["_truncated"] != "mine" || s.details()["_truncated_"] == nil {
		t.Errorf("_truncated = %v, _truncated_ = %v", s.details()["_truncated"],
			s.details()["_truncated_"])
	}
}

// Only the client's copy is cut, at any depth.
func TestCallersDetailsAreLeftAlone(t *testing.T) {
	long := strings.Repeat("a", 400_000)
	details := map[string]any{"top": long, "in": map[string]any{"list": []any{long, "x"}}}
	send(t, pagerduty.Options{}, withDetails(details))
	want := map[string]any{"top": long, "in": map[string]any{"list": []any{long, "x"}}}
	if !reflect.DeepEqual(details, want) {
		t.Error("the caller's details were cut")
	}
}

// Any event is sent within the limit, and the caller's is not changed.
func TestShrinkProperties(t *testing.T) {
	text := rapid.Custom(func(t *rapid.T) string {
		unit := rapid.SampledFrom([]string{"a", "中", `"`, "\n", "🙂", "e\u0301", "\x00", "\xff"}).Draw(t,
			"unit")
		return strings.Repeat(unit, rapid.IntRange(0, 200_000).Draw(t, "length"))
	})
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		kinds := []*rapid.Generator[any]{text.AsAny(), rapid.Int().AsAny(), rapid.Bool().AsAny()}
		if depth > 0 {
			kinds = append(kinds,
				rapid.SliceOfN(value(depth-1), 0, 5).AsAny(),
				rapid.MapOfN(rapid.String(), value(depth-1), 0, 5).AsAny())
		}
		return rapid.OneOf(kinds...)
	}
	details := rapid.MapOfN(rapid.String(), value(2), 0, 8)
	rapid.Check(t, func(rt *rapid.T) {
		ev := withDetails(details.Draw(rt, "details"))
		ev.Source = text.Draw(rt, "source")
		before, err := json.Marshal(ev)
		if err != nil {
			rt.Fatal(err)
		}
		fake := pagerdutytest.NewTransport()
		_, err = newClient(t, &pagerduty.Options{Transport: fake}).Send(t.Context(), ev)
		if err != nil {
			rt.Fatal(err)
		}
		if size := fake.Requests()[0].Size; size > maxBody {
			rt.Fatalf("sent %d bytes", size)
		}
		after, err := json.Marshal(ev)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(string(before), string(after)); diff != "" {
			rt.Fatal("the caller's event was changed")
		}
	})
}

// An event is encoded once, however many attempts it needs.
func TestCutOnceForAllAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Script(pagerdutytest.Fault{Status: 503})
		ev := withDetails(map[string]any{"log": strings.Repeat("a", 600_000)})
		result, err := newClient(t, &pagerduty.Options{Transport: fake}).Send(t.Context(), ev)
		if err != nil {
			t.Fatal(err)
		}
		first, second := fake.Requests()[0], fake.Requests()[1]
		if diff := cmp.Diff(string(first.Body), string(second.Body)); diff != "" ||
			len(result.Repairs) != 1 {
			t.Errorf("the attempts differ, or the cut is told twice: %v", result.Repairs)
		}
	})
}
