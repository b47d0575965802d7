package pagerdutytest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

func TestRequestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		event := trigger(key1, "a").String()
		start := time.Now()
		post(t, fake, alertURL, event)
		time.Sleep(time.Hour)
		fake.Script(fault{Status: 503, RetryAfter: "9"})
		post(t, fake, changeURL, change(key2).String())
		label1, label2 := pagerdutytest.KeyLabel(key1), pagerdutytest.KeyLabel(key2)
		want := []pagerdutytest.Request{{
			Time: start, Method: "POST", Host: "events.pagerduty.com", Path: "/v2/enqueue",
			Header: http.Header{"Content-Type": {"application/json"}},
			Key:    label1, Action: "trigger", DedupKey: "a", Summary: "disk full",
			Body: []byte(strings.Replace(event, key1, label1, 1)), Size: len(event),
			Status: 202, Answer: `{"status":"success","message":"Event processed","dedup_key":"a"}`,
		}, {
			Time: start.Add(time.Hour), Method: "POST", Host: "events.pagerduty.com",
			Path:   "/v2/change/enqueue",
			Header: http.Header{"Content-Type": {"application/json"}},
			Key:    label2, Summary: "deployed",
			Body:  []byte(strings.Replace(change(key2).String(), key2, label2, 1)),
			Size:  len(change(key2).String()),
			Fault: fault{Status: 503, RetryAfter: "9"}, Status: 503,
			Answer: `{"status":"error","message":"Service Unavailable"}`,
		}}
		if diff := cmp.Diff(want, fake.Requests()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestKeyLabel(t *testing.T) {
	one, two := pagerdutytest.KeyLabel(key1), pagerdutytest.KeyLabel(key2)
	if one == two || one != pagerdutytest.KeyLabel(key1) || !strings.HasPrefix(one, "key-") ||
		len(one) != 12 || strings.Contains(key1, one[4:]) {
		t.Errorf("labels %q and %q", one, two)
	}
	if pagerdutytest.KeyLabel("") != "" {
		t.Error("no key has a label")
	}
}

// Wherever a client puts the key, and however it writes it, a failing test prints no key.
func TestNothingShowsTheKey(t *testing.T) {
	good := trigger(key1, "a")
	escaped := strings.Replace(good.String(), key1, `\u0065`+key1[1:], 1)
	for name, body := range map[string]string{
		"as it should be": good.String(),
		"with an escape":  escaped,
		"all in escapes":  strings.Replace(good.String(), key1, escapes(key1), 1),
		"name in escapes also": strings.NewReplacer(key1, escapes(key1), "routing_key",
			escapes("routing_key")).Replace(good.String()),
		"twice": strings.Replace(good.String(), `"routing_key"`,
			`"routing_key":"`+key2+`","routing_key"`, 1),
		"cut":                   `{"routing_key":"` + key1 + `","event_action":"tri`,
		"cut inside of the key": `{"routing_key":"` + key1[:31],
		"no JSON":               `{'x': 1, "routing_key" : "` + key1 + `"}`,
		"in other fields":       good.with("dedup_key", key1).payload("summary", "key "+key1).String(),
		"that is not live":      good.with("routing_key", key2).String(),
		"token":                 good.with("routing_key", "e+23rschqsESqk9Q6_-g").String(),
		"not UTF-8":             strings.Replace(good.String(), "disk", "\xff", 1),
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, fake *pagerdutytest.Fake, rt http.RoundTripper, base string) {
				fake.AcceptKeys(key1)
				r, err := http.NewRequest(http.MethodPost, base+"/v2/enqueue", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header = http.Header{
					"Content-Type": {"application/json"}, "Authorization": {"Token token=" + key1},
					"X-Routing-Key": {key1},
					"X-Trace":       {"of " + key1},
				}
				if name != "as it should be" && name != "in other fields" {
					r.Header.Del("X-Trace") // can be found only if the body was read
				}
				if _, err := do(rt, r); err != nil {
					t.Fatal(err)
				}
				shown := fmt.Sprintf("%v %+v %#v", fake, fake, fake)
				for _, r := range fake.Requests() {
					shown += fmt.Sprintf("%v %+v %#v %q", r, r, r, r.Body) + marshal(t, r)
				}
				for _, i := range fake.Incidents() {
					if name == "in other fields" { // texts of an incident are shown as sent
						i.DedupKey, i.Summary, i.Log = "", "", nil
						shown = strings.ReplaceAll(shown, key1, "")
					}
					shown += fmt.Sprintf("%v %+v %#v", i, i, i) + marshal(t, i)
				}
				for _, secret := range []string{key1, key1[:31], key2, escapes(key1), key1[1:],
					"e+23rschqsESqk9Q6_-g"} {
					if strings.Contains(shown, secret) {
						t.Errorf("%q is in %s", secret, shown)
					}
				}
				if r := fake.Requests()[0]; r.Key != "" && !strings.Contains(string(r.Body), r.Key) {
					t.Errorf("logged %s, without its label", r.Body)
				}
				if r := fake.Requests()[0]; name == "in other fields" &&
					(strings.Contains(r.DedupKey+r.Summary+string(r.Body)+r.Header.Get("X-Trace"), key1) ||
						!strings.Contains(r.Summary, r.Key)) {
					t.Errorf("logged %+v", r)
				}
			})
		})
	}
}

func escapes(s string) (e string) {
	for _, r := range s {
		e += fmt.Sprintf(`\u%04x`, r)
	}
	return e
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// An empty key would be found in every word.
func TestAShortKeyLeavesTheRestReadable(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	post(t, fake, alertURL, trigger("d", "a").String())
	r := fake.Requests()[0]
	if r.Summary != "disk full" || !strings.Contains(string(r.Body), `"disk full"`) ||
		strings.Contains(string(r.Body), `"d"`) {
		t.Errorf("logged %+v, %s", r, r.Body)
	}
}
