package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// reloadKey returns a routing key that ends in a letter.
func reloadKey(letter string) string { return strings.Repeat("0123456789abcde", 2) + "f" + letter }

// reloadFile returns the configuration of a round. From round to round lanes are added, replaced,
// removed and renamed, and the fallback moves; each event has one lane in each of them.
func reloadFile(round int, url string) string {
	fallback, other := "f", "g"
	if round%2 == 1 {
		fallback, other = other, fallback
	}
	renamed, formerly := fmt.Sprint("b", round/3), ""
	if round >= 3 {
		formerly = fmt.Sprintf("\n    formerly: b%d", round/3-1)
	}
	record := ""
	if round%2 == 1 {
		record = "\n  - when: tags.service == 'a'\n    lanes: [record]\n    continue: true"
	}
	lane := func(name, key string, perMinute int) string {
		return fmt.Sprintf("\n  %s:\n    type: pagerduty\n    key: env:KEY_%s\n    base_url: %s\n"+
			"    per_minute: %d", name, key, url, perMinute)
	}
	text := "sources:\n  default: {tokens: [env:TOKEN]}\nlanes:" +
		lane("a", "A", 6000+round) + lane(renamed, "B", 6000) + formerly +
		lane("f", "F", 6000) + lane("g", "G", 6000)
	if record != "" {
		text += "\n  record: {type: log}"
	}
	return text + "\nroutes:" + record + `
  - when: tags.service == "a"
    lanes: [a]
  - when: tags.service == "b"
    lanes: [` + renamed + `]
  - when: title == "never"
    lanes: [` + other + `]
fallback: ` + fallback + "\n"
}

// fileEnv is the environment of a server with a configuration file.
func fileEnv(file, data string) []string {
	return []string{"RELAY_CONFIG=" + file, "RELAY_DATA=" + data, "RELAY_OPERATOR=127.0.0.1:0",
		"RELAY_TOKENS=", "PAGERDUTY_ROUTING_KEY=", "TOKEN=" + token, "LOG_LEVEL=info",
		"KEY_A=" + reloadKey("a"), "KEY_B=" + reloadKey("b"), "KEY_F=" + reloadKey("c"),
		"KEY_G=" + reloadKey("d")}
}

// Twenty reloads under load, half of them bad: nothing is lost, and nothing is sent twice.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel() // it mostly waits
	pd := pagerdutytest.NewServer()
	t.Cleanup(pd.Close)
	pd.SetRateLimit(0)
	file := filepath.Join(t.TempDir(), "relay.yaml")
	write(t, file, reloadFile(0, pd.URL))
	p := start(t, fileEnv(file, t.TempDir())...)

	stop := make(chan struct{})
	var mu sync.Mutex
	var accepted []string // problems; guarded by mu
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				ref := fmt.Sprintf("%016d%016d", sender, i)
				body := fmt.Sprintf(`{"df_event_id":"event-%s","df_status":"critical","df_title":"t",`+
					`"df_monitor_checker_id":"rul_1","df_monitor_checker_event_ref":"%s",`+
					`"df_dimension_tags":"{\"service\":\"%c\"}"}`, ref, ref, 'a'+i%3)
				resp, err := http.Post(p.url+"/guance?token="+token, "application/json",
					strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusAccepted {
					t.Errorf("a webhook is answered %s", resp.Status)
					return
				}
				mu.Lock()
				accepted = append(accepted, ref)
				mu.Unlock()
			}
		})
	}
	for round := 1; round <= 10; round++ {
		time.Sleep(50 * time.Millisecond) // load between the reloads
		write(t, file, strings.Replace(reloadFile(round, pd.URL), "tags.service", "tgas.service", 1))
		code, answer := p.ask(t, "POST", "/reload")
		if code != http.StatusBadRequest || !strings.Contains(answer, "unknown name tgas") {
			t.Errorf("a bad file is answered %d %s", code, answer)
		}
		write(t, file, reloadFile(round, pd.URL))
		if round%2 == 0 {
			if err := p.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			p.waitLog(t, "the configuration was reloaded", round)
			continue
		}
		if code, answer := p.ask(t, "POST", "/reload"); code != http.StatusOK {
			t.Fatalf("a good file is answered %d %s", code, answer)
		}
	}
	close(stop)
	wg.Wait()
	p.nothingPending(t)
	requests := make(map[string]int)
	for _, r := range pd.Requests() {
		requests[r.DedupKey]++
	}
	for _, problem := range accepted {
		if requests[problem] != 1 {
			t.Errorf("problem %s was sent %d times, want once", problem, requests[problem])
		}
	}
	if len(accepted) < 100 {
		t.Errorf("only %d webhooks were sent", len(accepted))
	}
	t.Logf("%d webhooks", len(accepted))
	_, metrics := p.ask(t, "GET", "/metrics")
	for _, line := range []string{`relay_config_reloads_total{result="failed"} 10`,
		`relay_config_reloads_total{result="ok"} 10`, `relay_config_last_reload_successful 1`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics have no line %s", line)
		}
	}
	if strings.Contains(p.output(), "Route names a lane that does not exist") ||
		strings.Contains(p.output(), "unrouted") {
		t.Errorf("an event went nowhere:\n%s", p.output())
	}
}

// waitLog waits until the log has n lines with a text.
func (p *process) waitLog(t *testing.T, text string, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); strings.Count(p.output(), text) < n; {
		if time.Now().After(deadline) {
			t.Fatalf("the log has not %d lines with %q:\n%s", n, text, p.output())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// nothingPending waits until no lane has anything pending, but for the one that is removed: it keeps
// what it has.
func (p *process) nothingPending(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		_, metrics := p.ask(t, "GET", "/metrics")
		pending := false
		for line := range strings.Lines(metrics) {
			pending = pending || strings.HasPrefix(line, "relay_backlog{") &&
				!strings.HasSuffix(line, " 0\n") && !strings.Contains(line, `"record"`)
		}
		if !pending {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("there is still something pending:\n%s", metrics)
		}
	}
}

// A file that has become bad stays without effect; the answers, the metric and /readyz say so. What
// a reload cannot change is named.
func TestReload(t *testing.T) {
	pd := pagerdutytest.NewServer()
	t.Cleanup(pd.Close)
	file := filepath.Join(t.TempDir(), "relay.yaml")
	good := reloadFile(0, pd.URL)
	write(t, file, good)
	p := start(t, fileEnv(file, t.TempDir())...)
	expect := func(content string, code int, want ...string) {
		t.Helper()
		if content == "" {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		} else {
			write(t, file, content)
		}
		got, answer := p.ask(t, "POST", "/reload")
		for _, text := range want {
			if got != code || !strings.Contains(answer, text) {
				t.Errorf("%d %s, want %d with %s", got, answer, code, text)
			}
		}
	}
	expect(good, 200, `{"status":"ok"}`)
	expect(good+"store: {directory: elsewhere}\nlisteners: {webhook: '127.0.0.1:1'}\n"+
		"limits: {max_connections: 5}\n", 200,
		`"restart":["store","listeners","limits.max_connections"]`)
	expect(reloadFile(3, pd.URL), 200, `"added":["b1","record"]`, `"replaced":["a","f","g"]`,
		`"removed":["b0"]`)
	expect("", 400, "relay.yaml:1:1: cannot be read")
	if code, ready := p.get(t, "/readyz"); code != 200 ||
		!strings.Contains(ready, "the configuration of before is in force") {
		t.Errorf("/readyz says %d %s", code, ready)
	}
	again := strings.ReplaceAll(good, "KEY_A", "KEY_B")
	expect(again, 400, "lanes.b0", "choose another name, or write formerly: b1")
	again = strings.Replace(again, "b0:", "b0:\n    formerly: b1", 1)
	expect(again, 200, `"added":["b0"]`, `"removed":["b1","record"]`)
	if _, ready := p.get(t, "/readyz"); strings.Contains(ready, "the configuration") {
		t.Errorf("/readyz says %s", ready)
	}
	env, _ := withOperator(t)
	if code, answer := env.ask(t, "POST", "/reload"); code != 404 ||
		!strings.Contains(answer, "without -config") {
		t.Errorf("a server without a file answers %d %s", code, answer)
	}
}
