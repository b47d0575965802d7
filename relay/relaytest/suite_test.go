package relaytest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
)

const secret = "s3cr3t/to+ken"

// patient is for sinks that return, on a busy machine. impatient is for sinks that never return.
const patient, impatient = time.Minute, 500 * time.Millisecond

// A hook is a sink that keeps the contract. Each field that is set breaks it in one way.
type hook struct {
	url    string
	client *http.Client

	noContext    bool
	background   bool
	serial       bool
	follow       bool
	quoteURL     bool
	quoteAnswer  bool
	ignoreStatus bool
	readAll      bool
	retries      int
	retry429     bool
	retrySleeps  bool
	kept         *relay.Delivery
	keeps        bool
	keepsBuffer  bool
	changes      bool
	panicsOn     string
	confirms     bool // for SuiteOptions: the sink claims to check the body
	retryOdd     bool
	sticky       bool
	unrefused    bool
	noDelay      bool
	permanent5xx bool
	hideError    bool
	permanentNet bool
	ignoreAll    bool
	ignoreLevel  guance.Level
	breaksOn     func(*guance.Event) bool
	misread      func(code int, answer string, err error) (error, bool)

	mu     sync.Mutex
	buffer bytes.Buffer
	broken error
}

var errNotSent = errors.New("the request did not go through")

func (h *hook) Deliver(ctx context.Context, d *relay.Delivery) (err error) {
	h.mu.Lock()
	if h.serial {
		defer h.mu.Unlock()
	} else {
		h.mu.Unlock()
	}
	if h.ignoreAll || h.ignoreLevel != 0 && d.Event.Level() == h.ignoreLevel {
		return relay.Ignore("no interest")
	}
	if h.sticky {
		h.mu.Lock()
		broken := h.broken
		h.mu.Unlock()
		if broken != nil {
			return broken
		}
		defer func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.broken = err
		}()
	}
	if h.panicsOn != "" && strings.Contains(string(d.Event.Raw), h.panicsOn) {
		panic("unexpected event")
	}
	if h.breaksOn != nil && h.breaksOn(d.Event) {
		return errors.New("cannot make a request of the event")
	}
	if h.retryOdd && d.Event.Title == "" {
		return errors.New("an event without a title")
	}
	if h.changes {
		d.Event.Title = strings.TrimSpace(d.Event.Title) + "!"
	}
	if h.keeps {
		h.mu.Lock()
		if h.kept == nil {
			h.kept = d
		}
		d = h.kept
		h.mu.Unlock()
	}
	text := cmp.Or(d.Event.Title, d.Event.CheckerName, "untitled")
	body, err := json.Marshal(map[string]string{"text": text, "message": d.Event.Message})
	if err != nil {
		return relay.Permanent(err)
	}
	if h.keepsBuffer { // grows with each delivery
		h.mu.Lock()
		h.buffer.Write(body)
		body = bytes.Clone(h.buffer.Bytes())
		h.mu.Unlock()
	}
	if h.noContext {
		ctx = context.WithoutCancel(ctx)
	}
	if h.background {
		go func() { _ = h.send(context.WithoutCancel(ctx), body) }()
		return nil
	}
	for i := 0; ; i++ {
		err = h.send(ctx, body)
		if err == nil || i >= h.retries || isPermanent(err) || isThrottled(err) && !h.retry429 {
			break
		}
		if h.retrySleeps {
			time.Sleep(300 * time.Millisecond)
		}
	}
	if h.hideError && err != nil && ctx.Err() != nil {
		return errNotSent
	}
	return err
}

func (h *hook) send(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+"/hook/"+secret,
		bytes.NewReader(body))
	if err != nil {
		return relay.Permanent(errors.New("invalid URL"))
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := h.client.Do(req)
	if err != nil && h.misread != nil {
		if wrong, ok := h.misread(0, "", err); ok {
			return wrong
		}
	}
	if err != nil {
		if !h.quoteURL {
			err = errors.Unwrap(err) // a *url.Error shows the URL with the secret
		}
		if h.permanentNet && ctx.Err() == nil {
			err = relay.Permanent(err)
		}
		return err
	}
	defer resp.Body.Close()
	limit := int64(4 << 10)
	if h.readAll {
		limit = 1 << 40
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, limit))
	if err != nil && resp.StatusCode/100 != 2 {
		return err
	}
	if h.misread != nil {
		if wrong, ok := h.misread(resp.StatusCode, string(answer), nil); ok {
			return wrong
		}
	}
	err = errors.New(resp.Status)
	if h.quoteAnswer {
		err = fmt.Errorf("%s: %s", resp.Status, answer)
	}
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	delay := time.Duration(seconds) * time.Second
	if h.noDelay {
		delay = 0
	}
	switch code := resp.StatusCode; {
	case code/100 == 2 || h.ignoreStatus:
		return nil
	case code == 429:
		return relay.RetryAfter(err, max(delay, 0))
	case code/100 == 5 && !h.permanent5xx || code/100 == 4 && h.unrefused:
		return err
	}
	return relay.Permanent(err)
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func newHook(url string, spoil func(*hook)) *hook {
	h := &hook{url: url, client: &http.Client{CheckRedirect: noRedirect,
		Transport: &http.Transport{}}}
	if spoil != nil {
		spoil(h)
	}
	if h.follow {
		h.client.CheckRedirect = nil
	}
	return h
}

func TestSinkThatKeepsTheContract(t *testing.T) {
	t.Parallel()
	TestSink(t, func(_ *testing.T, target *Target) relay.Sink { return newHook(target.URL, nil) },
		&SuiteOptions{Secrets: []string{secret}, Patience: patient})
}

func pagerDuty(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func TestPagerDutySinkKeepsTheContract(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef0123456789abcdef"
	TestSink(t, func(t *testing.T, target *Target) relay.Sink {
		k, err := pagerduty.ParseRoutingKey(key)
		if err != nil {
			t.Fatal(err)
		}
		client, err := pagerduty.NewClient(k, &pagerduty.Options{BaseURL: target.URL})
		if err != nil {
			t.Fatal(err)
		}
		return pagerdutysink.New(client, nil)
	}, &SuiteOptions{
		Takes: pagerDuty(http.StatusAccepted,
			`{"status":"success","message":"Event processed","dedup_key":"k"}`),
		Refuses: pagerDuty(http.StatusBadRequest,
			`{"status":"invalid event","message":"Event object is invalid",`+
				`"errors":["'payload.source' is missing or blank"]}`),
		Confirms: true,
		Secrets:  []string{key},
		Patience: patient,
	})
}

// Each sink has one mistake that real sinks have made. The suite must report it.
func TestSuiteFindsFaultySinks(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct {
		name  string
		spoil func(*hook)
		check string // that must fail
		says  string
	}{
		{"sends without the context", func(h *hook) { h.noContext = true },
			"ContextEndsTheDelivery", "did not return"},
		{"hides the context's error", func(h *hook) { h.hideError = true },
			"ContextEndsTheDelivery", "not the context's"},
		{"sleeps between retries", func(h *hook) { h.retries, h.retrySleeps = 20, true },
			"ContextEndsRetries", "did not return"},
		{"sends in the background", func(h *hook) { h.background = true }, "ReturnsAfterTheAnswer",
			"nobody would learn of a failure"},
		{"sends one at a time", func(h *hook) { h.serial = true },
			"DeliveriesDoNotWaitForEachOther", "to a target that answers once it has all, of " +
				"which it got"},
		{"follows redirects", func(h *hook) { h.follow = true }, "RedirectIsNotFollowed",
			"followed the redirect"},
		{"prints its URL", func(h *hook) { h.quoteURL = true }, "ConnectionErrorIsTriedAgain",
			"holds a secret"},
		{"prints the answer", func(h *hook) { h.quoteAnswer = true }, "RefusalIsPermanent",
			"holds a secret"},
		{"does not look at the status", func(h *hook) { h.ignoreStatus = true },
			"RefusalIsPermanent", "the delivery is taken"},
		{"reads all of an answer", func(h *hook) { h.readAll = true }, "EndlessAnswerIsNotRead",
			"without end"},
		{"tries 429 again at once", func(h *hook) { h.retries, h.retry429 = 3, true },
			"ThrottlingPausesTheLane", "4 requests"},
		{"tries 500 again and again", func(h *hook) { h.retries = 20 }, "ServerErrorIsTriedAgain",
			"21 requests"},
		{"keeps the first delivery", func(h *hook) { h.keeps = true }, "NothingIsKept", "was kept"},
		{"keeps a buffer", func(h *hook) { h.keepsBuffer = true }, "NothingIsKept", "was kept"},
		{"shares a buffer", func(h *hook) { h.keepsBuffer = true },
			"DeliveriesDoNotWaitForEachOther", "deliveries at once mix"},
		{"changes the event", func(h *hook) { h.changes = true }, "TakesEvents",
			"changed what it was given"},
		{"panics on an event", func(h *hook) { h.panicsOn = "purple" }, "OddEventsSettle",
			"panicked"},
		{"tries odd events for ever", func(h *hook) { h.retryOdd = true }, "OddEventsSettle",
			"to be tried again"},
		{"stays broken", func(h *hook) { h.sticky = true }, "FailureIsForgotten",
			"an event after one that was"},
		{"tries a refusal again", func(h *hook) { h.unrefused = true }, "RefusalIsPermanent",
			"to be tried again"},
		{"tries no path again", func(h *hook) { h.confirms = true }, "GatewayIsNoTarget",
			"the delivery is permanent"},
		{"takes a login page for an answer", func(h *hook) { h.confirms = true },
			"GarbageIsNoRefusal", "the delivery is taken"},
		{"takes 5xx for a refusal", func(h *hook) { h.permanent5xx = true },
			"ServerErrorIsTriedAgain", "the delivery is permanent"},
		{"takes a reset for a refusal", func(h *hook) { h.permanentNet = true },
			"ConnectionErrorIsTriedAgain", "the delivery is permanent"},
		{"forgets the delay", func(h *hook) { h.noDelay = true }, "ThrottlingPausesTheLane",
			"the delay is 0s"},
		{"ignores a critical problem", func(h *hook) { h.ignoreAll = true }, "TakesEvents",
			"the delivery is ignored"},
		{"ignores errors unasked", func(h *hook) { h.ignoreLevel = guance.LevelError },
			"IgnoresOnlyWhatItSaidBefore", "no method Ignores was found"},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			opts := &SuiteOptions{Confirms: newHook("", fault.spoil).confirms,
				Secrets: []string{secret}, Patience: patient}
			// found when Patience is over
			if fault.says == "did not return" || fault.name == "sends one at a time" {
				opts.Patience = impatient
			}
			if err := testOne(t, fault.check, fault.spoil, opts); err == nil ||
				!strings.Contains(err.Error(), fault.says) {
				t.Errorf("%s says %v, want %q", fault.check, err, fault.says)
			}
		})
	}
}

// testOne runs one check on a hook.
func testOne(t *testing.T, name string, spoil func(*hook), opts *SuiteOptions) error {
	t.Helper()
	i := slices.IndexFunc(checks, func(c check) bool { return c.name == name })
	if i < 0 {
		t.Fatalf("there is no check %s", name)
	}
	target := newTarget(t)
	return checks[i].test(newHook(target.URL, spoil), target, opts)
}

// The suite names the event on which a sink fails.
func TestSuiteNamesTheOddEvent(t *testing.T) {
	t.Parallel()
	raw := func(part string) func(*guance.Event) bool {
		return func(e *guance.Event) bool { return strings.Contains(string(e.Raw), part) }
	}
	is := func(body string) func(*guance.Event) bool {
		return func(e *guance.Event) bool { return string(e.Raw) == body }
	}
	for what, breaksOn := range map[string]func(*guance.Event) bool{
		"no field at all":           is(`{}`),
		"a status and nothing else": is(`{"df_status":"critical"}`),
		"a recovery, nothing else":  is(`{"df_status":"ok"}`),
		"an unknown status":         raw(`"purple"`),
		"an unknown kind":           raw(`"hello"`),
		"nulls":                     raw(`"df_title":null`),
		"wrong types":               raw(`"df_title":{`),
		"empty texts":               raw(`"df_title":"","df_message":" "`),
		"texts of 500 kB":           func(e *guance.Event) bool { return len(e.Message) > 400_000 },
		"a key of 10,000 characters": func(e *guance.Event) bool {
			return len(e.ProblemKey()) >= 10_000
		},
		"Chinese, emoji, right-to-left": raw("𠮷野家"),
		"control characters":            raw(`\u0007`),
		"formats and markup":            raw(`{{.Name}}`),
		"times that cannot be":          raw(`"timestamp":-1`),
		"a link that is none":           raw(`"df_event_url":"http://[::1"`),
		"a deep result":                 raw(`"Result":{"a":[{"b"`),
		"a number beyond floats":        raw(`1e400`),
		"a thousand tags": func(e *guance.Event) bool {
			return len(e.DimensionTags) == 1000
		},
		"the form of old versions": func(e *guance.Event) bool {
			return strings.Contains(e.Title+e.Message, "95%")
		},
		"no data": raw(`"df_status":"nodata"`),
		"info":    raw(`"df_status":"info"`),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			err := testOne(t, "OddEventsSettle", func(h *hook) { h.breaksOn = breaksOn },
				&SuiteOptions{Patience: patient})
			if err == nil || !strings.HasPrefix(err.Error(), what+
				": the delivery is to be tried again") {
				t.Errorf("the suite says %v, want the event named", err)
			}
		})
	}
}

// The suite names the one answer that a sink misreads.
func TestSuiteNamesTheAnswerThatIsMisread(t *testing.T) {
	t.Parallel()
	type misread = func(code int, answer string, err error) (error, bool)
	status := func(wrong int, as error) misread {
		return func(code int, _ string, _ error) (error, bool) { return as, code == wrong }
	}
	broken := func(is func(error) bool) misread {
		return func(_ int, _ string, err error) (error, bool) {
			return relay.Permanent(err),
				err != nil && is(err)
		}
	}
	type faulty struct {
		check, what string
		misread     misread
	}
	reset := func(err error) bool {
		return errors.Is(err, io.EOF) ||
			errors.Is(err, syscall.ECONNRESET)
	}
	notHTTP := func(err error) bool { return strings.Contains(err.Error(), "malformed HTTP") }
	all := []faulty{
		{"ConnectionErrorIsTriedAgain", "a connection that is reset", broken(reset)},
		{"ConnectionErrorIsTriedAgain", "an answer cut in its head",
			broken(func(err error) bool {
				return strings.Contains(err.Error(),
					"malformed HTTP status")
			})},
		{"ConnectionErrorIsTriedAgain", "a connection that is refused",
			broken(func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) })},
		{"GarbageIsNoRefusal", "an answer that is not HTTP", broken(notHTTP)},
	}
	for _, code := range []int{500, 502, 503, 504} {
		all = append(all, faulty{"ServerErrorIsTriedAgain", fmt.Sprint("status ", code),
			status(code, relay.Permanent(errors.New("refused")))})
	}
	for _, code := range []int{302, 401, 403, 404, 407, 413, 421, 451} {
		all = append(all, faulty{"GatewayIsNoTarget", fmt.Sprint("status ", code, " of a gateway"),
			status(code, nil)})
	}
	for _, code := range []int{301, 302, 303, 307, 308} {
		all = append(all, faulty{"RedirectIsNotFollowed", fmt.Sprint("status ", code),
			status(code, nil)})
	}
	for _, body := range []string{"", "null", "[]", "{}", `{"code":`, `{"status":200}`,
		"<html>please log in</html>", "\x00\xff\xfe"} {
		for _, wrong := range []int{200, 202} {
			all = append(all, faulty{"GarbageIsNoRefusal",
				fmt.Sprintf("status %d with the body %q", wrong, body),
				func(code int, answer string, _ error) (error, bool) {
					return relay.Permanent(errors.New("not the target's answer")), code == wrong &&
						answer == body
				}})
		}
	}
	for what, is := range map[string]func(code int, err error) bool{
		"refused":               func(code int, _ error) bool { return code == 400 },
		"throttled":             func(code int, _ error) bool { return code == 429 },
		"failed":                func(code int, _ error) bool { return code == 500 },
		"reset":                 func(_ int, err error) bool { return err != nil && reset(err) },
		"answered with garbage": func(_ int, err error) bool { return err != nil && notHTTP(err) },
	} {
		stuck := false
		all = append(all, faulty{"FailureIsForgotten", "an event after one that was " + what,
			func(code int, _ string, err error) (error, bool) {
				stuck = stuck || is(code, err)
				return errors.New("as before"), stuck && code == 202
			}})
	}
	for _, m := range all {
		t.Run(m.check+"/"+m.what, func(t *testing.T) {
			t.Parallel()
			err := testOne(t, m.check, func(h *hook) { h.misread = m.misread },
				&SuiteOptions{Patience: patient})
			if err == nil || !strings.HasPrefix(err.Error(), m.what+": the delivery is ") {
				t.Errorf("%s says %v, want %q", m.check, err, m.what)
			}
		})
	}
}

// An ignorer is a relay.Ignorer with a mistake.
type ignorer struct {
	hook
	ignores func(*guance.Event) string
}

func (c *ignorer) Ignores(e *guance.Event) string { return c.ignores(e) }

func TestSuiteFindsFaultyIgnorers(t *testing.T) {
	t.Parallel()
	calls := 0
	for _, fault := range []struct {
		name    string
		ignores func(*guance.Event) string
		says    string
	}{
		{"panics", func(e *guance.Event) string { return e.DimensionTags["host"][:1] },
			"Ignores panicked"},
		{"changes its mind", func(*guance.Event) string {
			calls++
			return strings.Repeat("x",
				calls)
		}, "for one event"},
		{"changes the event", func(e *guance.Event) string { e.Title = "mine"; return "" },
			"Ignores changed"},
	} {
		t.Run(fault.name, func(t *testing.T) {
			target := newTarget(t)
			sink := &ignorer{ignores: fault.ignores}
			sink.url, sink.client = target.URL, &http.Client{CheckRedirect: noRedirect}
			if err := (check{"OddEventsSettle", oddEventsSettle}).test(sink, target,
				nil); err == nil || !strings.Contains(err.Error(), fault.says) {
				t.Errorf("the suite says %v, want %q", err, fault.says)
			}
		})
	}
}

// Decorators as people write them; open has Unwrap.
type (
	plain    struct{ s relay.Sink }
	embedded struct{ relay.Sink }
	open     struct{ plain }
)

func (p plain) Deliver(ctx context.Context, d *relay.Delivery) error { return p.s.Deliver(ctx, d) }
func (o open) Unwrap() relay.Sink                                    { return o.s }

func TestReport31SuiteNamesDecorators(t *testing.T) {
	t.Parallel()
	pager := func(t *testing.T, url string) relay.Sink {
		t.Helper()
		k, err := pagerduty.ParseRoutingKey("0123456789abcdef0123456789abcdef")
		if err != nil {
			t.Fatal(err)
		}
		client, err := pagerduty.NewClient(k, &pagerduty.Options{BaseURL: url, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		return pagerdutysink.New(client, &pagerdutysink.Options{Map: func(e *guance.Event,
			_ *pagerduty.Event) bool {
			return e.Level() != guance.LevelWarning
		}})
	}
	function := func(s relay.Sink) relay.Sink { return relay.SinkFunc(s.Deliver) }
	for _, tc := range []struct {
		name     string
		decorate func(relay.Sink) relay.Sink
		says     map[string]string // by check
	}{
		{"none", func(s relay.Sink) relay.Sink { return s }, nil},
		{"with Unwrap", func(s relay.Sink) relay.Sink { return open{plain{s}} }, nil},
		{"the recorder", func(s relay.Sink) relay.Sink { return Record(s) }, nil},
		{"a struct", func(s relay.Sink) relay.Sink { return plain{s} }, map[string]string{
			"IgnoresOnlyWhatItSaidBefore": "no method Ignores was found",
			"OptionalBehaviourIsSeen":     "hides its Ignores, Account",
		}},
		{"an embedded interface", func(s relay.Sink) relay.Sink { return &embedded{s} },
			map[string]string{
				"IgnoresOnlyWhatItSaidBefore": "no method Ignores was found",
				"OptionalBehaviourIsSeen":     "hides its Ignores, Account",
			}},
		{"behind one with Unwrap", func(s relay.Sink) relay.Sink { return open{plain{plain{s}}} },
			map[string]string{
				"IgnoresOnlyWhatItSaidBefore": "no method Ignores was found",
				"OptionalBehaviourIsSeen":     "hides its Ignores, Account",
			}},
		// reflection does not see into it
		{"a function", function,
			map[string]string{"IgnoresOnlyWhatItSaidBefore": "no method Ignores was found"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range checks {
				if c.name != "IgnoresOnlyWhatItSaidBefore" && c.name != "OptionalBehaviourIsSeen" {
					continue
				}
				target := newTarget(t)
				err := c.test(tc.decorate(pager(t, target.URL)), target,
					&SuiteOptions{Patience: patient})
				switch says := tc.says[c.name]; {
				case says == "" && err != nil:
					t.Errorf("%s says %v of a sound sink", c.name, err)
				case says != "" && (err == nil || !strings.Contains(err.Error(), says)):
					t.Errorf("%s says %v, want %q", c.name, err, says)
				}
			}
		})
	}
}
