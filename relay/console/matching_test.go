package console_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
)

// held returns a desk with ten problems that wait: of them five of host a and five of host b.
func held(t *testing.T) *desk {
	d := newDesk(t, nil)
	d.call(200, "POST", "api/pause?minutes=30&reason="+url.QueryEscape("the target moves"))
	for i := range 10 {
		d.acceptTagged(i, []string{"a", "b"}[i%2])
	}
	d.until("ten entries wait", func() bool { return d.lane().Backlog == 10 })
	return d
}

func (d *desk) acceptTagged(i int, host string) {
	d.Helper()
	_, err := d.relay.Accept(d.Context(), &guance.Event{
		EventID: fmt.Sprint("e", i), EventRef: fmt.Sprint("p", i), Status: guance.StatusError,
		Title: fmt.Sprint("Disk ", i), DimensionTags: map[string]string{"host": host},
	})
	if err != nil {
		d.Fatal(err)
	}
}

// confirm makes both calls of an action on all that matches.
func (d *desk) confirm(target string, matching int) map[string]any {
	d.Helper()
	first := d.call(200, "POST", target)
	if first["status"] != "confirm" || first["matching"] != float64(matching) || first["done"] != 0.0 {
		d.Fatalf("%s: %v, want %d that match", target, first, matching)
	}
	return d.call(200, "POST", fmt.Sprintf("%s&count=%v&through=%v", target, first["matching"],
		first["through"]))
}

// What is searched is found, page by page, and what matches is dropped and replayed.
func TestMatching(t *testing.T) {
	d := held(t)
	page := d.call(200, "GET", "api/waiting?tag=host%3Da&text=DISK&level=error,fatal&limit=3")
	if len(entries(page)) != 3 || page["next"] != 3.0 || page["pending"] != 10.0 {
		t.Errorf("a search: %v", page)
	}
	page = d.call(200, "GET", "api/waiting?text=disk+7")
	if len(entries(page)) != 1 || page["looked"] != 10.0 || page["next"] != nil {
		t.Errorf("a search for one: %v", page)
	}
	if got := d.confirm("api/drop-pending?tag=host%3Da", 5); got["done"] != 5.0 {
		t.Errorf("drop of what matches: %v", got)
	}
	d.until("five wait", func() bool { return d.lane().Backlog == 5 })
	if got := d.confirm("api/drop-pending?all=yes", 5); got["done"] != 5.0 {
		t.Errorf("drop of all: %v", got)
	}
	dead := d.call(200, "GET", "api/dead?tag=host%3Db&limit=2")
	if len(entries(dead)) != 2 || dead["next"] == nil {
		t.Errorf("dead letters of b: %v", dead)
	}
	dead = d.call(200, "GET", fmt.Sprint("api/dead?tag=host%3Db&after=", dead["next"]))
	if len(entries(dead)) != 3 || dead["next"] != nil {
		t.Errorf("the rest of the dead letters of b: %v", dead)
	}
	if got := d.confirm("api/drop?text=disk+3", 1); got["done"] != 1.0 {
		t.Errorf("drop of dead letters that match: %v", got)
	}
	if got := d.confirm("api/replay?tag=host%3Db", 4); got["done"] != 4.0 || got["stale"] != 0.0 {
		t.Errorf("replay of what matches: %v", got)
	}
	d.until("four wait", func() bool { return d.lane().Backlog == 4 })
	log := d.log.String()
	for _, line := range []string{
		`action=drop-pending lane=pager user=li@example.org done=5 stale=0 tag="host=a"`,
		`action=drop-pending lane=pager user=li@example.org done=5 stale=0 all=yes`,
		`action=replay lane=pager user=li@example.org done=4 stale=0 tag="host=b"`,
		`action=pause lane=pager user=li@example.org done=0 stale=0 minutes=30 reason="the target moves"`,
	} {
		if strings.Count(log, line) != 1 {
			t.Errorf("the log has not one line %q\n%s", line, log)
		}
	}
}

// A second call changes no more than the first one counted, and nothing that came later.
func TestConfirmation(t *testing.T) {
	d := held(t)
	first := d.call(200, "POST", "api/drop-pending?tag=host%3Da")
	d.acceptTagged(12, "a")
	d.until("eleven wait", func() bool { return d.lane().Backlog == 11 })
	second := fmt.Sprintf("api/drop-pending?tag=host%%3Da&through=%v", first["through"])
	d.call(409, "POST", second+"&count=4")
	d.call(400, "POST", second)
	d.call(400, "POST", "api/drop-pending?tag=host%3Da&count=5")
	d.call(400, "POST", "api/drop-pending?count=5&through=10")
	d.call(400, "POST", "api/drop-pending?tag=host&seq=1")
	d.call(400, "POST", "api/drop-pending?all=no")
	d.call(400, "POST", "api/drop-pending?level=bad")
	d.call(400, "POST", "api/drop-pending?text="+strings.Repeat("x", 201))
	d.call(400, "GET", "api/open?from=%25")
	if got := d.lane().Backlog; got != 11 {
		t.Fatalf("%d entries are pending, want 11", got)
	}
	if got := d.call(200, "POST", second+"&count=5"); got["done"] != 5.0 {
		t.Errorf("the second call: %v, want 5 done", got)
	}
	rest := d.call(200, "GET", "api/waiting?tag=host%3Da")
	if got := entries(rest); len(got) != 1 || got[0].(map[string]any)["problem"] != "p12" {
		t.Errorf("what came after the first call: %v, want it to wait", rest)
	}
}

// On the page, a form leads to a question, and the question to the action.
func TestConfirmationPage(t *testing.T) {
	d := held(t)
	text := d.page("lane?tag=host%3Da", "zh")
	const form = `action="api/drop-pending?lane=pager&amp;tag=host%3Da"`
	if !strings.Contains(text, form) || !strings.Contains(text, "已查看") {
		t.Fatalf("the page has no form to drop what matches:\n%s", text)
	}
	post := func(target string) *httptest.ResponseRecorder {
		req := httptest.NewRequest("POST", "/"+target, nil)
		req.Header.Set("Accept", "text/html")
		return d.do(req)
	}
	w := post("api/drop-pending?lane=pager&tag=host%3Da")
	const second = `action="drop-pending?count=5&amp;lane=pager&amp;tag=host%3Da&amp;through=`
	for _, part := range []string{second, `href="../static/console.css"`, "data-stays",
		`href="../lane?lane=pager&amp;tag=host%3Da"`} {
		if w.Code != 200 || !strings.Contains(w.Body.String(), part) {
			t.Errorf("the question: %d, lacks %q:\n%s", w.Code, part, w.Body)
		}
	}
	_, rest, _ := strings.Cut(w.Body.String(), `action="`)
	action, _, _ := strings.Cut(rest, `"`)
	w = post("api/" + strings.ReplaceAll(action, "&amp;", "&"))
	if got := w.Header().Get("Location"); w.Code != 303 ||
		got != "../lane?done=drop-pending&lane=pager&n=5" {
		t.Errorf("the action leads to %d %q", w.Code, got)
	}
	d.until("five wait", func() bool { return d.lane().Backlog == 5 })
}

// The problems that the target shows.
func TestOpen(t *testing.T) {
	d := newDesk(t, nil)
	for i := range 3 {
		d.accept(fmt.Sprint("p", i), "critical", "disk")
	}
	d.until("three were delivered", func() bool { return d.lane().Delivered == 3 })
	d.accept("p0", "ok", "disk")
	d.until("it was resolved", func() bool { return d.lane().Delivered == 4 })
	page := d.call(200, "GET", "api/open?limit=1")
	next := d.call(200, "GET", fmt.Sprint("api/open?from=", page["next"]))
	all := append(page["problems"].([]any), next["problems"].([]any)...)
	if len(all) != 2 || next["next"] != nil {
		t.Fatalf("open problems: %v and %v", page, next)
	}
	for _, o := range all {
		if o := o.(map[string]any); o["level"] != "critical" || o["problem"] == "p0" {
			t.Errorf("an open problem: %v", o)
		}
	}
	if text := d.page("open", "en"); !strings.Contains(text, `href="problem?key=p1"`) ||
		strings.Contains(text, `href="problem?key=p0"`) {
		t.Errorf("the page of open problems:\n%s", text)
	}
}

// The Chinese page gives the relay's reasons in Chinese, and what others said as they said it.
func TestReasonsInChinese(t *testing.T) {
	d := newDesk(t, nil)
	d.answer(relay.Permanent(errors.New("Bad Request")))
	d.accept("refused", "error", "disk")
	d.until("it is dead", func() bool { return d.lane().Dead == 1 })
	d.call(200, "POST", "api/pause?minutes=30&reason=upgrade")
	d.accept("dropped", "error", "disk")
	d.accept("p", "error", "disk")
	d.accept("p", "warning", "disk")
	d.until("two wait", func() bool { return d.lane().Backlog == 2 })
	d.call(200, "POST", "api/drop-pending?text=dropped")
	d.confirm("api/drop-pending?text=dropped", 1)
	for target, want := range map[string][]string{
		"dead":          {"Bad Request", "由 li@example.org 丢弃"},
		"problem?key=p": {"通道已被暂停，操作者 li@example.org: upgrade", "发送前已被本问题的条目"},
		"lane":          {"已暂停，操作者：", "upgrade", "操作员暂停了通道"},
		"":              {"已暂停，操作者："},
	} {
		text := d.page(target, "zh")
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("the Chinese page %q lacks %q", target, part)
			}
		}
		for _, english := range []string{"dropped by", "was paused", "replaced it", "Paused by"} {
			if strings.Contains(text, english) {
				t.Errorf("the Chinese page %q has %q", target, english)
			}
		}
	}
}
