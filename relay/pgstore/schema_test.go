package pgstore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A NOTIFY in a transaction takes a lock of the whole database at its commit, so that commits wait
// for each other. The store notifies afterwards, by a call of its own.
func TestNothingNotifiesInATransaction(t *testing.T) {
	files, err := filepath.Glob("schema/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of the schema, %v", len(files), err)
	}
	for _, name := range files {
		sql, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(string(sql)), "notify") {
			t.Errorf("%s notifies within a transaction", name)
		}
	}
}
