package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// bigEvent is a critical event of its own problem, of 64 KiB.
func bigEvent(n int64) string {
	id := fmt.Sprintf("%032d", n)
	return `{"df_event_id":"event-` + id + `","df_status":"critical","df_title":"t","df_message":"` +
		strings.Repeat("x", 64<<10) + `","df_monitor_checker_id":"rul_1",` +
		`"df_monitor_checker_event_ref":"` + id + `"}`
}

// Under load, a backup is read by a command, and by somebody who stalls: webhooks are taken
// meanwhile. What was accepted before the backup is a dead letter after the restore, and all of it
// is sent by one replay.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := []string{"RELAY_OPERATOR=127.0.0.1:0", "PAGERDUTY_PER_MINUTE=6000", "LOG_LEVEL=info"}
	p := start(t, append(env, "RELAY_DATA="+filepath.Join(dir, "old"),
		"PAGERDUTY_URL=http://127.0.0.1:1")...)
	var sent, accepted atomic.Int64
	var slowest atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				began := time.Now()
				resp, err := http.Post(p.url+"/guance?token="+token, "application/json",
					strings.NewReader(bigEvent(sent.Add(1))))
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusAccepted {
					t.Errorf("a webhook is answered %s", resp.Status)
					return
				}
				accepted.Add(1)
				slowest.Store(max(slowest.Load(), int64(time.Since(began))))
			}
		})
	}
	until := func(n int64) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); accepted.Load() < n; {
			if time.Now().After(deadline) {
				t.Fatalf("%d webhooks were accepted, want %d", accepted.Load(), n)
			}
			time.Sleep(time.Millisecond)
		}
	}
	until(150)
	// Whoever stalls has asked, and reads nothing.
	stalling, err := net.Dial("tcp", strings.TrimPrefix(p.operator(t), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer stalling.Close()
	fmt.Fprint(stalling, "POST /backup HTTP/1.1\r\nHost: localhost\r\n\r\n")
	answer := bufio.NewReaderSize(stalling, 16)
	if head, err := answer.ReadString('\n'); err != nil || !strings.Contains(head, " 200 ") {
		t.Fatalf("the answer is %q, %v", head, err)
	}
	until(accepted.Load() + 100)
	if code, said := p.ask(t, "POST", "/backup"); code != http.StatusConflict {
		t.Errorf("a second reader is answered %d %s", code, said)
	}
	stalling.Close()
	p.waitLog(t, "a backup was not read to its end", 1)

	operator := "RELAY_OPERATOR=" + strings.TrimPrefix(p.operator(t), "http://")
	file := filepath.Join(dir, "backup.db")
	before := accepted.Load()
	if status, out, errs := tool(t, []string{operator}, "backup", file); status != 0 {
		t.Fatalf("backup: %d %s%s", status, out, errs)
	}
	if status, _, errs := tool(t, []string{operator}, "backup", file); status != 2 ||
		!strings.Contains(errs, "exists") {
		t.Errorf("backup over a file: %d %s", status, errs)
	}
	status, copied, _ := tool(t, []string{operator}, "backup", "-")
	if info, err := os.Stat(file); err != nil || status != 0 || int64(len(copied)) < info.Size() {
		t.Errorf("backup to stdout: %d, %d bytes, %v", status, len(copied), err)
	}
	after := accepted.Load() + senders
	close(stop)
	wg.Wait()
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	t.Logf("%d webhooks, of which the slowest took %v", accepted.Load(), time.Duration(slowest.Load()))

	pd := pagerdutytest.NewServer()
	t.Cleanup(pd.Close)
	pd.SetRateLimit(0)
	data := "RELAY_DATA=" + filepath.Join(dir, "new")
	status, out, errs := tool(t, []string{data}, "restore", file)
	var dead int64
	if _, err := fmt.Sscanf(out[strings.Index(out, "\n")+1:], "pagerduty: %d events were pending",
		&dead); err != nil || status != 0 || dead < before || dead > after {
		t.Fatalf("restore: %d %s%s, want %d to %d events, %v", status, out, errs, before, after, err)
	}
	if status, _, errs := tool(t, []string{data}, "restore", file); status != 1 ||
		!strings.Contains(errs, "nothing was changed") {
		t.Errorf("restore over a store: %d %s", status, errs)
	}
	p = start(t, append(env, data, "PAGERDUTY_URL="+pd.URL)...)
	code, said := p.ask(t, "GET", "/console/api/dead?limit=1")
	if code != http.StatusOK || !strings.Contains(said, `"reason":"restored"`) {
		t.Errorf("dead letters: %d %s", code, said)
	}
	if len(pd.Requests()) > 0 {
		t.Error("something was sent before a replay")
	}
	var result struct{ Done int64 }
	_, said = p.ask(t, "POST", "/console/api/replay?all=yes")
	if err := json.Unmarshal([]byte(said), &result); err != nil || result.Done != dead {
		t.Errorf("replay: %s, %v, want %d", said, err, dead)
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if int64(len(pd.Open())) == dead {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d incidents are open, want %d", len(pd.Open()), dead)
		}
	}
}

// Mistakes of backup and restore are one line, and change nothing.
func TestBackupMistakes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "relay.yaml")
	write(t, file, "sources: {default: {tokens: [env:NONE]}}\nlanes: {a: {type: log}}\n"+
		"listeners: {operator: '127.0.0.1:1'}\nstore: {directory: "+dir+"/data}\n")
	garbage := filepath.Join(dir, "garbage")
	write(t, garbage, "no store")
	cut := httpServerThatCuts(t)
	for _, test := range []struct {
		env, args []string
		status    int
		want      string
	}{
		{nil, []string{"backup", dir + "/b"}, 2, "needs the operator's address"},
		{nil, []string{"backup"}, 2, "takes these arguments"},
		{[]string{"RELAY_OPERATOR=127.0.0.1:1"}, []string{"backup", dir + "/b"}, 1, "refused"},
		{[]string{"RELAY_OPERATOR=" + cut}, []string{"backup", dir + "/b"}, 1, "broke off"},
		{[]string{"RELAY_CONFIG=" + file}, []string{"backup", dir + "/b"}, 1, "127.0.0.1:1"},
		{[]string{"RELAY_CONFIG=" + file}, []string{"restore", garbage}, 1, dir + "/data/relay.db"},
		{nil, []string{"restore", dir + "/none"}, 2, "no such file"},
		{[]string{"RELAY_STORE=postgres://x"}, []string{"restore", garbage}, 2, "own tools"},
	} {
		status, out, errs := tool(t, append(test.env, "RELAY_DATA="), test.args...)
		if status != test.status || !strings.Contains(errs, test.want) || out != "" ||
			strings.Count(errs, "\n") != 1 {
			t.Errorf("%q %q: %d %s%s, want %d %s", test.env, test.args, status, out, errs,
				test.status, test.want)
		}
	}
	left, err := os.ReadDir(filepath.Join(dir, "data"))
	if _, there := os.Stat(dir + "/b"); err != nil || len(left) > 0 || there == nil {
		t.Errorf("%v is left over, %v", left, err)
	}
}

// httpServerThatCuts answers half a backup.
func httpServerThatCuts(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
		panic(http.ErrAbortHandler)
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	return l.Addr().String()
}
