package pagerdutytest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// Two keys of the two kinds: of a service and of an orchestration.
const (
	key1 = "e93facc04764012d7bfb002500d5d1a6"
	key2 = "R028DIE06SNKNO6V5ACSLRV7Y0TUVG7T"
)

const (
	host      = "https://events.pagerduty.com"
	alertURL  = host + "/v2/enqueue"
	changeURL = host + "/v2/change/enqueue"
)

// object is a JSON object made by hand: the tests use no client.
type object map[string]any

func (o object) with(name string, value any) object {
	c := object{}
	for n, v := range o {
		c[n] = v
	}
	if c[name] = value; value == missing {
		delete(c, name)
	}
	return c
}

// missing as a value leaves the field out.
var missing = new(int)

func (o object) payload(name string, value any) object {
	p, _ := o["payload"].(object)
	return o.with("payload", p.with(name, value))
}

func (o object) String() string {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func trigger(key, dedupKey string) object {
	return object{
		"routing_key": key, "event_action": "trigger", "dedup_key": dedupKey,
		"payload": object{"summary": "disk full", "source": "db-1", "severity": "critical"},
	}
}

func action(key, dedupKey, action string) object {
	return object{"routing_key": key, "event_action": action, "dedup_key": dedupKey}
}

func resolve(key, dedupKey string) object { return action(key, dedupKey, "resolve") }

func change(key string) object {
	return object{"routing_key": key, "payload": object{"summary": "deployed"}}
}

// answer is what a client gets.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) dedupKey(t testing.TB) string {
	t.Helper()
	var said struct {
		DedupKey string `json:"dedup_key"`
	}
	if err := json.Unmarshal([]byte(a.body), &said); err != nil {
		t.Fatalf("answer %q: %v", a.body, err)
	}
	return said.DedupKey
}

// try posts and returns the error of the connection or of the answer's body.
func try(t testing.TB, rt http.RoundTripper, url, body string) (answer, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return do(rt, r)
}

func do(rt http.RoundTripper, r *http.Request) (answer, error) {
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

func post(t testing.TB, rt http.RoundTripper, url, body string) answer {
	t.Helper()
	a, err := try(t, rt, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// send posts alert events that must be accepted.
func send(t testing.TB, rt http.RoundTripper, events ...object) {
	t.Helper()
	for _, e := range events {
		if a := post(t, rt, alertURL, e.String()); a.status != http.StatusAccepted {
			t.Fatalf("%s: %d %s", e, a.status, a.body)
		}
	}
}

// both runs a test with a Server and with a Transport.
func both(t *testing.T,
	test func(t *testing.T, fake *pagerdutytest.Fake, rt http.RoundTripper, base string)) {
	t.Run("Transport", func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		test(t, fake.Fake, fake, host)
	})
	t.Run("Server", func(t *testing.T) {
		fake := pagerdutytest.NewServer()
		defer fake.Close()
		rt := &http.Transport{}
		defer rt.CloseIdleConnections()
		test(t, fake.Fake, rt, fake.URL)
	})
}
