package relay_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/guance-relay/guance-relay/"

// arrows are the imports within the module that each package may have; its tests may have more.
var arrows = map[string][]string{
	"guance":            {},
	"guance/guancetest": {"guance"},
	"pagerduty":         {"internal/ratewindow", "internal/secretfile"},
	// a wrong JSON tag in the client must not be cancelled by the same tag in the fake
	"pagerduty/pagerdutytest": {},
	"relay": {"guance", "internal/ratewindow", "relay/internal/schedule", "relay/internal/webhook",
		"relay/store"},
	"relay/console":               {"guance", "relay", "relay/store"},
	"relay/internal/schedule":     {"guance", "relay/store"},
	"relay/internal/storemetrics": {},
	"relay/internal/webhook":      {"guance"}, // neither the relay nor the store
	"relay/memstore":              {"guance", "relay/store"},
	"relay/store":                 {"guance"},
	"internal/mutate":             {},
	"internal/secretfile":         {},
	"internal/ratewindow":         {},
	"internal/simulate": {"guance", "guance/guancetest", "pagerduty", "pagerduty/pagerdutytest",
		"relay", "relay/memstore", "relay/pagerdutysink", "relay/relaytest", "relay/store"},
	"internal/torn":       {},
	"relay/boltstore":     {"guance", "relay/internal/storemetrics", "relay/store"},
	"relay/pagerdutysink": {"guance", "pagerduty", "relay"},
	"relay/relaytest": {"guance", "guance/guancetest", "relay", "relay/memstore",
		"relay/store"},
	"relay/storetest":   {"guance", "relay/store"},
	"relay/webhooksink": {"guance", "relay"},
}

func TestImportArrows(t *testing.T) {
	for dir, allowed := range arrows {
		files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		documented := false
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil,
				parser.ImportsOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			documented = documented || f.Doc != nil
			for _, spec := range f.Imports {
				path, _ := strconv.Unquote(spec.Path.Value)
				switch inner, ok := strings.CutPrefix(path, module); {
				case ok && !slices.Contains(allowed, inner):
					t.Errorf("%s imports %s, which points against the arrows", file, inner)
				case path == "testing" && dir != "relay/storetest" && dir != "relay/relaytest":
					t.Errorf("%s compiles package testing into its users' programs", file)
				case !ok && dir == "pagerduty/pagerdutytest" && strings.Contains(path, "."):
					t.Errorf("%s imports %s: the fake stands on the standard library alone", file, path)
				}
			}
		}
		if len(files) > 0 && !documented {
			t.Errorf("package %s has no comment", dir)
		}
	}
}

// Every package of the module is in the table.
func TestArrowsCoverTheModule(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		dir, _ := filepath.Rel("..", path)
		if files, _ := filepath.Glob(filepath.Join(path, "go.mod")); len(files) > 0 && dir != "." ||
			d.Name() == "testdata" {
			return filepath.SkipDir
		}
		if files, _ := filepath.Glob(filepath.Join(path, "*.go")); len(files) > 0 && arrows[dir] == nil {
			t.Errorf("package %s is not in the table of arrows", dir)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
