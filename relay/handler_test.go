package relay_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A gateway is a store whose Append a test can delay and have fail.
type gateway struct {
	*memstore.Store
	before func(ctx context.Context) error
	mu     sync.Mutex
	kept   int
}

func newGateway() *gateway {
	g := &gateway{Store: memstore.New()}
	g.Intercept(func(c memstore.Call, do func() error) error {
		if c.Method != "Append" {
			return do()
		}
		if g.before != nil {
			if err := g.before(c.Context); err != nil {
				return err
			}
		}
		if err := do(); err != nil {
			return err
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, e := range c.Events {
			g.kept += len(e.Placed)
		}
		return nil
	})
	return g
}

func (g *gateway) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.kept
}

// webhook returns a handler over a store with two lanes. One takes every event. The other ignores
// events of level info and does not take those of one title.
func webhook(
	t testing.TB, db store.Store, opts *relay.HandlerOptions, log *slog.Logger,
) http.Handler {
	t.Helper()
	r, err := relay.New(db, &relay.Options{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	r.Handle("all", &recorder{}, nil)
	r.Handle("choosy", choosy{}, &relay.SinkOptions{Match: func(e *guance.Event) bool {
		return e.Title != "not matched"
	}})
	h, err := relay.NewHandler(r, opts)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

type choosy struct{ relay.SinkFunc }

func (choosy) Ignores(e *guance.Event) string {
	if e.Status == guance.StatusInfo {
		return "only information"
	}
	return ""
}

var (
	nolog = slog.New(slog.DiscardHandler)
	open  = &relay.HandlerOptions{NoAuth: true}
)

// A reply is an answer as a client reads it. It does not share its JSON names with the handler.
type reply struct {
	Code    int
	Header  http.Header
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Events  []struct {
		EventID string            `json:"event_id"`
		Problem string            `json:"problem"`
		Fate    string            `json:"fate"`
		Lanes   map[string]string `json:"lanes"`
	} `json:"events"`
}

// ask serves one request and reads the answer, which must be a JSON object.
func ask(t *testing.T, h http.Handler, req *http.Request) reply {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return read(t, w.Result())
}

func read(t *testing.T, resp *http.Response) reply {
	t.Helper()
	defer resp.Body.Close()
	got := reply{Code: resp.StatusCode, Header: resp.Header}
	dec := json.NewDecoder(resp.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&got); err != nil {
		t.Fatalf("the answer %d is no JSON object of the documented form: %v", got.Code, err)
	}
	if ct := resp.Header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type %q, want application/json", ct)
	}
	want := "error"
	if got.Code == http.StatusAccepted {
		want = "accepted"
	}
	if got.Status != want {
		t.Errorf("the answer %d has the status %q, want %q", got.Code, got.Status, want)
	}
	return got
}

func webhookOf(body string) *http.Request {
	req := httptest.NewRequest(http.MethodPost, "/guance", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	return req
}

const fault = `{"df_status":"critical","df_title":"t","df_event_id":"e1",` +
	`"df_monitor_checker_event_ref":"p1"}`

func TestHandlerAnswers(t *testing.T) {
	const unknown = `{"incident":{"uuid":"incident_1","status":"working"}}`
	const two = `[` + fault + `,{"df_status":"ok","df_title":"not matched"}]`
	large := strings.Repeat(" ", 1<<20-len(fault)) + fault
	deep := strings.Repeat("[", 1000) + strings.Repeat("]", 1000)
	many := "[" + strings.Repeat("{},", guance.MaxEvents) + "{}]"
	badGood := `[` + fault + `,{"df_status":}]`
	tests := map[string]struct {
		method, contentType, body string
		code                      int
		says                      string
		kept                      int
	}{
		"fault":                   {"POST", "application/json", fault, 202, "", 2},
		"charset":                 {"POST", "application/json; charset=UTF-8", fault, 202, "", 2},
		"no content type":         {"POST", "", fault, 202, "", 2},
		"wrong content type":      {"POST", "application/x-www-form-urlencoded", fault, 202, "", 2},
		"broken content type":     {"POST", ";;=", fault, 202, "", 2},
		"JSON as text":            {"POST", "text/plain", fault, 202, "", 2},
		"text":                    {"POST", "text/plain; charset=utf-8", "title\n\nmessage", 202, "", 2},
		"text under another name": {"POST", "text/html", "title\n\nmessage", 400, "not JSON at byte", 0},
		"test message":            {"POST", "application/json", `{"df_title":"test"}`, 202, "", 2},
		"unknown kind":            {"POST", "application/json", unknown, 202, "", 2},
		"any JSON":                {"POST", "application/json", `7`, 202, "", 2},
		"no events":               {"POST", "application/json", `[]`, 202, "", 0},
		"two events":              {"POST", "application/json", two, 202, "", 3},
		"cut short":               {"POST", "application/json", fault[:20], 400, "not JSON at byte", 0},
		"one bad, one good":       {"POST", "application/json", badGood, 400, "not JSON at byte", 0},
		"empty":                   {"POST", "application/json", "", 400, "not JSON at byte 0", 0},
		"too large":               {"POST", "application/json", " " + large, 413, "the limit", 0},
		"as large as can be":      {"POST", "application/json", large, 202, "", 2},
		"too deep":                {"POST", "application/json", deep, 413, "nesting", 0},
		"too many":                {"POST", "application/json", many, 413, "events", 0},
		"get":                     {"GET", "", "", 405, "takes POST", 0},
		"head":                    {"HEAD", "", "", 405, "takes POST", 0},
		"options":                 {"OPTIONS", "", "", 405, "takes POST", 0},
		"put":                     {"PUT", "application/json", fault, 405, "takes POST", 0},
		"lower case":              {"post", "application/json", fault, 405, "takes POST", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			db := newGateway()
			req := httptest.NewRequest(test.method, "/guance", strings.NewReader(test.body))
			req.Header.Set("Content-Type", test.contentType)
			got := ask(t, webhook(t, db, open, nolog), req)
			if got.Code != test.code || !strings.Contains(got.Message, test.says) {
				t.Errorf("got %d %q, want %d with %q", got.Code, got.Message, test.code, test.says)
			}
			allow := got.Header.Get("Allow")
			if (allow == "POST") != (test.code == http.StatusMethodNotAllowed) {
				t.Errorf("%d with Allow: %q", got.Code, allow)
			}
			if db.count() != test.kept {
				t.Errorf("%d entries kept, want %d", db.count(), test.kept)
			}
			if test.code == http.StatusAccepted && got.Events == nil {
				t.Error("accepted without a list of events")
			}
		})
	}
}

// A receipt says what each lane did with each event. A webhook that is sent again is a duplicate.
func TestReceipts(t *testing.T) {
	h := webhook(t, newGateway(), open, nolog)
	body := `[` + fault + `,
		{"df_status":"info","df_event_id":"e2","df_monitor_checker_event_ref":"p2"},
		{"df_title":"not matched"}]`
	for _, want := range []string{
		`[{e1 p1  map[all:accepted choosy:accepted]} {e2 p2  map[all:accepted choosy:ignored]}`,
		`[{e1 p1 duplicate map[]} {e2 p2 duplicate map[]}`,
	} {
		got := ask(t, h, webhookOf(body))
		s := fmt.Sprint(got.Events)
		if got.Code != http.StatusAccepted || !strings.HasPrefix(s, want) ||
			!strings.HasSuffix(s, " map[all:accepted]}]") {
			t.Errorf("got %d %v, want 202 %s and a third event that one lane takes", got.Code, s, want)
		}
	}
}

// The answer and the log name the state of the store. Only the log has the error of the disk.
func TestStoreThatTakesNothing(t *testing.T) {
	tests := map[string]struct {
		err                error
		reason, retryAfter string
		says               string
	}{
		"full":    {store.ErrFull, "full", "30", "nothing was kept"},
		"failed":  {store.ErrFailed, "failed", "60", "not certain"},
		"away":    {store.ErrUnavailable, "unavailable", "10", "not certain"},
		"closed":  {store.ErrClosed, "closing", "10", "nothing was kept"},
		"slow":    {context.DeadlineExceeded, "busy", "10", "nothing was kept"},
		"damaged": {store.ErrDamaged, "unavailable", "30", "nothing was kept"},
		"another": {errors.New("the file is not in its place"), "unavailable", "30", "nothing was kept"},
		"failed while it was slow": {
			fmt.Errorf("%w: %w", store.ErrFailed, context.DeadlineExceeded), "failed", "60", "not certain",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			db := newGateway()
			db.before = func(context.Context) error {
				return fmt.Errorf("/var/lib/relay.db: sector 7: %w", test.err)
			}
			opts := &relay.HandlerOptions{Tokens: []string{"hush-hush"}}
			h := webhook(t, db, opts, slog.New(slog.NewTextHandler(&log, nil)))
			req := webhookOf(fault)
			req.URL.RawQuery = "token=hush-hush"
			got := ask(t, h, req)
			retryAfter := got.Header.Get("Retry-After")
			if got.Code != http.StatusServiceUnavailable || got.Reason != test.reason ||
				retryAfter != test.retryAfter {
				t.Errorf("got %d, reason %q, Retry-After %q, want 503, %q, %q",
					got.Code, got.Reason, retryAfter, test.reason, test.retryAfter)
			}
			if strings.Contains(got.Message, "sector") || !strings.Contains(got.Message, test.says) {
				t.Errorf("the answer says %q, want %q and nothing of the disk", got.Message, test.says)
			}
			if !strings.Contains(log.String(), "sector 7") || strings.Contains(log.String(), "hush") {
				t.Errorf("the log says %q, want what the disk said and no secret", log.String())
			}
		})
	}
}

// A webhook that has arrived is kept, even if its client hangs up. The handler waits for a store
// that does not answer, but not for ever.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newGateway()
		db.before = func(ctx context.Context) error {
			time.Sleep(5 * time.Second)
			return ctx.Err()
		}
		h := webhook(t, db, open, nolog)
		ctx, hangUp := context.WithTimeout(t.Context(), time.Second)
		defer hangUp()
		got := ask(t, h, webhookOf(fault).WithContext(ctx))
		if got.Code != http.StatusAccepted || db.count() != 2 {
			t.Errorf("hung up: got %d and %d entries, want them kept", got.Code, db.count())
		}
		db.before = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		start := time.Now()
		got = ask(t, h, webhookOf(fault))
		took := time.Since(start)
		if got.Code != http.StatusServiceUnavailable || got.Reason != "busy" || took > 20*time.Second {
			t.Errorf("no answer: got %d %q after %v, want 503 busy after 20 s",
				got.Code, got.Reason, took)
		}
	})
}

// Refused webhooks are logged once a minute, with their number.
func TestRefusalsAreSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		opts := &relay.HandlerOptions{Tokens: []string{"right"}}
		h := webhook(t, newGateway(), opts, slog.New(slog.NewTextHandler(&log, nil)))
		for range 1000 {
			req := webhookOf(fault)
			req.URL.RawQuery = "token=almost-right"
			ask(t, h, req)
			time.Sleep(100 * time.Millisecond)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 ||
			!strings.Contains(log.String(), "refused=600") ||
			!strings.Contains(log.String(), "192.0.2.1") {
			t.Errorf("1000 refusals in 100 s are logged as\n%s"+
				"want two lines that count them and name the sender", log.String())
		}
		if strings.Contains(log.String(), "right") {
			t.Errorf("a secret, or nearly one, is in the log:\n%s", log.String())
		}
	})
}

// The test of webhook.New has the other errors.
func TestNewHandlerRefuses(t *testing.T) {
	r, err := relay.New(memstore.New(), nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		opts *relay.HandlerOptions
		says string
	}{
		"nil":             {nil, "relay: nothing says who"},
		"nobody":          {&relay.HandlerOptions{}, "relay: nothing says who"},
		"an empty token":  {&relay.HandlerOptions{Tokens: []string{"sesame", ""}}, "token 2 of 2"},
		"no password":     {&relay.HandlerOptions{Basic: []string{"sesame"}}, "user:password"},
		"every network":   {&relay.HandlerOptions{Allow: prefixes("0.0.0.0/0")}, "every address"},
		"a negative size": {&relay.HandlerOptions{NoAuth: true, MaxBytes: -1}, "MaxBytes"},
		"NoAuth and a source": {
			&relay.HandlerOptions{NoAuth: true, TokenSource: func() []string { return nil }}, "NoAuth",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := relay.NewHandler(r, test.opts)
			if err == nil || !strings.Contains(err.Error(), test.says) ||
				strings.Contains(err.Error(), "sesame") {
				t.Errorf("NewHandler says %v, want an error with %q and no secret", err, test.says)
			}
		})
	}
}

func prefixes(networks ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(networks))
	for i, n := range networks {
		list[i] = netip.MustParsePrefix(n)
	}
	return list
}

// A refusal of the receiver is answered with its code, headers and message. Nothing is kept.
func TestHandlerAnswersRefusals(t *testing.T) {
	opts := &relay.HandlerOptions{Tokens: []string{"sesame"}, Allow: prefixes("192.0.2.0/24")}
	const bearer = `Bearer realm="guance"`
	tests := map[string]struct {
		peer, token, coding string
		code                int
		header, value, says string
	}{
		"accepted":        {"192.0.2.1:1", "sesame", "", 202, "", "", ""},
		"another network": {"198.51.100.1:1", "sesame", "", 403, "", "", "this address"},
		"no secret":       {"192.0.2.1:1", "", "", 401, "WWW-Authenticate", bearer, "no valid secret"},
		"another coding":  {"192.0.2.1:1", "sesame", "br", 415, "Accept-Encoding", "gzip", "gzip"},
		"not gzip":        {"192.0.2.1:1", "sesame", "gzip", 400, "", "", "gzip"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			db := newGateway()
			req := webhookOf(fault)
			req.RemoteAddr = test.peer
			req.Header.Set("X-Relay-Token", test.token)
			req.Header.Set("Content-Encoding", test.coding)
			got := ask(t, webhook(t, db, opts, nolog), req)
			if got.Code != test.code || !strings.Contains(got.Message, test.says) ||
				got.Header.Get(test.header) != test.value {
				t.Errorf("got %d %q with %v, want %+v", got.Code, got.Message, got.Header, test)
			}
			if (db.count() > 0) != (test.code == http.StatusAccepted) {
				t.Errorf("%d and %d entries kept", got.Code, db.count())
			}
		})
	}
}

// Neither the options nor the handler show a secret, whatever verb prints them.
func TestSecretsAreNotPrinted(t *testing.T) {
	opts := relay.HandlerOptions{Tokens: []string{"sesame"}, Basic: []string{"ali:sesame"}}
	h := webhook(t, newGateway(), &opts, nolog)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "opts", opts, "pointer", &opts, "handler", h)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "opts", opts, "pointer", &opts, "handler", h)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&log, verb+verb+verb+"\n", opts, &opts, h)
	}
	// A digest must not show either: a short secret can be found from it.
	digest := sha256.Sum256([]byte("sesame"))
	for _, leak := range []string{
		"sesame", fmt.Sprintf("%x", "sesame"), fmt.Sprintf("%d", []byte("sesame"))[1:],
		fmt.Sprintf("%x", digest[:4]), fmt.Sprintf("%d", digest[:4])[1:9],
		fmt.Sprintf("%#v", digest[:4])[7:20],
	} {
		if strings.Contains(log.String(), leak) {
			t.Errorf("%q is in what was printed:\n%s", leak, log.String())
		}
	}
	if strings.Count(log.String(), "relay.HandlerOptions{not shown}") < 10 {
		t.Errorf("the options were not printed:\n%s", log.String())
	}
}
