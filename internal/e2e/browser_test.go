package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long a test waits for what must come, on a busy machine.
const patience = 180 * time.Second

// missing skips a test that cannot run, or fails it if the environment demands it.
func missing(t *testing.T, what string, err error) {
	t.Helper()
	if os.Getenv("RELAY_TEST_BROWSER") == "required" {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("NOT RUN: %s: %v", what, err)
}

// A browser is one Chromium. It reaches nothing but loopback: its proxy refuses everything else,
// and takes note of it.
type browser struct {
	ctx context.Context

	mu      sync.Mutex
	outside []string // requests that left for somewhere else
}

// newBrowser starts a browser that ends with the test.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	var path string
	err := exec.ErrNotFound
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err = exec.LookPath(name); err == nil {
			break
		}
	}
	if err != nil {
		missing(t, "a browser (on Debian, the package chromium)", err)
	}
	b := &browser{}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		host := req.URL.Hostname()
		if own := strings.HasSuffix(host, ".google.com") || strings.HasSuffix(host, ".googleapis.com") ||
			strings.HasSuffix(host, ".gvt1.com"); !own { // Chromium's own services
			b.note(req.Method + " " + req.Host)
		}
	}))
	t.Cleanup(proxy.Close)
	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.ProxyServer(proxy.URL), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("disable-features", "OptimizationHints,MediaRouter,Translate"))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("the browser does not start: %v", err)
	}
	b.ctx = ctx
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.outside) > 0 {
			t.Errorf("the browser sent requests to others than the console: %q", b.outside)
		}
	})
	return b
}

func (b *browser) note(request string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.outside = append(b.outside, request)
}

// A look is how a page is looked at.
type look struct {
	language string // "en" or "zh"
	width    int    // in pixels; 390 is a phone
	dark     bool
	noScript bool
}

func (l look) String() string {
	s := fmt.Sprintf("%s, %d", l.language, l.width)
	if l.dark {
		s += ", dark"
	}
	if l.noScript {
		s += ", without script"
	}
	return s
}

// looks are the two languages, sizes and schemes, each pair of two of them once.
var looks = []look{
	{language: "en", width: 1280}, {language: "zh", width: 1280, dark: true},
	{language: "zh", width: 390}, {language: "en", width: 390, dark: true},
}

// A tab is a tab of a browser, with cookies of its own. It fails the test if a page opens a
// dialog, throws an exception, breaks its Content-Security-Policy, or asks another server.
type tab struct {
	*testing.T
	ctx      context.Context
	console  string // the address of the first page
	language string

	mu      sync.Mutex
	trouble []string
}

// open opens a tab with a page of the console.
func (b *browser) open(t *testing.T, console, path string, l look) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	tt := &tab{T: t, ctx: ctx, console: console}
	t.Cleanup(func() {
		cancel()
		tt.mu.Lock()
		defer tt.mu.Unlock()
		for _, trouble := range tt.trouble {
			t.Error(trouble)
		}
	})
	if err := chromedp.Listen(ctx, tt.watch); err != nil {
		t.Fatal(err)
	}
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	size := emulation.SetDeviceMetricsOverrideParams{Width: int64(l.width), Height: 800,
		DeviceScaleFactor: 1}
	if l.width < 500 {
		size.Height, size.Mobile = 844, true
	}
	tell(tt, network.Enable, network.EnableParams{})
	tell(tt, log.Enable, cdp.Empty{})
	tell(tt, emulation.SetDeviceMetricsOverride, size)
	tell(tt, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	tell(tt, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{
		TimezoneID: "Asia/Shanghai"})
	tt.language = l.language
	tt.user("li@example.org")
	tell(tt, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{
		Value: l.noScript})
	tt.visit(path)
	return tt
}

// watch takes the events of the tab.
func (t *tab) watch(event any) {
	trouble := ""
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, t.console) && u != "about:blank" {
			trouble = "a request to " + u
		}
	case *page.EventJavascriptDialogOpening:
		trouble = "a dialog: " + e.Message
		go func() { // it ends with the tab
			_, _ = chromedp.Call(t.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
		}()
	case *runtime.EventExceptionThrown:
		trouble = "an exception: " + e.ExceptionDetails.Text
	case *log.EventEntryAdded:
		if e.Entry.Source != log.EntrySourceNetwork && e.Entry.Level == log.EntryLevelError {
			trouble = fmt.Sprintf("the browser complains: %s: %s", e.Entry.Source, e.Entry.Text)
		}
	}
	if trouble != "" {
		t.mu.Lock()
		t.trouble = append(t.trouble, trouble)
		t.mu.Unlock()
	}
}

// do runs actions that return nothing.
func (t *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// tell sends a command to the tab.
func tell[P, R any](t *tab, command cdp.Command[P, R], params P) R {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// user sets who a proxy in front of the console says that the user is.
func (t *tab) user(name string) {
	t.Helper()
	tell(t, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{
		Headers: network.Headers{"Accept-Language": t.language, "X-Forwarded-User": name}})
}

// visit opens a page of the console.
func (t *tab) visit(path string) {
	t.Helper()
	t.do(chromedp.Navigate(t.console + path))
}

// quoted returns a text as JavaScript and JSON.
func quoted(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and numbers have no error
	}
	return string(text)
}

// quote puts arguments into the %s of an expression.
func quote(expression string, args []any) string {
	for i := range args {
		args[i] = quoted(args[i])
	}
	return fmt.Sprintf(expression, args...)
}

// eval evaluates an expression in the page.
func eval[T any](t *tab, expression string, args ...any) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](quote(expression, args),
		chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%.200s: %v", expression, err)
	}
	return v
}

// until waits until an expression is true. The page may be loaded anew meanwhile.
func (t *tab) until(expression string, args ...any) {
	t.Helper()
	expression = quote(expression, args)
	var err error
	for start := time.Now(); time.Since(start) < patience; time.Sleep(30 * time.Millisecond) {
		holds := false
		if holds, err = chromedp.Run(t.ctx, chromedp.Evaluate[bool](expression)); holds && err == nil {
			return
		}
	}
	t.Fatalf("it never came to this: %s, %v\n%s", expression, err, t.text())
}

// text returns what the page shows.
func (t *tab) text() string {
	t.Helper()
	return eval[string](t, "document.body.innerText")
}

// says waits until the page shows a text.
func (t *tab) says(text string) {
	t.Helper()
	t.until("document.body.innerText.includes(%s)", text)
}

// tabTo presses the key Tab until the element has the focus, and shows it.
func (t *tab) tabTo(selector string) {
	t.Helper()
	for range 300 {
		t.do(chromedp.KeyEvent(kb.Tab))
		switch eval[string](t, `(() => {
			const at = document.activeElement, s = getComputedStyle(at);
			if (!at.matches(%s)) return "elsewhere";
			return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 ? "shown" : "hidden";
		})()`, selector) {
		case "shown":
			return
		case "hidden":
			t.Fatalf("%s has the focus, and does not show it", selector)
		}
	}
	t.Fatalf("the key Tab does not lead to %s\n%s", selector, t.text())
}

// enter goes to an element with the key Tab, and presses Enter.
func (t *tab) enter(selector string) {
	t.Helper()
	t.tabTo(selector)
	t.do(chromedp.KeyEvent(kb.Enter))
}

// write goes to a field with the key Tab, and replaces its value.
func (t *tab) write(selector, value string) {
	t.Helper()
	t.tabTo(selector)
	t.do(chromedp.KeyEvent("a", chromedp.KeyModifiers(kb.ModifierCtrl)), chromedp.KeyEvent(value))
	if got := eval[string](t, "document.activeElement.value"); got != value {
		t.Errorf("%s has the value %q, want %q", selector, got, value)
	}
}
