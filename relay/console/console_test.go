package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/console"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

// A desk is a relay with a console that a test operates.
type desk struct {
	*testing.T
	relay *relay.Relay
	http  http.Handler
	log   *lockedBuffer

	mu   sync.Mutex
	fail error // the answer of the target
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (d *desk) answer(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = err
}

func newDesk(t *testing.T, opts *console.Options) *desk {
	t.Helper()
	d := &desk{T: t, log: &lockedBuffer{}}
	var err error
	d.relay, err = relay.New(memstore.New(), &relay.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	d.relay.Handle("pager", relay.SinkFunc(func(context.Context, *relay.Delivery) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.fail
	}), &relay.SinkOptions{PerMinute: 6000})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- d.relay.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	d.until("the lane runs", func() bool { return d.lane().State == relay.Idle })
	if opts == nil {
		opts = &console.Options{
			Authorize:  func(*http.Request) console.Permission { return console.Act },
			UserHeader: "X-User",
		}
	}
	opts.Logger = slog.New(slog.NewTextHandler(d.log, nil))
	if d.http, err = console.New(d.relay, opts); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) do(req *http.Request) *httptest.ResponseRecorder {
	if req.Host == "example.com" {
		req.Host = "localhost:9090"
	}
	w := httptest.NewRecorder()
	d.http.ServeHTTP(w, req)
	return w
}

// call makes a call of the API and decodes its answer.
func (d *desk) call(want int, method, target string) map[string]any {
	d.Helper()
	req := httptest.NewRequest(method, "/"+target, nil)
	req.Header.Set("X-User", "li@example.org")
	w := d.do(req)
	if w.Code != want {
		d.Fatalf("%s %s: %d %s, want %d", method, target, w.Code, w.Body, want)
	}
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		d.Fatalf("%s %s: %v\n%s", method, target, err, w.Body)
	}
	return answer
}

func (d *desk) page(target, language string) string {
	d.Helper()
	req := httptest.NewRequest("GET", "/"+target, nil)
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Accept-Language", language)
	w := d.do(req)
	if w.Code != 200 {
		d.Fatalf("GET %s: %d %s", target, w.Code, w.Body)
	}
	return w.Body.String()
}

func (d *desk) accept(key, status, title string) {
	d.Helper()
	_, err := d.relay.Accept(d.Context(), &guance.Event{
		EventID: key + status, EventRef: key, Status: guance.Status(status), Title: title,
	})
	if err != nil {
		d.Fatal(err)
	}
}

// until waits until a condition holds.
func (d *desk) until(what string, holds func() bool) {
	d.Helper()
	for start := time.Now(); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			d.Fatalf("it never came to this: %s", what)
		}
	}
}

func (d *desk) lane() relay.LaneStats { return d.relay.Stats().Lanes[0] }

func entries(answer map[string]any) []any { return answer["entries"].([]any) }

// Everything that an operator does, from a pause to a replay.
func TestActions(t *testing.T) {
	d := newDesk(t, nil)
	if got := d.call(200, "GET", "api/lanes"); got["condition"] != "ok" {
		t.Errorf("the lanes are %v", got)
	}
	d.call(200, "POST", "api/pause?lane=pager&minutes=30")
	for i := range 5 {
		d.accept(fmt.Sprint("p", i), "warning", "disk")
	}
	d.until("five entries wait", func() bool { return d.lane().Backlog == 5 })
	if l := d.lane(); l.State != relay.Held || l.Pause == nil || l.Pause.By != "li@example.org" {
		t.Errorf("the lane is %+v", l)
	}
	if got := d.call(200, "GET", "api/lanes"); got["condition"] != "trouble" {
		t.Errorf("a paused lane is %v", got["condition"])
	}
	d.call(200, "POST", "api/send-now?seq=4")
	page := d.call(200, "GET", "api/waiting?limit=2")
	first := entries(page)[0].(map[string]any)
	if first["problem"] != "p3" || first["why"] != "held" || first["level"] != "warning" ||
		page["next"] != 2.0 {
		t.Errorf("what waits is %v", page)
	}
	d.call(200, "POST", "api/drop-pending?seq=5")
	d.answer(relay.Permanent(errors.New("never")))
	d.call(200, "POST", "api/resume?lane=pager")
	d.until("everything is dead", func() bool { return d.lane().Dead == 5 })
	dead := entries(d.call(200, "GET", "api/dead?body=1"))
	if len(dead) != 5 || dead[4].(map[string]any)["reason"] != "dropped by li@example.org" ||
		dead[0].(map[string]any)["body"].(map[string]any)["df_title"] != "disk" {
		t.Errorf("the dead letters are %v", dead)
	}
	d.answer(nil)
	d.call(200, "POST", "api/replay?seq=1")
	if got := d.call(200, "POST", "api/drop?seq=2"); got["done"] != 1.0 {
		t.Errorf("drop: %v", got)
	}
	d.call(404, "POST", "api/drop?seq=2")
	if got := d.call(200, "POST", "api/replay?all=yes"); got["done"] != 3.0 {
		t.Errorf("replay of all: %v", got)
	}
	d.until("all were delivered", func() bool { return d.lane().Delivered == 4 })
	if got := entries(d.call(200, "GET", "api/recent")); len(got) < 4 {
		t.Errorf("recent entries: %v", got)
	}
	d.answer(relay.Permanent(errors.New("never")))
	d.accept("q", "error", "disk")
	d.until("it is dead", func() bool { return d.lane().Dead == 6 })
	if got := d.call(200, "POST", "api/drop?all=yes"); got["done"] != 1.0 {
		t.Errorf("drop of all: %v", got)
	}
	d.answer(nil)
	if got := d.call(200, "POST", "api/test"); got["outcome"] != "delivered" {
		t.Errorf("a test page: %v", got)
	}
	if got := d.call(200, "GET", "api/problem?key=p0"); got["problem"] != "p0" {
		t.Errorf("the history is %v", got)
	}
	for _, action := range []string{"pause", "resume", "send-now", "drop-pending", "replay", "drop",
		"test"} {
		if line := "action=" + action + " lane=pager user=li@example.org"; !strings.Contains(
			d.log.String(), line) {
			t.Errorf("the log has no line %q\n%s", line, d.log)
		}
	}
}

// Calls that are wrong change nothing.
func TestMistakes(t *testing.T) {
	d := newDesk(t, nil)
	for target, code := range map[string]int{
		"POST api/pause": 400, "POST api/pause?minutes=0": 400, "POST api/pause?minutes=1441": 400,
		"POST api/pause?lane=none&minutes=1": 404, "POST api/replay": 400, "POST api/drop": 400,
		"POST api/drop?all=no": 400, "POST api/replay?all=yes&seq=1": 400, "POST api/drop?sqe=1": 400,
		"POST api/drop?seq=1&seq=2": 400, "POST api/send-now?seq=9": 404, "GET api/none": 404,
		"GET api/pause": 405, "POST api/lanes": 405, "GET api/problem": 400,
		"GET api/problem?key=none": 404, "GET api/waiting?level=bad": 400,
		"GET api/waiting?limit=1001": 400, "GET api/dead?body=2": 400, "GET static/none.js": 404,
	} {
		method, path, _ := strings.Cut(target, " ")
		if got := d.call(code, method, path); got["status"] != "error" || got["message"] == "" {
			t.Errorf("%s: %v", target, got)
		}
	}
}

// Reading and acting are two permissions, and pages of other origins and hosts do neither.
func TestSafety(t *testing.T) {
	allowed := console.None
	opts := &console.Options{Authorize: func(*http.Request) console.Permission { return allowed }}
	d := newDesk(t, opts)
	reads := []string{"", "lane", "dead", "api/lanes", "api/waiting", "static/console.js"}
	for permission, codes := range map[console.Permission][2]int{
		console.None: {403, 403}, console.Read: {200, 403}, console.Act: {200, 200},
	} {
		allowed = permission
		for _, target := range reads {
			if w := d.do(httptest.NewRequest("GET", "/"+target, nil)); w.Code != codes[0] {
				t.Errorf("permission %d, GET %s: %d, want %d", permission, target, w.Code, codes[0])
			}
		}
		w := d.do(httptest.NewRequest("POST", "/api/resume", nil))
		if w.Code != codes[1] {
			t.Errorf("permission %d, POST: %d, want %d", permission, w.Code, codes[1])
		}
		if permission == console.Read && strings.Contains(d.page("lane", "en"), `method="post"`) {
			t.Error("a page for reading has actions")
		}
	}
	allowed = console.Act // the map above has no order
	foreign := httptest.NewRequest("POST", "/api/resume", nil)
	foreign.Header.Set("Origin", "https://evil.example")
	if w := d.do(foreign); w.Code != 403 {
		t.Errorf("a request of another origin: %d, want 403", w.Code)
	}
	rebound := httptest.NewRequest("GET", "/api/lanes", nil)
	rebound.Host = "evil.example:9090"
	if w := d.do(rebound); w.Code != http.StatusMisdirectedRequest {
		t.Errorf("a request for another host: %d, want 421", w.Code)
	}
	w := d.do(httptest.NewRequest("GET", "/", nil))
	for name, part := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'", "Cache-Control": "no-store",
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
	} {
		if got := w.Header().Get(name); !strings.Contains(got, part) {
			t.Errorf("%s is %q, want %q", name, got, part)
		}
	}
}

// Without Authorize, everybody reads and nobody acts.
func TestDefaults(t *testing.T) {
	d := newDesk(t, &console.Options{})
	d.call(200, "GET", "api/lanes")
	d.call(403, "POST", "api/resume")
	if _, err := console.New(nil, nil); err == nil {
		t.Error("New without a relay gives no error")
	}
	if _, err := console.New(d.relay, &console.Options{Hosts: []string{"https://a"}}); err == nil {
		t.Error("New with a host that is none gives no error")
	}
}

// hostile is the text of an attacker: HTML, a script, terminal escapes, a change of direction.
const hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x1b[31m\u202egnp\u2066" +
	"\u200b\u3164 javascript:alert(1)"

// The text of a stranger is shown harmlessly, in every field that it reaches.
func TestHostileText(t *testing.T) {
	d := newDesk(t, nil)
	d.answer(relay.Permanent(errors.New(hostile)))
	d.accept(hostile, "critical", hostile)
	d.until("it is dead", func() bool { return d.lane().Dead == 1 })
	pause := httptest.NewRequest("POST", "/api/pause?minutes=30&reason="+url.QueryEscape(hostile), nil)
	pause.Header.Set("X-User", hostile)
	if w := d.do(pause); w.Code != 200 {
		t.Fatalf("pause: %d %s", w.Code, w.Body)
	}
	d.accept(hostile+"2", "critical", hostile)
	d.until("it waits", func() bool { return d.lane().Backlog == 1 })
	_, err := d.relay.Accept(d.Context(), &guance.Event{
		EventID: hostile, EventRef: "p", Title: hostile, Status: guance.StatusError,
	})
	if err != nil {
		t.Fatal(err)
	}
	key := url.QueryEscape(hostile)
	targets := []string{"", "lane", "dead", "dead?seq=1", "problem?key=" + key, "lane?done=" + key,
		"lane?done=drop&n=" + key, "problem?key=" + key + "2", "open", "lane?text=" + key,
		"lane?tag=" + key, "lane?text=script", "dead?text=" + key, "dead?tag=" + key,
		"POST api/drop-pending?text=" + key, "POST api/drop?tag=" + key, "POST api/drop?text=script"}
	for _, target := range targets {
		path, post := strings.CutPrefix(target, "POST ")
		req := httptest.NewRequest(map[bool]string{true: "POST", false: "GET"}[post], "/"+path, nil)
		req.Header.Set("Accept", "text/html")
		req.Header.Set("X-User", hostile)
		w := d.do(req)
		if w.Code != 200 {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
		text := w.Body.String()
		for _, bad := range []string{"<script>", "<img", "\x1b", "\u202e", "\u2066", "\u200b", "\u3164",
			`href="javascript:`} {
			if strings.Contains(text, bad) {
				t.Errorf("the page %q has %q", target, bad)
			}
		}
	}
	terminal := httptest.NewRequest("GET", "/api/problem?key="+key, nil)
	terminal.Header.Set("Accept", "text/plain")
	if w := d.do(terminal); w.Code != 200 || strings.ContainsAny(w.Body.String(),
		"\x1b\u202e\u2066\u200b\u3164") || !strings.Contains(w.Body.String(), "lane pager, problem") {
		t.Errorf("a history as text: %d %q", w.Code, w.Body)
	}
	errorPage := httptest.NewRequest("GET", "/lane?lane="+key, nil)
	errorPage.Header.Set("Accept", "text/html")
	if w := d.do(errorPage); w.Code != 404 || strings.Contains(w.Body.String(), "<img") {
		t.Errorf("the page of an error: %d %s", w.Code, w.Body)
	}
	for _, target := range []string{"api/lanes", "api/waiting", "api/dead?body=1", "api/recent",
		"api/problem?key=" + key, "api/waiting?level=" + key, "api/open", "api/waiting?text=script",
		"api/dead?text=script"} {
		w := d.do(httptest.NewRequest("GET", "/"+target, nil))
		if strings.ContainsAny(w.Body.String(), "<>\x1b\u202e\u2066\u200b\u3164") {
			t.Errorf("%s has characters that are not escaped: %s", target, w.Body)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s is no JSON: %s", target, w.Body)
		}
	}
	if got := entries(d.call(200, "GET", "api/dead"))[0].(map[string]any)["problem"]; got != hostile {
		t.Errorf("the key is %q in JSON, want it unchanged", got)
	}
}

// The page speaks two languages, and its links and forms are relative.
func TestPages(t *testing.T) {
	d := newDesk(t, nil)
	d.call(200, "POST", "api/pause?minutes=30")
	for i := range 60 {
		d.accept(fmt.Sprint("p", i), "error", "磁盘")
	}
	d.until("all wait", func() bool { return d.lane().Backlog == 60 })
	for _, test := range []struct{ target, language, want string }{
		{"", "en-GB,zh;q=0.5", "Paused by an operator"},
		{"", "zh-CN,en;q=0.5", "已被操作员暂停"},
		{"?lang=en", "zh-CN", "Paused by an operator"},
		{"?lang=zh", "en", "已被操作员暂停"},
		{"", "fr", "Paused by an operator"},
		{"lane", "en", "an operator paused the lane"},
		{"lane", "zh", "操作员暂停了通道"},
		{"lane?level=error", "en", "Looked at 50 of 60"},
		{"lane?level=fatal", "en", "Nothing is waiting."},
		{"lane?offset=50", "en", "First page"},
		{"dead", "en", "There are no dead letters."},
		{"problem?key=p1", "en", "the lane was paused by li@example.org"},
		{"lane?done=pause", "zh", "通道已暂停。"},
	} {
		text := d.page(test.target, test.language)
		if !strings.Contains(text, test.want) {
			t.Errorf("the page %q in %s lacks %q", test.target, test.language, test.want)
		}
		for _, absolute := range []string{`href="/`, `src="/`, `action="/`, "http://", "https://",
			" style=", "<style", "onclick"} {
			if strings.Contains(text, absolute) {
				t.Errorf("the page %q has %q", test.target, absolute)
			}
		}
	}
	form := httptest.NewRequest("POST", "/api/pause?lane=pager", strings.NewReader("minutes=5"))
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	form.Header.Set("Accept", "text/html")
	w := d.do(form)
	if got := w.Header().Get("Location"); w.Code != 303 || got != "../lane?done=pause&lane=pager&n=0" {
		t.Errorf("a form leads to %d %q", w.Code, got)
	}
}

// The stream says each change.
func TestEvents(t *testing.T) {
	d := newDesk(t, nil)
	server := httptest.NewServer(d.http)
	defer server.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	req, _ := http.NewRequestWithContext(ctx, "GET", server.URL+"/api/events", nil)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(io.LimitReader(resp.Body, 1<<20))
	next := func(part string) {
		t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && strings.Contains(data, part) {
				return
			}
		}
		t.Fatalf("the stream has no %q: %v", part, lines.Err())
	}
	next(`"state":"idle"`)
	d.call(200, "POST", "api/pause?minutes=30")
	next(`"state":"held"`)
}

// The document describes each call: its parameters, its permission and its answer.
func TestOpenAPI(t *testing.T) {
	d := newDesk(t, nil)
	w := d.do(httptest.NewRequest("GET", "/api/openapi.json", nil))
	var doc struct {
		Paths map[string]map[string]struct {
			Permission string `json:"x-permission"`
			Parameters []struct {
				Name     string
				Required bool
			}
			Responses map[string]struct {
				Content map[string]struct{ Schema schema }
			}
		}
		Components struct{ Schemas map[string]schema }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	routes := console.Routes(d.http)
	described := 0
	for path, methods := range doc.Paths {
		for method, op := range methods {
			described++
			var names []string
			for _, p := range op.Parameters {
				names = append(names, p.Name)
			}
			want, ok := routes[strings.ToUpper(method)+" "+strings.TrimPrefix(path, "/")]
			if got := op.Permission + " " + strings.Join(names, " "); !ok || got != want {
				t.Errorf("%s %s is described as %q, and is %q", method, path, got, want)
			}
		}
	}
	if described != len(routes) {
		t.Errorf("%d calls are described, and there are %d: %v", described, len(routes), routes)
	}
	check := func(method, target string) {
		t.Helper()
		answer := d.call(200, method, target)
		path, _, _ := strings.Cut("/"+target, "?")
		s := doc.Paths[path][strings.ToLower(method)].Responses["200"].Content["application/json"].Schema
		s.check(t, target, answer, doc.Components.Schemas)
	}
	d.answer(relay.Permanent(errors.New("never")))
	d.accept("dead", "error", "disk")
	d.until("it is dead", func() bool { return d.lane().Dead == 1 })
	d.answer(errors.New("down"))
	for i := range 9 {
		d.accept(fmt.Sprint("p", i), "error", "disk")
	}
	d.until("the target is down", func() bool { return d.lane().Stuck != nil })
	check("GET", "api/lanes")
	check("GET", "api/waiting?limit=5")
	check("GET", "api/recent")
	check("GET", "api/problem?key=dead")
	check("GET", "api/dead?body=1")
	check("POST", "api/pause?minutes=1")
	check("GET", "api/lanes")
	check("GET", "api/waiting?limit=5")
	check("POST", "api/resume")
	check("GET", "api/open")
	check("GET", "api/dead?text=disk")
	check("POST", "api/drop-pending?level=error")
	check("POST", "api/replay?level=error")
	check("POST", "api/drop?level=error")
	check("POST", "api/drop?all=yes")
}

// A schema is what the document says of a value.
type schema struct {
	Ref        string `json:"$ref"`
	Type       string
	Enum       []any
	Properties map[string]schema
	Required   []string
	Items      *schema
	Additional *schema `json:"additionalProperties"`
}

// check fails if a value is not as the schema says, or has what the schema does not name.
func (s schema) check(t *testing.T, at string, v any, all map[string]schema) {
	t.Helper()
	if s.Ref != "" {
		s = all[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	kind := map[bool]string{true: s.Type}[s.Type != ""]
	switch v := v.(type) {
	case map[string]any:
		if kind != "" && kind != "object" {
			t.Errorf("%s is an object, and described as %s", at, kind)
		}
		for name, value := range v {
			p, ok := s.Properties[name]
			switch {
			case ok:
				p.check(t, at+"."+name, value, all)
			case s.Additional != nil:
				s.Additional.check(t, at+"."+name, value, all)
			case kind == "object":
				t.Errorf("%s has %q, which is not described", at, name)
			}
		}
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				t.Errorf("%s lacks %q", at, name)
			}
		}
	case []any:
		if s.Items == nil {
			t.Errorf("%s is an array, and not described as one", at)
			return
		}
		for _, value := range v {
			s.Items.check(t, at+"[]", value, all)
		}
	case string:
		if kind != "string" && kind != "" || len(s.Enum) > 0 && !slices.Contains(s.Enum, any(v)) {
			t.Errorf("%s is %q, which is not described", at, v)
		}
	case float64:
		if kind != "number" && kind != "integer" {
			t.Errorf("%s is a number, and described as %q", at, kind)
		}
	}
}

// Everything that the templates say is said in Chinese too.
func TestTranslations(t *testing.T) {
	if missing := console.Untranslated(); len(missing) > 0 {
		t.Errorf("the Chinese page says in English: %q", missing)
	}
}

// The overview says which lanes need somebody, shows them first, and what to do once.
func TestTroubleFirst(t *testing.T) {
	d := newDesk(t, nil)
	d.answer(&hinted{errors.New("the door is closed. Hint: knock")})
	d.accept("p", "critical", "disk")
	d.until("it is stuck", func() bool { return d.lane().Stuck != nil })
	text := d.page("", "en")
	for _, want := range []string{`look at <a href="lane?lane=pager"><bdi>pager</bdi></a>`,
		"the door is closed", "What to do"} {
		if !strings.Contains(text, want) {
			t.Errorf("the overview lacks %q", want)
		}
	}
	if n := strings.Count(text, "knock"); n != 1 {
		t.Errorf("the overview says %d times what to do, want once:\n%s", n, text)
	}
}

// A hinted error says what a person can do.
type hinted struct{ error }

func (h *hinted) Remedy() string { return "knock" }
