package pagerdutytest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// refused is PagerDuty's answer to an event with these errors.
func refused(errors ...string) string {
	return object{"status": "invalid event", "message": "Event object is invalid",
		"errors": errors}.String()
}

const (
	noKey      = "'routing_key' is missing or blank"
	keyLength  = "Length of 'routing_key' is incorrect (should be 32 characters)"
	keyLetters = "'routing_key' cannot contain non-alphanumeric characters."
	noAction   = "'event_action' is missing or blank"
	badAction  = "'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' " +
		"or 'resolve')"
	noDedupKey = "'dedup_key' is missing or blank"
	longDedup  = "'dedup_key' is too long (maximum is 255 characters)"
	noSummary  = "'payload.summary' is missing or blank"
	noSource   = "'payload.source' is missing or blank"
	noSeverity = "'payload.severity' is missing or blank"
	badLevel   = "'payload.severity' is invalid (must be one of the following: 'critical', " +
		"'warning', 'error' or 'info')"
	longText   = "'summary' is too long (maiximum is 1024 characters)"
	badTime    = "'payload.timestamp' is invalid (must be in ISO 8601 format)"
	badDetails = "'payload.custom_details' is invalid (must be an object)"
	noHref     = "'links.href' is missing or blank"
	noSrc      = "'images.src' is missing or blank"
	httpSrc    = "'images.src' is invalid (must be served via HTTPS)"
	unreadable = `{"status":"Unrecognized object","message":"Event object format is unrecognized",` +
		`"errors":["JSON parse error"]}`
)

func TestAlertRules(t *testing.T) {
	good := trigger(key1, "a")
	long := func(s string, n int) string { return strings.Repeat(s, n) }
	tests := []struct {
		name string
		body string
		want string // "" for an event that is accepted
	}{
		{"as it should be", good.String(), ""},
		{"key of an orchestration", good.with("routing_key", key2).String(), ""},
		{"key beyond hexadecimal", good.with("routing_key", "737ea619db564d41bd9824063e1f8au1").String(),
			""},
		{"no key", good.with("routing_key", missing).String(), refused(noKey)},
		{"key null", good.with("routing_key", nil).String(), refused(noKey)},
		{"key a number", good.with("routing_key", 7).String(), refused(noKey)},
		{"key blank", good.with("routing_key", " \t").String(), refused(noKey)},
		{"key in another case of its name",
			good.with("routing_key", missing).with("Routing_Key", key1).String(), refused(noKey)},
		{"key under its name of v1",
			good.with("routing_key", missing).with("service_key", key1).String(), refused(noKey)},
		{"key of 31", good.with("routing_key", key1[1:]).String(), refused(keyLength)},
		{"key of 33", good.with("routing_key", key1+"0").String(), refused(keyLength)},
		{"key with a line end", good.with("routing_key", key1+"\n").String(),
			refused(keyLength, keyLetters)},
		{"token of the REST API", good.with("routing_key", "e+23rschqsESqk9Q6_-g").String(),
			refused(keyLength, keyLetters)},
		{"key with a hyphen", good.with("routing_key", key1[1:]+"-").String(), refused(keyLetters)},
		{"key of 32 letters beyond ASCII", good.with("routing_key", long("é", 32)).String(),
			refused(keyLetters)},
		{"key of 16 of them, 32 bytes", good.with("routing_key", long("é", 16)).String(),
			refused(keyLength, keyLetters)},
		{"bad key goes before bad fields",
			good.with("routing_key", "x").with("event_action", "y").String(), refused(keyLength)},

		{"no action", good.with("event_action", missing).String(), refused(noAction)},
		{"action of v1's name",
			good.with("event_action", missing).with("event_type", "trigger").String(), refused(noAction)},
		{"action in capitals", good.with("event_action", "Trigger").String(), refused(badAction)},
		{"action unknown", good.with("event_action", "close").String(), refused(badAction)},

		{"resolve", resolve(key1, "a").String(), ""},
		{"acknowledge", action(key1, "a", "acknowledge").String(), ""},
		{"resolve without dedup key", resolve(key1, "").String(), refused(noDedupKey)},
		{"acknowledge with blank dedup key", action(key1, " ", "acknowledge").String(),
			refused(noDedupKey)},
		{"resolve with null for a payload", resolve(key1, "a").with("payload", nil).String(), ""},
		{"resolve with all of the payload", good.with("event_action", "resolve").String(), ""},
		{"resolve with some of the payload", resolve(key1, "a").payload("summary", "over").String(),
			refused(noSource, noSeverity)},
		{"dedup key of 255", good.with("dedup_key", long("k", 255)).String(), ""},
		{"dedup key of 256", good.with("dedup_key", long("k", 256)).String(), refused(longDedup)},
		{"dedup key of 255 Chinese characters", good.with("dedup_key", long("键", 255)).String(), ""},
		{"dedup key of 128 emoji, 256 UTF-16 units", good.with("dedup_key", long("🔥", 128)).String(),
			refused(longDedup)},
		{"dedup key a number", good.with("dedup_key", 1).String(),
			refused("'dedup_key' is invalid (must be a string)")},
		{"trigger without dedup key", good.with("dedup_key", missing).String(), ""},
		{"trigger with null for a dedup key", good.with("dedup_key", nil).String(), ""},

		{"no payload", good.with("payload", missing).String(), refused(noSummary, noSource, noSeverity)},
		{"payload a string", good.with("payload", "x").String(),
			refused(noSummary, noSource, noSeverity)},
		{"payload a list", good.with("payload", []any{}).String(),
			refused(noSummary, noSource, noSeverity)},
		{"several errors", good.payload("summary", "").payload("severity", "high").String(),
			refused(noSummary, badLevel)},
		{"blank summary", good.payload("summary", "  ").String(), refused(noSummary)},
		{"summary of 1024", good.payload("summary", long("s", 1024)).String(), ""},
		{"summary of 1025", good.payload("summary", long("s", 1025)).String(), refused(longText)},
		{"summary of 1024 Chinese characters", good.payload("summary", long("磁", 1024)).String(), ""},
		{"summary of 513 emoji, 1026 UTF-16 units", good.payload("summary", long("🔥", 513)).String(),
			refused(longText)},
		{"no source", good.payload("source", missing).String(), refused(noSource)},
		{"source a number", good.payload("source", 1).String(), refused(noSource)},
		{"no severity", good.payload("severity", missing).String(), refused(noSeverity)},
		{"severity error", good.payload("severity", "error").String(), ""},
		{"severity warning", good.payload("severity", "warning").String(), ""},
		{"severity info", good.payload("severity", "info").String(), ""},
		{"severity high", good.payload("severity", "high").String(), refused(badLevel)},
		{"severity in capitals", good.payload("severity", "Critical").String(), refused(badLevel)},
		{"severity with a space", good.payload("severity", "info ").String(), refused(badLevel)},
		{"component a number", good.payload("component", 1).String(),
			refused("'payload.component' is invalid (must be a string)")},
		{"component null", good.payload("component", nil).String(), ""},
		{"group and class lists", good.payload("group", []any{}).payload("class", []any{}).String(),
			refused("'payload.group' is invalid (must be a string)",
				"'payload.class' is invalid (must be a string)")},

		{"timestamp", good.payload("timestamp", "2015-07-17T08:42:58.315+0000").String(), ""},
		{"timestamp null", good.payload("timestamp", nil).String(), ""},
		{"timestamp blank", good.payload("timestamp", "").String(), refused(badTime)},
		{"timestamp a number", good.payload("timestamp", 1437122578).String(), refused(badTime)},
		{"timestamp with an hour of one digit",
			good.payload("timestamp", "2021-10-22T5:01:32Z").String(), refused(badTime)},

		{"details nested", good.payload("custom_details",
			object{"a": []any{1, true, nil, object{"b": 1.5}}}).String(), ""},
		{"details null", good.payload("custom_details", nil).String(), ""},
		{"details a string", good.payload("custom_details", "text").String(), refused(badDetails)},
		{"details a list", good.payload("custom_details", []any{"text"}).String(), refused(badDetails)},
		{"details false", good.payload("custom_details", false).String(), refused(badDetails)},
		{"details with a number beyond float64",
			`{"routing_key":"` + key1 + `","event_action":"trigger","payload":` +
				`{"summary":"s","source":"s","severity":"info","custom_details":{"n":1e999}}}`, ""},

		{"links", good.with("links",
			[]any{object{"href": "https://x.example", "text": "x"},
				object{"href": "http://y.example"}}).String(), ""},
		{"link without href", good.with("links", []any{object{"text": "x"}}).String(), refused(noHref)},
		{"link with empty href",
			good.with("links", []any{object{"href": "https://x.example"},
				object{"href": ""}}).String(), refused(noHref)},
		{"link a string", good.with("links", []any{"https://x.example"}).String(), refused(noHref)},
		{"link text a number",
			good.with("links", []any{object{"href": "https://x.example",
				"text": 1}}).String(), refused("'links.text' is invalid (must be a string)")},
		{"links an object", good.with("links", object{"href": "https://x.example"}).String(),
			refused("'links' is invalid (must be an array)")},
		{"links null", good.with("links", nil).String(), ""},
		{"images", good.with("images",
			[]any{object{"src": "https://x.example/i.png", "href": "", "alt": ""}}).String(), ""},
		{"image over HTTP", good.with("images", []any{object{"src": "http://x.example/i.png"}}).String(),
			refused(httpSrc)},
		{"image within the event",
			good.with("images", []any{object{"src": "data:image/png;base64,AA=="}}).String(),
			refused(httpSrc)},
		{"image with the scheme in capitals",
			good.with("images", []any{object{"src": "HTTPS://x.example/i.png"}}).String(), ""},
		{"image without src", good.with("images", []any{object{"href": "https://x.example"}}).String(),
			refused(noSrc)},
		{"images a string", good.with("images", "https://x.example/i.png").String(),
			refused("'images' is invalid (must be an array)")},
		{"client and its URL", good.with("client", "c").with("client_url", "https://c.example").String(),
			""},
		{"client a number", good.with("client", 1).String(),
			refused("'client' is invalid (must be a string)")},

		{"links and images inside of payload are ignored",
			good.payload("links", []any{object{}}).payload("images", "x").String(), ""},
		{"unknown fields are ignored",
			good.with("agent", object{"id": 1}).payload("severity_level", 3).String(), ""},

		{"nothing", "", unreadable},
		{"null", "null", unreadable},
		{"a list", "[" + good.String() + "]", unreadable},
		{"a string", `"x"`, unreadable},
		{"cut", good.String()[:80], unreadable},
		{"two events", good.String() + good.String(), unreadable},
		{"a word after it", good.String() + " x", unreadable},
		{"a bracket after it", good.String() + "]", unreadable},
		{"a comma too much", strings.TrimSuffix(good.String(), "}") + ",}", unreadable},
		{"white space around", "\r\n\t " + good.String() + "\n", ""},
		{"a byte order mark", "\ufeff" + good.String(), unreadable},
		{"a control character unescaped", strings.Replace(good.String(), "disk full", "disk\nfull", 1),
			unreadable},
		{"not UTF-8", strings.Replace(good.String(), "disk full", "disk \xff", 1), unreadable},
		{"half a surrogate pair", strings.Replace(good.String(), "disk full", `disk \ud83d`, 1), ""},
		{"HTML escaped", strings.Replace(good.String(), "disk full", `\u003cdisk\u003e`, 1), ""},
		{"a form", "routing_key=" + key1, unreadable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fake := pagerdutytest.NewTransport()
			got := post(t, fake, alertURL, test.body)
			if test.want == "" {
				if got.status != http.StatusAccepted {
					t.Errorf("%d %s; want it taken", got.status, got.body)
				}
				return
			}
			if got.status != http.StatusBadRequest || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("%d %s", got.status, got.header)
			}
			if diff := cmp.Diff(decoded(t, test.want), decoded(t, got.body)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if len(fake.Incidents()) != 0 {
				t.Error("refused and ingested")
			}
		})
	}
}

func decoded(t *testing.T, s string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return v
}

func TestChangeRules(t *testing.T) {
	good := change(key1)
	for name, test := range map[string]struct {
		body object
		want string // "" for an event that is accepted
	}{
		"smallest": {good, ""},
		"all of it": {good.payload("source", "ci").payload("timestamp",
			"2020-07-17T08:42:58.315Z").payload("custom_details", object{"build": 7}).with("links",
			[]any{object{"href": "https://x.example"}}), ""},
		"an alert's fields are ignored": {good.with("event_action", 1).with("dedup_key",
			2).payload("severity", "high"), ""},
		"images are ignored": {good.with("images", "x"), ""},
		"no summary":         {good.payload("summary", missing), refused(noSummary)},
		"no payload":         {good.with("payload", missing), refused(noSummary)},
		"long summary": {good.payload("summary", strings.Repeat("s", 1025)),
			refused(longText)},
		"source a number": {good.payload("source", 1),
			refused("'payload.source' is invalid (must be a string)")},
		"timestamp":         {good.payload("timestamp", "yesterday"), refused(badTime)},
		"details a string":  {good.payload("custom_details", "x"), refused(badDetails)},
		"link without href": {good.with("links", []any{object{}}), refused(noHref)},
		"no key":            {good.with("routing_key", ""), refused(noKey)},
	} {
		t.Run(name, func(t *testing.T) {
			fake := pagerdutytest.NewTransport()
			got := post(t, fake, changeURL, test.body.String())
			want, status, taken := test.want, http.StatusBadRequest, 0
			if want == "" {
				want = `{"status":"success","message":"Change event processed"}`
				status, taken = http.StatusAccepted, 1
			}
			if diff := cmp.Diff(decoded(t, want), decoded(t, got.body)); got.status != status || diff != "" {
				t.Errorf("status %d; (-want +got)\n%s", got.status, diff)
			}
			if len(fake.Changes()) != taken || len(fake.Incidents()) != 0 || fake.Notifications() != 0 {
				t.Errorf("%d changes, %d incidents", len(fake.Changes()), len(fake.Incidents()))
			}
		})
	}
}

func TestChangeEventIsRecorded(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	post(t, fake, changeURL, change(key1).payload("source", "ci").payload("timestamp", "2020-07-17").
		payload("custom_details", object{"build": object{"n": 7}}).with("links",
		[]any{object{"href": "https://x.example", "text": "x"}}).String())
	got := fake.Changes()[0]
	got.Details["build"].(map[string]any)["n"] = "changed by a caller" // of its copy
	got = fake.Changes()[0]
	want := pagerdutytest.ChangeEvent{
		Time: got.Time, Key: pagerdutytest.KeyLabel(key1), Summary: "deployed", Source: "ci",
		Timestamp: "2020-07-17",
		Details:   map[string]any{"build": map[string]any{"n": 7.0}},
		Links:     []pagerdutytest.Link{{Href: "https://x.example", Text: "x"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPlainTextAnswers(t *testing.T) {
	request := func(method, url, contentType, body string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		return r
	}
	const jsonType = "application/json; charset=utf-8"
	event := trigger(key1, "a").String()
	for name, test := range map[string]struct {
		request *http.Request
		status  int
		body    string
	}{
		"with a charset": {request("POST", alertURL, jsonType, event), 202,
			`{"status":"success","message":"Event processed","dedup_key":"a"}`},
		"a key that is not live": {request("POST", alertURL, jsonType, trigger(key2, "a").String()),
			400, "Invalid routing key"},
		"a change under a ruleset's": {request("POST", changeURL, jsonType, change(key2).String()), 400,
			"Invalid routing key"},
		"path of v1": {request("POST", host+"/generic/2010-04-15/create_event.json",
			jsonType, event), 404, "Not Found"},
		"path with a slash": {request("POST", alertURL+"/", jsonType, event), 404, "Not Found"},
		"GET":               {request("GET", alertURL, jsonType, ""), 405, "Method Not Allowed"},
		"a form": {request("POST", alertURL, "application/x-www-form-urlencoded",
			event), 415, "Unsupported Media Type"},
		"no type": {request("POST", alertURL, "", event), 415,
			"Unsupported Media Type"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := pagerdutytest.NewTransport()
			fake.AcceptKeys(key1)
			got, err := do(fake, test.request)
			if err != nil || got.status != test.status || got.body != test.body {
				t.Errorf("%d %q, %v; want %d %q", got.status, got.body, err, test.status, test.body)
			}
			wantType := "text/plain"
			if test.status == 202 {
				wantType = "application/json"
			}
			if got.header.Get("Content-Type") != wantType ||
				(test.status == 405) != (got.header.Get("Allow") == "POST") {
				t.Errorf("header %v", got.header)
			}
		})
	}
}

// A change event under a ruleset's key is refused because the key begins with R, whatever keys are
// accepted.
func TestChangeUnderARulesetsKey(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	if got := post(t, fake, changeURL, change(key2).String()); got.status != 400 ||
		got.body != "Invalid routing key" {
		t.Errorf("%d %s", got.status, got.body)
	}
	fake.AcceptKeys(key1)
	if got := post(t, fake, alertURL, trigger(key2, "a").String()); got.body != "Invalid routing key" {
		t.Errorf("%d %s", got.status, got.body)
	}
	fake.AcceptKeys()
	send(t, fake, trigger(key2, "a"))
}

// The key is read from the body only.
func TestKeyInAHeaderIsIgnored(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	r, err := http.NewRequest(http.MethodPost, alertURL,
		strings.NewReader(trigger(key1, "a").with("routing_key", missing).String()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Routing-Key", key1)
	if got, err := do(fake, r); err != nil || got.status != 400 {
		t.Errorf("%d %s, %v", got.status, got.body, err)
	}
}

func TestSizeLimit(t *testing.T) {
	body := func(size int) string {
		empty := trigger(key1, "a").payload("custom_details", object{"x": ""}).String()
		return strings.Replace(empty, `"x":""`, `"x":"`+strings.Repeat("x", size-len(empty))+`"`, 1)
	}
	both(t, func(t *testing.T, fake *pagerdutytest.Fake, rt http.RoundTripper, base string) {
		for _, test := range []struct{ size, status, logged int }{
			{512_000, 202, 512_000},
			{512_001, 413, 512_001},
			{3 << 20, 413, 2 << 20}, // more than is read
		} {
			got, err := try(t, rt, base+"/v2/enqueue", body(test.size))
			// the client may not get the answer of a server that stops reading
			if err != nil && test.size < 3<<20 {
				t.Fatal(err)
			}
			if err == nil && got.status != test.status {
				t.Errorf("%d bytes: %d %s", test.size, got.status, got.body)
			}
			all := fake.Requests()
			if last := all[len(all)-1]; last.Size != test.logged || last.Status != test.status {
				t.Errorf("logged %d bytes, status %d; want %d, %d", last.Size, last.Status, test.logged,
					test.status)
			}
		}
		if len(fake.Open()) != 1 {
			t.Errorf("%d open; want that of the event within the limit", len(fake.Open()))
		}
	})
}
