package relayfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Any file is either a configuration or one line of an error, and no secret is in it.
func FuzzFile(f *testing.F) {
	for _, test := range broken {
		f.Add(test.file)
	}
	examples, _ := filepath.Glob("../../testdata/config/*.yaml")
	for _, name := range examples {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(content))
	}
	f.Fuzz(func(t *testing.T, content string) {
		if strings.Contains(content, "file:") {
			t.Skip("files of this machine")
		}
		name := filepath.Join(t.TempDir(), "relay.yaml")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := testLoader().Load(name)
		if err == nil {
			_ = c.Table.String()
			return
		}
		if _, ok := errors.AsType[*Error](err); !ok || strings.Contains(err.Error(), "\n") {
			t.Errorf("the error is %q", err)
		}
	})
}
