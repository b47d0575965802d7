package main

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden file of the toy's changes anew")

// toy loads the package in testdata, by the path that it has from the root of the module.
func toy(t *testing.T) *source {
	sources, err := load(root, []string{"internal/mutate/testdata/toy"})
	if err != nil || len(sources) != 1 {
		t.Fatalf("%d packages, %v", len(sources), err)
	}
	return sources[0]
}

// Every change to the toy that compiles, in the form in which survivors are shown.
func TestOperators(t *testing.T) {
	s := toy(t)
	var b strings.Builder
	for _, c := range s.changes() {
		if s.compiles(&c) {
			b.WriteString(c.kind + "\n" + c.key(s.texts[c.file]) + "\n")
		}
	}
	golden := filepath.Join("testdata", "toy.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("look at what changed and run go test -update; now it is\n%s", b.String())
	}
}

func TestDraw(t *testing.T) {
	s := toy(t)
	all := regexp.MustCompile("")
	drawn := func(n int, seed uint64, wanted *regexp.Regexp) (names []string) {
		for _, c := range draw([]*source{s}, nil, n, seed, wanted) {
			names = append(names, c.key(s.texts[c.file]))
		}
		return names
	}
	one, again, two := drawn(20, 1, all), drawn(20, 1, all), drawn(20, 2, all)
	switch {
	case len(one) != 20:
		t.Errorf("%d changes, want 20", len(one))
	case !reflect.DeepEqual(one, again):
		t.Error("one seed draws two lists")
	case reflect.DeepEqual(one, two):
		t.Error("two seeds draw one list")
	case !reflect.DeepEqual(one[:10], drawn(10, 1, all)):
		t.Error("fewer changes are not the first of more")
	}
	for _, name := range drawn(1000, 1, regexp.MustCompile(`counter\.add`)) {
		if !strings.Contains(name, " counter.add\n") {
			t.Errorf("%s was not wanted", name)
		}
	}
}

// What the toy's test sees is caught, and what it does not see is not.
func TestHunt(t *testing.T) {
	t.Chdir(root)
	sources, err := load(".", []string{"internal/mutate/testdata/toy"})
	if err != nil {
		t.Fatal(err)
	}
	s := sources[0]
	for _, c := range s.changes() {
		want, played := map[string]string{
			"- c.n++\n+ _ = c\n":                  "toy.TestAdd",
			"- c.list = room\n+ _, _ = c, room\n": "",
		}[c.diff(s.texts[c.file])]
		if !played {
			continue
		}
		if got, err := hunt(c.dir, c.file, c.apply(s.texts[c.file]), nil, nil); got != want ||
			err != nil {
			t.Errorf("%s: caught by %q, want %q, %v", &c, got, want, err)
		}
	}
}

func TestHangIsCaught(t *testing.T) {
	got, err := firstFailure([]byte(`{"Action":"run","Test":"TestLoop"}{"Action":"output","Test":"TestLoop","Output":"panic: test timed out after 1s\n"}{"Action":"fail"}`))
	if got != "TestLoop" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAccepted(t *testing.T) {
	const good = "# a comment\n\nguance f\n- a\n+ b\nbecause\nof this\n\nguance g\n- a\nno\n"
	got, err := accepted(good)
	if want := map[string]string{"guance f\n- a\n+ b\n": "because\nof this",
		"guance g\n- a\n": "no"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	for text, want := range map[string]string{
		"guance f\n- a\n+ b\n":                       "no reason",
		"guance f\nwhy\n":                            "not followed",
		"guance f\n- a\nwhy\n\nguance f\n- a\nagain": "twice",
	} {
		if _, err := accepted(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error that holds %q", text, err, want)
		}
	}
}

// What is accepted has to be in the code, or the next who reads the list is misled.
func TestAcceptedChangesExist(t *testing.T) {
	reasons, err := accepted(acceptedText)
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for key := range reasons {
		if dir, _, _ := strings.Cut(key, " "); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 {
		t.Skip("nothing is accepted")
	}
	sources, err := load(root, dirs)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range stale(reasons, sources) {
		t.Errorf("accepted.txt lists what the code does not have any more:\n%s", key)
	}
	if got := stale(map[string]string{dirs[0] + " noSuchFunction\n- a\n": "why"},
		sources); len(got) != 1 {
		t.Errorf("%d changes of a function that does not exist are stale, want 1", len(got))
	}
}
