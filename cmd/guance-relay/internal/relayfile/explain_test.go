package relayfile

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
)

// exampleEnv has the variables of the examples.
func exampleEnv() map[string]string {
	env := maps.Clone(testEnv)
	maps.Copy(env, map[string]string{
		"RELAY_TOKEN": planted + "-relay",
		"BANK_TOKEN":  planted + "-bank", "SHOP_TOKEN": planted + "-shop",
		"PAYMENTS_KEY": planted + "abcdefghijklmnopqrstuvwxy", "CHAT_URL": testEnv["CHAT"],
		"SEARCH_KEY": planted + "bbcdefghijklmnopqrstuvwxy", "CHAT_KEY": planted + "-chat",
		"MIRROR_URL": "https://mirror.example/" + planted, "MIRROR_TOKEN": planted + "-mirror",
		"MIRROR_AUTH": "Bearer " + planted,
	})
	return env
}

// An explanation is that of the source: its problem key, its routes, and whether it may speak for
// the workspace.
func TestExplainSource(t *testing.T) {
	env := exampleEnv()
	e := NewExplainer(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	loader := e.Loader()
	loader.Getenv = func(name string) string { return env[name] }
	c, err := loader.Load("../../testdata/config/workspaces.yaml")
	if err != nil {
		t.Fatal(err)
	}
	fault := guancetest.NewProblem("disk").Fault(guance.LevelCritical)
	fault.WorkspaceUUID = "wksp_of_the_shop"
	for source, want := range map[string]string{
		"shop": "\nthe fallback gets it, unless another lane has the problem: shop\n",
		"bank": "\nrefused, and not kept: the source may not speak for workspace wksp_of_the_shop\n",
	} {
		got := e.Explain(t.Context(), c, source, fault)
		key := "\nproblem key: source:" + source + ":" + fault.ProblemKey() + "\n"
		if !strings.Contains(got, want) || !strings.Contains(got, key) ||
			strings.Contains(got, "lane ") == (source == "bank") {
			t.Errorf("from %s: got\n%s, want %q and %q", source, got, key, want)
		}
	}
	if name, err := c.Source(""); err == nil {
		t.Errorf("no source is %q", name)
	}
}

// What becomes of each sample of package guance, with the configuration of the reference. Golden
// files: go test ./internal/relayfile -update.
func TestExplainEverySample(t *testing.T) {
	env := exampleEnv()
	e := NewExplainer(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	loader := e.Loader()
	loader.Getenv = func(name string) string { return env[name] }
	c, err := loader.Load("../../testdata/config/reference.yaml")
	if err != nil {
		t.Fatal(err)
	}
	samples, err := filepath.Glob("../../../../guance/testdata/*.json")
	if err != nil || len(samples) < 40 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	for _, name := range samples {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		events, err := guance.Decode(body, "application/json")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var all strings.Builder
		for _, ev := range events {
			all.WriteString(c.Redact(e.Explain(t.Context(), c, "default", ev)) + "\n")
		}
		golden := filepath.Join("testdata", "explain", filepath.Base(name)+".txt")
		if *update {
			if err := os.MkdirAll(filepath.Dir(golden), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, []byte(all.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(golden); err != nil || string(want) != all.String() {
			t.Errorf("%s is not current (%v); now it would be\n%s", golden, err, all.String())
		}
		if strings.Contains(all.String(), planted) {
			t.Errorf("%s: a secret is in\n%s", name, all.String())
		}
	}
}
