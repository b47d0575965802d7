package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
	"github.com/guance-relay/guance-relay/relay/relaytest"
)

const (
	pager = "pagerduty" // the lane to PagerDuty
	audit = "audit"     // a lane whose target never fails
	drain = 5 * time.Second
	grace = time.Second // how long a stop may take beyond the drain time
)

// key is a routing key.
const key = "51mu1a7e000000000000000000000000"

var errDead = errors.New("the process is dead")

// A process is the relay from one start to its end.
type process struct {
	mount   *mount
	relay   *relay.Relay
	handler *relay.Handler
	ctx     context.Context
	cancel  context.CancelFunc
	ended   chan struct{}
	err     error       // of Run, once ended is closed
	leaving atomic.Bool // it was told to stop
}

func newProcess(w *world) *process {
	p := &process{mount: &mount{disk: w.disk}, ended: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	log := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelInfo}))
	k, err := pagerduty.ParseRoutingKey(key)
	if err != nil {
		panic(err)
	}
	client,
		err := pagerduty.NewClient(k, &pagerduty.Options{Transport: &wire{Transport: w.fake, w: w,
		p: p}, Logger: log})
	if err != nil {
		panic(err)
	}
	if p.relay, err = relay.New(p.mount, &relay.Options{Logger: log, DrainTimeout: drain,
		Now: w.date}); err != nil {
		panic(err)
	}
	p.relay.Handle(pager, pagerdutysink.New(client, nil), &relay.SinkOptions{
		PerMinute: w.plan.PerMinute, Concurrency: w.plan.Concurrency, MaxAge: w.plan.MaxAge,
		MaxAttempts: 5,
	})
	p.relay.Handle(audit, relay.SinkFunc(func(ctx context.Context, d *relay.Delivery) error {
		if p.mount.dead.Load() {
			return errDead
		}
		return w.audit.Deliver(ctx, d)
	}), &relay.SinkOptions{EveryEvent: true, PerMinute: 6000})
	if p.handler, err = relay.NewHandler(p.relay, &relay.HandlerOptions{NoAuth: true}); err != nil {
		panic(err)
	}
	return p
}

// kill ends the process at once: nothing that it does later has an effect.
func (p *process) kill() {
	p.mount.dead.Store(true)
	p.cancel()
}

// up reports whether the process answers.
func (p *process) up() bool {
	select {
	case <-p.ended:
		return false
	default:
		return !p.mount.dead.Load() && !p.leaving.Load()
	}
}

// wire is the network between one process and PagerDuty. It records each request.
type wire struct {
	*pagerdutytest.Transport
	w *world
	p *process
}

func (n *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if n.p.mount.dead.Load() {
		_ = r.Body.Close()
		return nil, errDead
	}
	i := n.w.begin(r)
	time.Sleep(time.Duration(n.w.random() * float64(100*time.Millisecond)))
	resp, err := n.Transport.RoundTrip(r)
	if n.p.mount.dead.Load() {
		return nil, errDead // the answer came after the end of the process
	}
	n.w.end(i, resp, err)
	return resp, err
}

// begin records a request and returns its index.
func (w *world) begin(r *http.Request) int {
	body, err := r.GetBody()
	if err != nil {
		panic(err)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		panic(err)
	}
	var says struct {
		Payload struct {
			Details struct {
				ID        string `json:"event_id"`
				Status    string `json:"status"`
				SubStatus string `json:"sub_status"`
			} `json:"custom_details"`
		} `json:"payload"`
	}
	if err := json.Unmarshal(text, &says); err != nil {
		panic(err)
	}
	d := says.Payload.Details
	id := relay.EventID("", &guance.Event{EventID: d.ID, Status: guance.Status(d.Status),
		SubStatus: guance.Status(d.SubStatus)})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attempts = append(w.attempts, relaytest.Attempt{ID: id, Start: time.Now()})
	return len(w.attempts) - 1
}

// end records the answer.
func (w *world) end(i int, resp *http.Response, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := &w.attempts[i]
	a.End, a.Err = time.Now(), err
	switch {
	case err != nil:
	case resp.StatusCode < 300:
		a.Answer = relaytest.Taken
	case resp.StatusCode == http.StatusTooManyRequests:
		a.Answer = relaytest.Throttled
	case resp.StatusCode < 500:
		a.Answer = relaytest.Refused
	}
}
