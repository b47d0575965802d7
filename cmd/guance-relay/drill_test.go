package main

import (
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	stdlog "log"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/store"
)

var drillRounds = flag.Int("drill-rounds", 6, "how many rounds of trouble TestDrill plays")

// In real time, with real processes: the server is killed and stopped, the reader of its log goes
// away, its wall clock is set, and the proxy in front of PagerDuty misbehaves. Each alert that was
// answered with 202 reaches the right final state.
func TestDrill(t *testing.T) {
	t.Parallel() // it mostly waits
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	pd := pagerdutytest.New()
	pd.SetRateLimit(0)
	events := httptest.NewUnstartedServer(pd)
	// the proxy breaks handshakes
	events.Config.ErrorLog = stdlog.New(io.Discard, "", 0)
	events.EnableHTTP2 = true
	events.StartTLS()
	defer events.Close()
	authority := filepath.Join(t.TempDir(), "ca.pem")
	certificate := &pem.Block{Type: "CERTIFICATE", Bytes: events.Certificate().Raw}
	write(t, authority, string(pem.EncodeToMemory(certificate)))
	proxy := newBadProxy(t, events.Listener.Addr().String())

	d := &drill{binary: buildStepped(t), clock: newDrillClock(t), dir: t.TempDir(),
		crowd: newCrowd(rng)}
	d.env = []string{
		"RELAY_DATA=" + d.dir, "PAGERDUTY_URL=https://example.com", "HTTPS_PROXY=" + proxy.URL,
		"SSL_CERT_FILE=" + authority, "DRILL_CLOCK=" + string(d.clock), "RELAY_OPERATOR=127.0.0.1:0",
		fmt.Sprint("PAGERDUTY_PER_MINUTE=", killAllowed), "LOG_LEVEL=info",
	}

	moods := []mood{asks, fails, redirect, cuts, slow, swallows}
	steps := []time.Duration{0, 31 * 24 * time.Hour, -8 * time.Hour, -5 * 365 * 24 * time.Hour,
		4 * 24 * time.Hour, 0}
	ends := []string{"goes on", "killed", "no reader", "stopped", "killed", "goes on"}
	d.start(t)
	for i := range *drillRounds {
		m, step, end := moods[i%len(moods)], steps[i%len(steps)], ends[i%len(ends)]
		if i >= len(moods) { // any three of them
			m, step, end = moods[rng.IntN(len(moods))], steps[rng.IntN(len(steps))],
				ends[rng.IntN(len(ends))]
		}
		t.Logf("round %d: proxy %s, clock %v, the server %s", i, m, step, end)
		d.post(t, 5+rng.IntN(20)) // in good weather
		proxy.set(m)
		d.post(t, 5+rng.IntN(20))
		d.step = step
		d.clock.step(t, step)
		// the backoff of the last round takes half a minute at most, whatever the clock says
		proxy.wait(t, 2*time.Minute)
		// some attempts fail, and some back off
		time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond)
		switch end {
		case "killed":
			d.end(t, syscall.SIGKILL)
			d.start(t)
		case "stopped":
			d.end(t, syscall.SIGTERM)
			d.start(t)
		case "no reader":
			if err := d.log.Close(); err != nil {
				t.Fatal(err)
			}
		}
		d.post(t, 5+rng.IntN(20))
		proxy.set(open)
	}

	// The clock stays as the last step has set it.
	d.server.drained(t, 5*time.Minute)
	d.end(t, syscall.SIGTERM)
	db, err := boltstore.Open(d.dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	h := relaytest.History{Accepted: d.crowd.accepted, Attempts: attempts(t, pd.Requests())}
	if h.Settled, err = relaytest.Settled(t.Context(), db, "pagerduty", h.Accepted); err != nil {
		t.Fatal(err)
	}
	for i, s := range h.Settled {
		h.Settled[i].At = time.Time{} // by the server's clock, which is no measure here
		if s.Outcome == store.Dead {
			t.Errorf("an alert is dead: %s", s.Reason)
		}
	}
	if err := h.Check(&relaytest.Rules{PerMinute: killAllowed, InFlight: 100}); err != nil {
		t.Error(err)
	}
	t.Logf("%d webhooks, %d requests", len(h.Accepted), len(h.Attempts))
}

// A drill is a server whose clock can be set.
type drill struct {
	binary string
	clock  drillClock
	step   time.Duration // that the clock is off
	dir    string
	env    []string
	crowd  *crowd
	server *process
	log    *os.File // the end of stderr that is read
	read   sync.WaitGroup
}

func (d *drill) start(t *testing.T) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d.server, d.log = startOn(t, exec.Command(d.binary), read, write, d.env...), read
	if err := write.Close(); err != nil { // the server has its own
		t.Fatal(err)
	}
	if err := read.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	day := time.Now().Add(d.step).Format("time=2006-01-")
	if !strings.HasPrefix(d.server.output(), day) {
		t.Errorf("the log begins with %.40q, want %s: the clock is not stepped", d.server.output(), day)
	}
	d.read.Go(func() {
		for p, b := d.server, make([]byte, 4096); ; {
			n, err := read.Read(b)
			_, _ = p.Write(b[:n]) // it never fails
			if err != nil {
				return // the end of the server, or of its reader
			}
		}
	})
}

// end sends a signal and waits for the end of the server.
func (d *drill) end(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := d.server.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	err := d.server.Wait()
	if signal == syscall.SIGTERM && (err != nil || time.Since(began) > stopTime) {
		t.Errorf("SIGTERM: %v after %v, want exit 0 within %v:\n%s", err, time.Since(began), stopTime,
			d.server.output())
	}
	d.read.Wait()
	_ = d.log.Close() // the case without a reader has closed it
}

// post sends webhooks until n are answered with 202.
func (d *drill) post(t *testing.T, n int) {
	t.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() { d.crowd.post(i, d.server.url, stop) })
	}
	d.crowd.wait(t, n)
	close(stop)
	wg.Wait()
}

// drained waits until the lane of a server with an operator's address has nothing pending.
func (p *process) drained(t *testing.T, patience time.Duration) {
	t.Helper()
	var stats relay.Stats
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		_, body := p.ask(t, "GET", "/console/api/lanes")
		if err := json.Unmarshal([]byte(body), &stats); err != nil {
			t.Fatal(err)
		}
		// a lane that has not started has no figures yet
		if len(stats.Lanes) == 1 && stats.Lanes[0].State != relay.Stopped && stats.Lanes[0].Backlog == 0 {
			return
		}
		if time.Now().After(deadline) {
			log := strings.Split(p.output(), "\n")
			t.Fatalf("after %v there is still %s\n%s", patience, body,
				strings.Join(log[max(0, len(log)-20):], "\n"))
		}
	}
}
