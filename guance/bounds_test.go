package guance_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
)

// The limits are a promise to users of the package.
func TestBoundsInFigures(t *testing.T) {
	for name, test := range map[string]struct{ got, want int }{
		"MaxBodySize": {guance.MaxBodySize, 16 * 1024 * 1024},
		"MaxDepth":    {guance.MaxDepth, 64},
		"MaxEvents":   {guance.MaxEvents, 1000},
	} {
		if test.got != test.want {
			t.Errorf("%s is %d, want %d", name, test.got, test.want)
		}
	}
}

// Depth is counted across strings of any content, and brackets inside strings do not count.
func TestDepthBehindStrings(t *testing.T) {
	deep := strings.Repeat("[", 65) + strings.Repeat("]", 65)
	for _, s := range []string{`""`, `"\""`, `"\\"`, `"\\\""`, `"a\\"`, `"\u005c"`, `"]]]]"`, `"é"`,
		`"\\\\"`} {
		for _, body := range []string{
			`{` + s + `:` + deep + `}`, `{"a":` + s + `,"b":` + deep + `}`, `[` + s + `,` + deep +
				`]`, `[` + s + `,` + s + `,` + deep + `]`,
		} {
			_, err := guance.Decode([]byte(body), "")
			if limit, ok := errors.AsType[*guance.LimitError](err); !ok || limit.Limit != guance.LimitDepth {
				t.Errorf("%.30s…: %v, want the bound on depth", body, err)
			}
		}
	}
	for _, s := range []string{`"[`, `"\"[`, `"\\\"[`, `"[\\\\\"`} {
		body := `{"df_title":` + s + strings.Repeat("[{", 100) + `"}`
		if _, err := guance.Decode([]byte(body), ""); err != nil {
			t.Errorf("%.30s…: %v although the brackets are text", body, err)
		}
	}
}

// Invalid has a limited number of texts of limited length.
func TestNotesAreBounded(t *testing.T) {
	var members []string
	for i := range 100 {
		name := fmt.Sprintf("%q", strings.Repeat("é", 100)+fmt.Sprint(i))
		members = append(members, name+":1", name+":2")
	}
	e := one(t, `{"df_status":"ok",`+strings.Join(members, ",")+`}`, "")
	if len(e.Invalid) != 32 {
		t.Errorf("%d notes, want 32", len(e.Invalid))
	}
	if got, want := e.Invalid[0], strings.Repeat("é",
		64)+": repeated; the first one counts"; got != want {
		t.Errorf("the first note is %q, want %q", got, want)
	}
}
