package e2e

import (
	"bytes"
	"flag"
	"image/png"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

var updateImages = flag.Duration("update-images", 0,
	"let TestViews take the pictures of docs/images, after so long a storm")

// A view is a page of the console with something in it.
type view struct{ name, path string }

// newDesk starts a server with something to see: a lane with a backlog, one whose key PagerDuty
// does not know, one that has nothing to do, and dead letters.
func newDesk(t *testing.T, events, problems int) (*server, []view) {
	t.Helper()
	s := startServer(t, 120)
	s.refuse("证书即将过期")
	s.Poison(func(r pagerdutytest.Request) bool {
		return r.Key == pagerdutytest.KeyLabel(paymentKey)
	}, pagerdutytest.Fault{Status: http.StatusUnauthorized})
	for _, host := range []string{"shop.example.com", "api.example.com", "pay.example.com"} {
		s.post(fault(guance.LevelError, "证书即将过期", "host", host))
	}
	s.dead(t, "oncall", 3)
	for _, region := range []string{"eu-1", "cn-2", "cn-3"} {
		s.post(fault(guance.LevelCritical, "支付失败率 payment failures", "service", "payments",
			"region", region))
	}
	s.post(fault(guance.LevelWarning, "nightly backup", "service", "archive"))
	var last *guance.Event
	storm := guancetest.Storm{Problems: problems, Events: events, Start: time.Now()}
	for d := range storm.Deliveries() {
		s.post(d.Event)
		last = d.Event
	}
	return s, []view{
		{"overview", ""},
		{"waiting", "lane?lane=oncall"},
		{"trouble", "lane?lane=payments"},
		{"idle", "lane?lane=archive"},
		{"search", "lane?lane=oncall&level=critical&text=cpu"},
		{"open", "open?lane=oncall"},
		{"dead", "dead?lane=oncall"},
		{"event", "dead?lane=oncall&seq=1"},
		{"problem", "problem?key=" + url.QueryEscape(last.ProblemKey())},
		{"error", "lane?lane=none"},
	}
}

// Each page has no serious finding of axe-core, fits into the width of the screen, and shows times
// in the zone of the browser.
func TestViews(t *testing.T) {
	b := newBrowser(t)
	events, problems := 150, 60
	if *updateImages > 0 {
		events, problems = 3000, 1500
	}
	s, views := newDesk(t, events, problems)
	time.Sleep(*updateImages)
	for _, l := range looks {
		t.Run(l.String(), func(t *testing.T) {
			tab := b.open(t, s.console, "", l)
			for _, v := range views {
				if *updateImages > 0 {
					tab.picture(v, l)
					continue
				}
				tab.visit(v.path)
				tab.audit(v.name)
				lang := eval[string](tab, "document.documentElement.lang")
				if !strings.HasPrefix(lang, l.language) {
					t.Errorf("%s: the language of the page is %q", v.name, lang)
				}
				if over := eval[int](tab, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
					t.Errorf("%s is %d pixels wider than the screen", v.name, over)
				}
				if zone := eval[bool](tab, `[...document.querySelectorAll("footer time")].every(t => {
					const local = new Date(Date.parse(t.dateTime) + 8 * 3600e3).toISOString().slice(11, 19);
					return t.textContent.includes(local)})`); !zone {
					t.Errorf("%s does not show the time in the zone of the browser", v.name)
				}
			}
		})
	}
}

// picture takes a picture of a page for the documents, if they have this look of it.
func (t *tab) picture(v view, l look) {
	t.Helper()
	name := v.name
	switch {
	case l.language == "en" && !l.dark:
	case l.language == "zh" && l.width == 390:
		name += "-390"
	case l.language == "zh" && (name == "overview" || name == "waiting"):
		name += "-zh"
	default:
		return
	}
	t.visit(v.path)
	t.until(`document.getElementById("stream").textContent !== ""`)
	taken, err := chromedp.Run(t.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(taken))
	if err != nil {
		t.Fatal(err)
	}
	var small bytes.Buffer
	best := png.Encoder{CompressionLevel: png.BestCompression}
	if err := best.Encode(&small, picture); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("..", "..", "docs", "images", "console-"+name+".png")
	if err := os.WriteFile(file, small.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if small.Len() > 200_000 {
		t.Errorf("%s has %d bytes, want 200,000 at most", file, small.Len())
	}
}

// Everything can be read and done without the script, by the keyboard alone.
func TestWithoutScript(t *testing.T) {
	b := newBrowser(t)
	s, views := newDesk(t, 40, 20)
	for _, l := range []look{
		{language: "en", width: 1280, noScript: true}, {language: "zh", width: 390, noScript: true},
	} {
		t.Run(l.String(), func(t *testing.T) {
			tab := b.open(t, s.console, "", l)
			for _, v := range views {
				tab.visit(v.path)
				if eval[bool](tab, `document.getElementById("stream").textContent !== "" ||
					document.querySelector("h1") === null ||
					[...document.querySelectorAll("time")].some(t => t.textContent === "")`) {
					t.Errorf("%s: the script has run, or something is missing:\n%s", v.name, tab.text())
				}
			}
			say := words[l.language]
			tab.visit("")
			tab.enter(`.lane a[href="lane?lane=archive"]`)
			tab.until(`location.search === "?lane=archive"`)
			tab.enter(`details:has(form[action^="api/pause"]) > summary`)
			tab.enter(`form[action^="api/pause"] button`)
			tab.says(say["paused"])
			tab.enter(`form[action^="api/resume"] button`)
			tab.says(say["resumed"])
		})
	}
}

// hostile is the text of an attacker.
const hostile = `<img src="http://evil.example/x" onerror="alert(1)"><script>alert(2)</script>` +
	`"'><a href="javascript:alert(3)">x</a>` + "\x1b[31m\u202egnp\u2066</pre></td>{{.}}"

// The text of a stranger does nothing, in any field, on any page: no dialog, no request to another
// server, no element.
func TestHostileText(t *testing.T) {
	b, s := newBrowser(t), startServer(t, 6000)
	answer := pagerdutytest.Fault{Status: http.StatusBadRequest, Body: `{"status": "invalid event",
		"message": ` + quoted(hostile) + `, "errors": [` + quoted(hostile) + `]}`}
	s.Poison(func(r pagerdutytest.Request) bool { return r.Key == pagerdutytest.KeyLabel(oncallKey) },
		answer)
	answer.Status = http.StatusUnauthorized
	s.Poison(func(r pagerdutytest.Request) bool { return r.Key == pagerdutytest.KeyLabel(paymentKey) },
		answer)
	event := everywhere(hostile)
	s.post(event)
	s.dead(t, "oncall", 1)
	s.post(everywhere(hostile, "service", "payments"))
	for _, l := range looks[1:3] {
		t.Run(l.String(), func(t *testing.T) {
			tab := b.open(t, s.console, "", l)
			tab.user("<img src=x onerror=alert(4)>")
			for _, v := range []view{
				{"overview", ""}, {"waiting", "lane?lane=payments"}, {"dead", "dead?lane=oncall"},
				{"event", "dead?lane=oncall&seq=1"}, {"ended", "lane?lane=oncall"},
				{"search", "lane?lane=payments&text=" + url.QueryEscape("<img src=")},
				{"tag", "dead?lane=oncall&tag=" + url.QueryEscape("<img src=")},
				{"problem", "problem?key=" + url.QueryEscape(event.ProblemKey())},
				{"error", "lane?lane=" + url.QueryEscape(hostile)},
				{"done", "lane?lane=oncall&done=replay&n=" + url.QueryEscape(hostile)},
			} {
				tab.visit(v.path)
				tab.says("<img src=") // it is shown, and thus was there
				if bad := eval[[]string](tab, `[...document.querySelectorAll(
					"body img, body script, body iframe, main style, [onerror], [href^='javascript:']")].
					map(e => e.outerHTML)`); len(bad) > 0 {
					t.Errorf("%s has elements of an attacker: %q", v.name, bad)
				}
				if text := tab.text(); strings.ContainsAny(text, "\x1b\u202e\u2066") {
					t.Errorf("%s has characters that change others: %q", v.name, text)
				}
			}
		})
	}
}

// everywhere returns an event that has the text in each field that takes any text.
func everywhere(text string, tags ...string) *guance.Event {
	p := guancetest.NewProblem("m", append(tags, "host", text, text, text)...)
	p.Now = time.Now()
	p.Edit = func(e *guance.Event) {
		for _, f := range reflect.ValueOf(e).Elem().Fields() {
			if f.Type() == reflect.TypeFor[string]() && f.CanSet() {
				f.SetString(text)
			}
		}
	}
	return p.Fault(guance.LevelCritical)
}
