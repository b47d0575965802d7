package pagerduty_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// leaks returns in which form s has the key, or a half of it.
func leaks(s string) string {
	for form, secretForm := range map[string]string{
		"key": secret, "first half": secret[:16], "second half": secret[16:],
		"hexadecimal": hex.EncodeToString([]byte(secret[:16])),
		"base64":      base64.StdEncoding.EncodeToString([]byte(secret))[:40],
		"bytes":       strings.Trim(fmt.Sprint([]byte(secret[:16])), "[]"),
	} {
		if strings.Contains(strings.ToLower(s), strings.ToLower(secretForm)) {
			return form
		}
	}
	return ""
}

// printouts returns v printed in every common way, alone and inside another value.
func printouts(v any) map[string]string {
	holder := struct {
		Public any
		hidden any
	}{v, v}
	out := make(map[string]string)
	for name, x := range map[string]any{
		"itself": v, "in a struct": holder, "in a pointer": &holder, "in a slice": []any{v},
		"in a map": map[string]any{"v": v},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "% x",
			"%08v"} {
			out[name+" by "+verb] = fmt.Sprintf(verb, x)
		}
		if b, err := json.Marshal(x); err == nil {
			out[name+" as JSON"] = string(b)
		} else {
			out[name+" as JSON"] = err.Error()
		}
		var text, object bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", x, slog.Group("g", "v", x))
		slog.New(slog.NewJSONHandler(&object, nil)).Info("m", "v", x, slog.Group("g", "v", x))
		out[name+" by slog as text"], out[name+" by slog as JSON"] = text.String(), object.String()
	}
	return out
}

// specimens has a value of every public type that can hold the key.
func specimens(t *testing.T) map[string][]any {
	key := routingKey(t, secret)
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := pagerduty.OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fake := pagerdutytest.NewTransport()
	options := pagerduty.Options{Transport: fake, BaseURL: "https://gateway.example.com",
		Logger: slog.New(slog.DiscardHandler)}
	client := newClient(t, &options)
	result, err := client.Send(t.Context(), trigger("")) // fills core.windows, a map by key
	if err != nil {
		t.Fatal(err)
	}
	var source pagerduty.KeySource = key
	var limiter pagerduty.Limiter = limiterFunc(func(context.Context) error { return nil })
	failures := failures(t)
	var values []any
	for _, e := range failures {
		values = append(values, e, *e)
	}
	return map[string][]any{
		"Client":     {client, *client, client.WithKey(file), client.WithLimiter(limiter)},
		"RoutingKey": {key, &key, map[pagerduty.RoutingKey]int{key: 1}, []pagerduty.RoutingKey{key}},
		"KeyFile": {file, struct{ F *pagerduty.KeyFile }{file},
			reflect.ValueOf(file).Elem().Interface()},
		"KeySource":   {source, &source},
		"Limiter":     {limiter},
		"Options":     {options, &options},
		"Result":      {result, *result},
		"Repair":      {result.Repairs, result.Repairs[0]},
		"Error":       values,
		"Event":       {trigger("a"), *trigger("a")},
		"ChangeEvent": {&pagerduty.ChangeEvent{Summary: "s"}},
		"Link":        {pagerduty.Link{Href: "h"}},
		"Image":       {pagerduty.Image{Src: "s"}},
		"Action":      {pagerduty.ActionTrigger},
		"Severity":    {pagerduty.SeverityInfo},
		"Region":      {pagerduty.RegionEU},
		"Class":       {pagerduty.ClassConfig},
	}
}

// leakyError is an error of a transport that holds the request's body.
type leakyError struct {
	Body []byte
	Text string
}

func (e leakyError) Error() string { return e.Text }

// failures returns every kind of *Error, with the key wherever a server, a transport or a file may
// put it.
func failures(t *testing.T) []*pagerduty.Error {
	t.Helper()
	escaped := fmt.Sprintf(`\u%04x%s`, secret[0], secret[1:])
	var wires []http.RoundTripper
	for _, body := range []string{
		"no such key " + secret,
		strings.Repeat("x", 500) + secret,
		strings.Repeat("\x00", 2026) + "key " + secret,
		secret[:16] + "\x00" + secret[16:],
		`{"status":"` + secret + `","message":"key ` + secret + `","errors":["` + secret + `",{"key":"` +
			secret + `"}]}`,
		`{"message":"` + escaped + `","errors":["` + strings.Repeat("e", 490) + escaped + `"]}`,
		`{"errors":"` + secret + `"}`,
	} {
		for _, status := range []int{307, 400, 413, 429, 500} {
			wires = append(wires, roundTripper(func(r *http.Request) (*http.Response, error) {
				header := http.Header{"Location": {"https://example.com/" + secret}, "Retry-After": {secret}}
				return &http.Response{StatusCode: status, Header: header,
					Body: io.NopCloser(strings.NewReader(body))}, nil
			}))
		}
	}
	for _, text := range []string{"broken", "sending " + secret} {
		wires = append(wires, roundTripper(func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			return nil, errors.Join(err, leakyError{body, text})
		}), roundTripper(func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body) // reads from memory
			return nil, leakyError{body, text}
		}))
	}
	var found []*pagerduty.Error
	for _, wire := range wires {
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t,
				&pagerduty.Options{Transport: wire, Logger: slog.New(slog.DiscardHandler)})
			found = append(found, failed(t, client, trigger("a")))
		})
	}
	refuse := limiterFunc(func(context.Context) error { return errors.New("budget of " + secret) })
	limited := newClient(t, &pagerduty.Options{Limiter: refuse})
	found = append(found, failed(t, limited, trigger("a")),
		failed(t, newClient(t, nil).WithKey(pagerduty.RoutingKey{}), trigger("a")))
	return found
}

func TestFact53NoPrintoutHoldsTheKey(t *testing.T) {
	found := specimens(t)
	for name, values := range found {
		for _, v := range values {
			for way, out := range printouts(v) {
				if form := leaks(out); form != "" {
					t.Errorf("%s %s holds the key's %s: %.300s", name, way, form, out)
				}
			}
		}
	}
	for _, name := range publicTypes(t) {
		if len(found[name]) == 0 {
			t.Errorf("no specimen of the public type %s", name)
		}
	}
}

// publicTypes reads the names of types from the source, so that a new type is not forgotten.
func publicTypes(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			general, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range general.Specs {
				if typ, ok := spec.(*ast.TypeSpec); ok && typ.Name.IsExported() {
					names = append(names, typ.Name.Name)
				}
			}
		}
	}
	if len(names) < 15 {
		t.Fatalf("found only %v", names)
	}
	return names
}

// The chain of errors must not have what the text hides.
func TestFact53ErrorChainsHoldNoKey(t *testing.T) {
	for _, e := range failures(t) {
		for err := error(e); err != nil; err = errors.Unwrap(err) {
			if form := leaks(err.Error()); form != "" {
				t.Errorf("%T holds the key's %s", err, form)
			}
		}
	}
}

// No log line, span or metric has the key.
func TestFact53TelemetryHoldsNoKey(t *testing.T) {
	var log bytes.Buffer
	recorder := new(recorder)
	for _, fault := range []pagerdutytest.Fault{
		{}, {Status: 400, Body: secret}, {Status: 429, Body: secret}, {Status: 503, Body: secret},
		{Connection: pagerdutytest.DropAfterRead}, {Connection: pagerdutytest.Hang},
	} {
		synctest.Test(t, func(t *testing.T) {
			fake := pagerdutytest.NewTransport()
			fake.Outage(time.Hour, fault)
			client := newClient(t, &pagerduty.Options{
				Transport: fake, ThrottleRetries: 1, TracerProvider: recorder.tracers(),
				MeterProvider: recorder.meters(),
				Logger: slog.New(slog.NewTextHandler(&log,
					&slog.HandlerOptions{Level: slog.LevelDebug})),
			})
			_, _ = client.Send(t.Context(), trigger("a")) // the result does not matter here
		})
	}
	if log.Len() == 0 || len(recorder.spans) == 0 || len(recorder.points) == 0 {
		t.Fatal("nothing was recorded")
	}
	for what, text := range map[string]string{
		"the log": log.String(), "a span": fmt.Sprintf("%+v", recorder.spans),
		"a metric": fmt.Sprintf("%+v", recorder.points),
	} {
		if form := leaks(text); form != "" {
			t.Errorf("%s holds the key's %s", what, form)
		}
	}
}
