package pagerduty

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// The limit of a line is exact, and what was cut is said in characters; of a URL nothing is kept.
func TestCutLines(t *testing.T) {
	fits, long := strings.Repeat("a", maxLine), strings.Repeat("b", maxLine+1)
	url := "https://" + strings.Repeat("c", maxURL-len("https://"))
	tr := trimmer{lines: map[string]*string{"client": &fits, "payload.group": &long}, url: &url}
	tr.cutLines(0)
	if fits != strings.Repeat("a", 1024) || long != strings.Repeat("b", 1023)+"…" ||
		len(url) != 2048 {
		t.Errorf("%d, %d and %d bytes are left", len(fits), len(long), len(url))
	}
	url += "c"
	tr.cutLines(0)
	want := []Repair{{"client_url", "left out: 2049 bytes"},
		{"payload.group", "cut from 1025 to 1024 characters"}}
	if got := tr.repairs(); url != "" || !slices.Equal(got, want) {
		t.Errorf("the URL is %q, repairs %q", url, got)
	}
	(&trimmer{}).cutLines(0) // no URL
}

// A field that is cut twice is one repair, from its first size to its last.
func TestCutIsToldOnce(t *testing.T) {
	var tr trimmer
	tr.cut("a", 100, 50, "bytes")
	tr.cut("b", 90, 10, "bytes")
	tr.cut("a", 50, 20, "bytes")
	want := []Repair{{"a", "cut from 100 to 20 bytes"}, {"b", "cut from 90 to 10 bytes"}}
	if got := tr.repairs(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Sixteen cuts are listed, the largest first, and the rest is counted.
func TestCutsAreBounded(t *testing.T) {
	for _, n := range []int{15, 16, 17, 30} {
		var tr trimmer
		for i := range n {
			tr.cut(fmt.Sprint(i), 1000, 900-i, "bytes")
		}
		got := tr.repairs()
		if len(got) != min(n, 17) || got[0] != (Repair{fmt.Sprint(n - 1),
			fmt.Sprintf("cut from 1000 to %d bytes", 901-n)}) {
			t.Errorf("%d cuts: %d repairs, the first is %q", n, len(got), got[0])
		}
		if n > 16 && got[16] != (Repair{"payload.custom_details",
			fmt.Sprintf("%d smaller cuts more", n-16)}) {
			t.Errorf("%d cuts: the last repair is %q", n, got[16])
		}
	}
	long := cut{field: strings.Repeat("f", 200), from: 2, to: 1, unit: "bytes"}.repair()
	if want := strings.Repeat("f", 127) + "…"; long.Field != want {
		t.Errorf("a long name of a field is %q", long.Field)
	}
}

// The longest texts are cut to one length, the greatest that saves enough.
func TestCommonLength(t *testing.T) {
	for _, test := range []struct {
		sizes      []int
		over, want int
	}{
		{[]int{100, 10}, 30, 70}, {[]int{100, 10}, 90, 10}, {[]int{100, 10}, 92, 9},
		{[]int{100, 100}, 50, 75}, {[]int{100, 60}, 40, 60}, {[]int{100, 60}, 42, 59},
		{[]int{100, 60, 60}, 43, 59}, {[]int{100}, 100, 0}, {[]int{100}, 101, 0}, {nil, 5, 0},
		{[]int{5, 5, 5}, 16, 0},
	} {
		var leaves []leaf
		for _, n := range test.sizes {
			leaves = append(leaves, leaf{size: n})
		}
		if got := commonLength(leaves, test.over); got != test.want {
			t.Errorf("%v, %d over: %d, want %d", test.sizes, test.over, got, test.want)
		}
	}
}

// Texts at any depth are cut, the longest first, none to less than 64 bytes; what is smaller stays.
func TestCutValues(t *testing.T) {
	make := func() map[string]any {
		return map[string]any{
			"list": []any{strings.Repeat("a", 300), map[string]any{"in": strings.Repeat("b", 200)}, 5},
			"text": strings.Repeat("c", 100), noteField: strings.Repeat("n", 1000),
		}
	}
	for over, want := range map[int]struct {
		a, b, c int
		repairs []string
	}{
		-1:   {300, 200, 100, nil},
		0:    {300, 200, 100, nil},
		1:    {299, 200, 100, []string{"list: cut from 300 to 299 bytes"}},
		100:  {200, 200, 100, []string{"list: cut from 300 to 200 bytes"}},
		300:  {100, 100, 100, []string{"list: cut from 500 to 200 bytes"}},
		1000: {64, 64, 64, []string{"list: cut from 500 to 128 bytes", "text: cut from 100 to 64 bytes"}},
	} {
		details := make()
		tr := trimmer{details: &details, note: noteField}
		tr.cutValues(over)
		list := details["list"].([]any)
		size := func(v any) int { return measure(v.(string), encoded) }
		if a, b, c := size(list[0]), size(list[1].(map[string]any)["in"]), size(details["text"]); a !=
			want.a || b != want.b || c != want.c || list[2] != 5 || size(details[noteField]) != 1000 {
			t.Errorf("%d over: %d, %d and %d bytes are left, want %+v", over, a, b, c, want)
		}
		var repairs []string
		for _, r := range tr.repairs() {
			repairs = append(repairs, strings.TrimPrefix(r.String(), "payload.custom_details."))
		}
		if !slices.Equal(repairs, want.repairs) {
			t.Errorf("%d over: repairs %q, want %q", over, repairs, want.repairs)
		}
	}
	(&trimmer{}).cutValues(5) // no details
}

// The largest fields go first, only as many as must, and never the note.
func TestDropFields(t *testing.T) {
	make := func() map[string]any {
		return map[string]any{"a": strings.Repeat("x", 50), "b": []any{1, 2}, "longer name": 7,
			noteField: strings.Repeat("n", 1000)}
	}
	size := func(m map[string]any) int {
		text, _ := json.Marshal(m)
		return len(text)
	}
	for over, want := range map[int][]string{
		0:   {"a", "b", "longer name"},
		1:   {"b", "longer name"},
		57:  {"b", "longer name"}, // "a":"x…", is 57 bytes
		58:  {"b"},
		73:  {"b"}, // "longer name":7, is 16 bytes
		74:  nil,
		999: nil,
	} {
		details := make()
		before := size(details)
		tr := trimmer{details: &details, note: noteField}
		tr.dropFields(over)
		left := slices.DeleteFunc(slices.Sorted(func(yield func(string) bool) {
			for field := range details {
				if !yield(field) {
					return
				}
			}
		}), func(field string) bool { return field == noteField })
		if !slices.Equal(left, want) || details[noteField] == nil {
			t.Errorf("%d over: %q are left, want %q", over, left, want)
		}
		if saved := before - size(details); saved < over && len(left) > 0 {
			t.Errorf("%d over: saved %d", over, saved)
		}
		if over == 1 && !slices.Equal(tr.repairs(),
			[]Repair{{"payload.custom_details.a", "left out: 52 bytes"}}) {
			t.Errorf("repairs %q", tr.repairs())
		}
	}
	(&trimmer{}).dropFields(5) // no details
}

func TestDropLargest(t *testing.T) {
	weigh := func(s string) int { return len(s) }
	items := []string{"aa", "b", "cccc", "dd"}
	for over, want := range map[int][]string{
		-1: nil, 0: nil, 1: {"cccc"}, 4: {"cccc"}, 5: {"aa", "cccc"}, 6: {"aa", "cccc"},
		7: {"aa", "cccc", "dd"}, 9: items, 100: items,
	} {
		kept, dropped := dropLargest(items, over, weigh)
		if !slices.Equal(dropped, want) {
			t.Errorf("%d over: %q dropped, want %q", over, dropped, want)
		}
		for _, item := range items {
			if slices.Contains(kept, item) == slices.Contains(dropped, item) {
				t.Errorf("%d over: %q is kept and dropped, or neither", over, item)
			}
		}
	}
	links := []Link{{Href: "https://a"}, {Href: "https://bbbb"}}
	tr := trimmer{links: &links}
	tr.dropLinks(1)
	tr.dropImages(1) // none
	if want := []Repair{{"links", "cut from 2 to 1 links"}}; len(links) != 1 ||
		links[0].Href != "https://a" || !slices.Equal(tr.repairs(), want) {
		t.Errorf("%v are left, repairs %q", links, tr.repairs())
	}
	tr.dropLinks(0)
	if len(links) != 1 || len(tr.cuts) != 1 {
		t.Errorf("nothing over: %v are left", links)
	}
}

// The note names the cuts. Without a cut there is none, and without details neither.
func TestWriteNote(t *testing.T) {
	var details map[string]any
	tr := trimmer{details: &details, note: noteField}
	tr.writeNote()
	if details != nil {
		t.Errorf("a note of nothing: %v", details)
	}
	tr.cut("payload.custom_details.log", 9, 5, "bytes")
	tr.cut("links", 3, 0, "links")
	tr.writeNote()
	want := map[string]any{noteField: "Cut to fit PagerDuty's limit of event size: " +
		"log: cut from 9 to 5 bytes; links: left out: 3 links"}
	if !reflect.DeepEqual(details, want) {
		t.Errorf("%v, want %v", details, want)
	}
	(&trimmer{cuts: tr.cuts}).writeNote()
}

// An event that cannot fit says by how much.
func TestNothingIsLeftToCut(t *testing.T) {
	tries := 0
	tr := trimmer{limit: 10, encode: func() ([]byte, error) { tries++; return make([]byte, 25), nil }}
	_, _, err := tr.fit(make([]byte, 30))
	if tries != 10 {
		t.Errorf("%d tries, want two of each of five steps", tries)
	}
	const want = "pagerduty: event has 25 bytes after all cuts, 15 over the limit; nothing was sent" +
		"; the event itself must change"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	calls := 0
	tr.encode = func() ([]byte, error) { calls++; return make([]byte, 12-calls), nil }
	if body, _, err := tr.fit(make([]byte, 30)); len(body) != 10 || calls != 2 || err != nil {
		t.Errorf("%d bytes after %d steps, %v", len(body), calls, err)
	}
}

func TestCloneTree(t *testing.T) {
	tree := map[string]any{"list": []any{map[string]any{"a": 1}, "x"}, "n": 5}
	copied := cloneTree(tree).(map[string]any)
	if !reflect.DeepEqual(tree, copied) {
		t.Errorf("%v, want %v", copied, tree)
	}
	copied["list"].([]any)[0].(map[string]any)["a"] = 2
	copied["list"].([]any)[1] = "y"
	if !reflect.DeepEqual(tree, map[string]any{"list": []any{map[string]any{"a": 1}, "x"}, "n": 5}) {
		t.Errorf("the original is %v", tree)
	}
}
