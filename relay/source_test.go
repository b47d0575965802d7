package relay_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

// acceptFrom accepts events of a source; an empty name is that of the source without a name.
func acceptFrom(
	t *testing.T, r *relay.Relay, source string, events ...*guance.Event,
) []relay.Receipt {
	t.Helper()
	if source == "" {
		return accept(t, r, events...)
	}
	receipts, err := r.AcceptFrom(t.Context(), source, events...)
	if err != nil {
		t.Fatal(err)
	}
	return receipts
}

// at sets the time of an event.
func at(e *guance.Event, when time.Time) *guance.Event {
	e.Timestamp, e.Raw = when, nil
	return e
}

// Whatever an event of one source says of itself, what another source said is delivered.
func TestSourcesDoNotMeet(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	long := strings.Repeat("a long reference ", 20)
	const ref = "13713ac25e993a37d2ca5899e2a7bba6"
	attacks := map[string]struct {
		ref           string // of the victim's problem
		before, after func() *guance.Event
	}{
		"nothing": {ref: ref},
		"a recovery that names its problem": {
			ref: ref, after: func() *guance.Event { return event(t, "2", ref, "ok") },
		},
		"a recovery that names its long problem": {
			ref: long, after: func() *guance.Event { return event(t, "2", long, "ok") },
		},
		"a recovery that names the hash of its long problem": {ref: long, after: func() *guance.Event {
			return event(t, "2", fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(long))), "ok")
		}},
		"a recovery that spells its key": {
			ref: ref, after: func() *guance.Event { return event(t, "2", "source:bank:"+ref, "ok") },
		},
		"a problem dated ahead, which makes it stale": {ref: ref, before: func() *guance.Event {
			return at(event(t, "2", ref, "ok"), now.Add(5*time.Minute))
		}},
		"a decoy under its event id and status": {
			ref: ref, before: func() *guance.Event { return event(t, "event-1", "decoy", "critical") },
		},
		"a decoy that spells its event id": {ref: ref, before: func() *guance.Event {
			return event(t, "source:bank:event-1", "decoy", "critical")
		}},
	}
	for _, sources := range [][2]string{{"bank", "shop"}, {"bank", ""}, {"", "bank"}, {"a", "a b"}} {
		victim, attacker := sources[0], sources[1]
		for name, attack := range attacks {
			t.Run(fmt.Sprintf("%q/%s", sources, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					sink := &recorder{}
					r, _ := run(t, sink, nil)
					if attack.before != nil {
						acceptFrom(t, r, attacker, attack.before())
					}
					// All arrive before the lane sends the first.
					fault := at(event(t, "event-1", attack.ref, "critical"), now)
					receipt := acceptFrom(t, r, victim, fault)[0]
					if attack.after != nil {
						acceptFrom(t, r, attacker, attack.after())
					}
					time.Sleep(time.Minute)
					var said []string
					for _, line := range sink.taken() {
						if strings.HasPrefix(line, receipt.Problem+" ") {
							said = append(said, line)
						}
					}
					if receipt.Lanes["lane"] != "accepted" ||
						!slices.Equal(said, []string{receipt.Problem + " critical"}) {
						t.Errorf("the receipt is %+v and the sink took %q, want the problem and nothing else",
							receipt, said)
					}
				})
			})
		}
	}
}

// The source of a problem reaches the sink, and its recovery is of the same problem.
func TestSourceOfADelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		sink := &recorder{answer: func(_ context.Context, d *relay.Delivery) error {
			said = append(said, fmt.Sprintf("%s|%s|%s", d.Source, d.Problem, d.Event.Status))
			return nil
		}}
		r, _ := run(t, sink, nil)
		for _, source := range []string{"bank", "a shop", "", "银行"} {
			for _, status := range []string{"critical", "ok"} {
				acceptFrom(t, r, source, event(t, "1", "p", status))
				time.Sleep(time.Minute)
			}
			if got := acceptFrom(t, r, source, event(t, "1", "p", "ok")); got[0].Fate !=
				"duplicate" {
				t.Errorf("%q: the event that is sent again has %+v", source, got)
			}
		}
		want := []string{
			"bank|source:bank:p|critical", "bank|source:bank:p|ok",
			"a shop|source:a shop:p|critical", "a shop|source:a shop:p|ok", "|p|critical", "|p|ok",
			"银行|source:银行:p|critical", "银行|source:银行:p|ok",
		}
		if !slices.Equal(said, want) {
			t.Errorf("the sink had %q, want %q", said, want)
		}
		histories, err := r.Explain(t.Context(), relay.ProblemKey("bank", "p"))
		if err != nil || len(histories) != 1 || len(histories[0].Entries) != 2 {
			t.Errorf("Explain: %+v, %v, want both events of the bank", histories, err)
		}
	})
}

func TestProblemKey(t *testing.T) {
	long := strings.Repeat("长", 100)
	hash := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(long)))
	spelt := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("source:bank:p")))
	for _, tc := range [][3]string{
		{"", "p", "p"},
		{"", "sources:p", "sources:p"},
		{"", strings.Repeat("x", 255), strings.Repeat("x", 255)},
		{"", long, hash},
		{"", "source:bank:p", spelt},
		{"bank", "p", "source:bank:p"},
		{"bank", "source:shop:p", "source:bank:source:shop:p"},
		{"bank", strings.Repeat("x", 243), "source:bank:" + strings.Repeat("x", 243)},
		{"bank", long, "source:bank:" + hash},
	} {
		if got := relay.ProblemKey(tc[0], tc[1]); got != tc[2] || len(got) > 255 {
			t.Errorf("ProblemKey(%q, %q) is %q, want %q", tc[0], tc[1], got, tc[2])
		}
	}
}

func TestAcceptFromRefusesNames(t *testing.T) {
	r, _ := logged(t, relay.Options{})
	for _, name := range []string{
		"", "a/b", "a:b", "a\nb", "a\x00", "\xff", "a\u200bb", strings.Repeat("x", 65),
	} {
		if _, err := r.AcceptFrom(t.Context(), name, event(t, "1", "p", "ok")); err == nil {
			t.Errorf("AcceptFrom takes the name %q", name)
		}
	}
	acceptFrom(t, r, strings.Repeat("x", 64), event(t, "1", "p", "ok"))
}

// sourced returns a handler with two sources, and what the relay logs.
func sourced(
	t *testing.T, opts relay.Options, change func(*relay.HandlerOptions),
) (http.Handler, *lockedBuffer) {
	t.Helper()
	r, log := logged(t, opts)
	r.Handle("lane", &recorder{}, nil)
	handler := &relay.HandlerOptions{Sources: []relay.Source{
		{Name: "bank", Tokens: []string{"bank-token"}, Allow: prefixes("192.0.2.0/25")},
		{
			Name: "shop", Tokens: []string{"shop-token"}, Allow: prefixes("192.0.2.128/25"),
			Workspaces: []string{"wksp_shop", "wksp_new"},
		},
	}}
	if change != nil {
		change(handler)
	}
	h, err := relay.NewHandler(r, handler)
	if err != nil {
		t.Fatal(err)
	}
	return h, log
}

func TestHandlerSources(t *testing.T) {
	const bank, shop, other = "192.0.2.1:1", "192.0.2.200:1", "198.51.100.1:1"
	named := func(o *relay.HandlerOptions) { o.Tokens = []string{"own-token"} }
	tests := map[string]struct {
		change      func(*relay.HandlerOptions)
		peer, token string
		code        int
		problem     string
	}{
		"one":                           {nil, bank, "bank-token", 202, "source:bank:p1"},
		"the other":                     {nil, shop, "shop-token", 202, "source:shop:p1"},
		"a secret from another network": {nil, shop, "bank-token", 401, ""},
		"no network":                    {nil, other, "bank-token", 403, ""},
		"no secret":                     {nil, bank, "", 401, ""},
		"a wrong secret":                {nil, bank, "own-token", 401, ""},
		"no name":                       {named, other, "own-token", 202, "p1"},
		"no name, from their network":   {named, bank, "own-token", 202, "p1"},
		"a name, beside no name":        {named, bank, "bank-token", 202, "source:bank:p1"},
		"a secret beside no name":       {named, other, "bank-token", 401, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h, _ := sourced(t, relay.Options{}, test.change)
			req := webhookOf(fault)
			req.RemoteAddr = test.peer
			req.Header.Set("X-Relay-Token", test.token)
			got := ask(t, h, req)
			if got.Code != test.code || len(got.Events) > 0 != (test.problem != "") ||
				len(got.Events) > 0 && got.Events[0].Problem != test.problem {
				t.Errorf("got %d with %+v, want %d for the problem %q",
					got.Code, got.Events, test.code, test.problem)
			}
		})
	}
}

// An event of a workspace that its source may not speak for is answered, logged and counted.
func TestForeignWorkspace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		meters, refused := countOf("relay.events", "refused")
		h, log := sourced(t, relay.Options{MeterProvider: meters}, nil)
		body := `[
			{"df_status":"ok","df_monitor_checker_event_ref":"a","df_workspace_uuid":"wksp_shop"},
			{"df_status":"ok","df_monitor_checker_event_ref":"b","df_workspace_uuid":"wksp_bank"},
			{"df_status":"ok","df_monitor_checker_event_ref":"c","workspace_uuid":"wksp_bank"},
			{"df_status":"ok","df_monitor_checker_event_ref":"d"}]`
		const want = "[{ source:shop:a  map[lane:accepted]} { source:shop:b refused map[]} " +
			"{ source:shop:c refused map[]} { source:shop:d  map[lane:accepted]}]"
		for range 70 {
			req := webhookOf(body)
			req.RemoteAddr = "192.0.2.200:1"
			req.Header.Set("X-Relay-Token", "shop-token")
			got := ask(t, h, req)
			if got.Code != http.StatusAccepted || fmt.Sprint(got.Events) != want {
				t.Fatalf("got %d %v, want 202 %s", got.Code, got.Events, want)
			}
			time.Sleep(time.Second)
		}
		lines := log.with("level=WARN", "source=shop", "workspace=wksp_bank", "problem=source:shop:")
		if refused.n != 140 || len(lines) != 2 || !strings.Contains(lines[1], "refused=120") {
			t.Errorf("counted %d and logged %q, want 140 and a line a minute", refused.n, lines)
		}
	})
}

// A token that two sources have at run time is valid for neither, and the log says so, whatever
// else is refused.
func TestTokenOfTwoSources(t *testing.T) {
	shared := "bank-token"
	h, log := sourced(t, relay.Options{}, func(o *relay.HandlerOptions) {
		o.Sources[0].Allow, o.Sources[1].Allow = nil, nil
		o.Sources[1].TokenSource = func() []string { return []string{shared} }
	})
	ask(t, h, webhookOf(fault)) // refused, and logged
	for _, step := range []struct {
		token, second string
		code          int
	}{
		{"bank-token", "bank-token", 401},
		{"shop-token", "bank-token", 202},
		{"bank-token", "another", 202},
		{"another", "another", 202},
	} {
		shared = step.second
		req := webhookOf(fault)
		req.Header.Set("X-Relay-Token", step.token)
		if got := ask(t, h, req); got.Code != step.code || strings.Contains(got.Message, "common") {
			t.Errorf("%+v: got %d %q", step, got.Code, got.Message)
		}
	}
	lines := log.with("level=ERROR", `source \"bank\" and source \"shop\" have a token in common`)
	if len(lines) != 1 || strings.Contains(log.String(), "-token") {
		t.Errorf("the log has %q, want one line for the shared token and no secret", log.String())
	}
}

func TestNewHandlerRefusesSources(t *testing.T) {
	r, err := relay.New(memstore.New(), nil)
	if err != nil {
		t.Fatal(err)
	}
	source := func(change func(*relay.Source)) []relay.Source {
		s := relay.Source{Name: "bank", Tokens: []string{"sesame"}}
		change(&s)
		return []relay.Source{s}
	}
	for name, test := range map[string]struct {
		opts relay.HandlerOptions
		says string
	}{
		"no name": {relay.HandlerOptions{
			Sources: source(func(s *relay.Source) { s.Name = "" }),
		}, "invalid name"},
		"a slash": {relay.HandlerOptions{
			Sources: source(func(s *relay.Source) { s.Name = "a/b" }),
		}, "invalid name"},
		"one name twice": {relay.HandlerOptions{
			Sources: []relay.Source{{Name: "a", Tokens: []string{"1"}}, {Name: "a", Tokens: []string{"2"}}},
		}, "two sources"},
		"an empty workspace": {relay.HandlerOptions{
			Sources: source(func(s *relay.Source) { s.Workspaces = []string{"w", ""} }),
		}, "Workspaces"},
		"NoAuth": {relay.HandlerOptions{
			NoAuth: true, Sources: source(func(*relay.Source) {}),
		}, "NoAuth"},
		"a secret of its own": {relay.HandlerOptions{
			Tokens: []string{"sesame"}, Sources: source(func(*relay.Source) {}),
		}, "the source without a name and source \"bank\" have a secret in common"},
	} {
		if _, err := relay.NewHandler(r, &test.opts); err == nil ||
			!strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: NewHandler says %v, want %q and no secret", name, err, test.says)
		}
	}
}

func TestSourceIsNotPrinted(t *testing.T) {
	s := relay.Source{Name: "bank", Tokens: []string{"sesame"}, Basic: []string{"ali:sesame"}}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "source", s, "pointer", &s)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "source", s, "pointer", &s)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&log, verb+verb+verb+"\n", s, &s, []relay.Source{s})
	}
	if strings.Contains(log.String(), "sesame") || strings.Contains(log.String(), "736573616d65") ||
		!strings.Contains(log.String(), `relay.Source{"bank"}`) {
		t.Errorf("want the name alone:\n%s", log.String())
	}
}
