package relayfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write the schema and the golden files")

// schemaFile is where editors find the schema.
const schemaFile = "../../relay.schema.json"

// The committed schema is that of the structures.
func TestSchemaIsCurrent(t *testing.T) {
	want, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(schemaFile); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not current (%v): go test ./internal/relayfile -update", schemaFile, err)
	}
}

// compiled returns a function that validates YAML.
func compiled(t *testing.T) func(content []byte) error {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return func(content []byte) error {
		tree, err := parser.ParseBytes(content, 0)
		if err != nil {
			return err
		}
		if len(tree.Docs) != 1 || tree.Docs[0].Body == nil {
			return errors.New("not one document")
		}
		ast.Walk(mender{}, tree.Docs[0].Body)
		var v any
		if err := yaml.NodeToValue(tree.Docs[0].Body, &v); err != nil {
			return err
		}
		asJSON, err := json.Marshal(v)
		if err != nil {
			return err
		}
		v, err = jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
		if err != nil {
			return err
		}
		return s.Validate(v)
	}
}

// The schema takes every example.
func TestSchemaTakesTheExamples(t *testing.T) {
	validate := compiled(t)
	examples, err := filepath.Glob("../../testdata/config/*.yaml")
	if err != nil || len(examples) < 2 {
		t.Fatalf("%d examples, %v", len(examples), err)
	}
	for _, name := range examples {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(content, []byte("cases:")) {
			continue
		}
		if err := validate(content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// valid are files that only the server can refuse: the schema does not compile expressions, read
// the environment, or compare names.
var valid = map[string]bool{
	"a file that is missing": true, "a variable that is not set": true, "a key of a REST API": true,
	"plain http": true, "a secret in base_url": true, "a severity": true, "a level": true,
	"formerly a lane": true, "formerly twice": true, "not a URL": true,
	"an address that is refused": true, "a template without its format": true,
	"a template that is not one": true, "a field of a template": true, "a template of no JSON": true,
	"a signing key": true, "a secret of Standard Webhooks": true, "a secret header": true,
	"a header of two lines": true, "a header of the relay": true, "a lane that is not there": true,
	"a fallback that is not there": true, "a lane twice in a route": true,
	"a route that is never reached": true, "a lane without a route": true, "an unknown name": true,
	"a level in quotes": true, "no condition": true, "a kind that does not exist": true,
	"not an expression": true, "a name of a tag": true, "a source that is not there": true,
	"a secret of two sources": true, "basic": true, "a network": true, "every network": true,
	"nobody": true, "no_auth of a named source": true, "no_auth and a secret": true,
	"a name of a source": true, "a name of a lane": true, "a large body": true,
	"a watch with an unknown lane": true, "a store that is fuller than full": true,
	"a heartbeat without an address": true, "a heartbeat too often": true,
	"a switch at a private address": true, "a heartbeat beside no_auth": true,
	"a lane with a name of the relay": true, "a source with a name of the relay": true,
	"a certificate without its key": true, "a key without its certificate": true,
	"a certificate that is missing": true,
	"an operator's address":         true, "an address without a port": true, "a header": true,
}

// The schema refuses the broken files that it can.
func TestSchemaRefusesTheBroken(t *testing.T) {
	validate := compiled(t)
	for _, test := range broken {
		if err := validate([]byte(test.file)); (err == nil) != valid[test.name] {
			t.Errorf("%s: the schema says %v, want valid: %v", test.name, err, valid[test.name])
		}
	}
}
