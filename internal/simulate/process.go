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
	"github.com/guance-relay/guance-relay/relay/store"
)

const (
	drain = 5 * time.Second
	grace = time.Second // how long a stop may take beyond the drain time
)

var errDead = errors.New("the process is dead")

// A process is the relay from one start to its end. It has its store from a disk, or from an engine
// that it has in common with others.
type process struct {
	node    int
	mount   *mount
	link    *link
	dead    atomic.Bool // it was killed
	lanes   Lanes       // guarded by world.mu
	log     *slog.Logger
	relay   *relay.Relay
	handler *relay.Handler
	ctx     context.Context
	cancel  context.CancelFunc
	ended   chan struct{}
	err     error       // of Run, once ended is closed
	leaving atomic.Bool // it was told to stop
}

// newProcess returns a process of a node, with lanes. w.mu is held.
func newProcess(w *world, node int, lanes Lanes) *process {
	p := &process{node: node, lanes: lanes, ended: make(chan struct{})}
	var db store.Store
	if w.engine != nil {
		p.link = w.engine.open(w, node)
		db = p.link
	} else {
		p.mount = &mount{disk: w.disk, dead: &p.dead}
		db = p.mount
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.log = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelInfo}))
	opts := &relay.Options{Logger: p.log, DrainTimeout: drain,
		Now: func() time.Time { return w.date(node) }, Node: nodeName(node)}
	if w.plan.Route {
		opts.Route = func(_ string, e *guance.Event) []string { return lanes.configuration(e).Wanted }
	}
	var err error
	if p.relay, err = relay.New(db, opts); err != nil {
		panic(err)
	}
	for _, l := range lanes {
		if !l.Removed {
			p.relay.Handle(l.Name, p.sink(w, l), w.options(l))
		}
	}
	if p.handler, err = relay.NewHandler(p.relay, handlerOptions(w.plan.Sources)); err != nil {
		panic(err)
	}
	return p
}

// sink returns the sink of a lane in this process.
func (p *process) sink(w *world, l Lane) relay.Sink {
	if l.Key == "" {
		return relay.SinkFunc(func(ctx context.Context, d *relay.Delivery) error {
			if p.dead.Load() {
				return errDead
			}
			p.link.send()
			defer p.wait()
			return w.chats[l.ID].Deliver(ctx, d)
		})
	}
	k, err := pagerduty.ParseRoutingKey(l.Key)
	if err != nil {
		panic(err)
	}
	client, err := pagerduty.NewClient(k, &pagerduty.Options{
		Transport: &wire{Transport: w.fake, w: w, p: p, lane: l.ID, key: l.Key}, Logger: p.log,
	})
	if err != nil {
		panic(err)
	}
	return pagerdutysink.New(client, nil)
}

// options returns the settings of a lane.
func (w *world) options(l Lane) *relay.SinkOptions {
	o := &relay.SinkOptions{
		Fallback: l.Fallback, Formerly: l.Formerly, EveryEvent: l.Key == "", PerMinute: 6000,
	}
	if !w.plan.Route {
		o.Match = l.Match.takes
	}
	if l.Key != "" {
		o.PerMinute, o.Concurrency = w.plan.PerMinute, w.plan.Concurrency
		o.MaxAge, o.MaxAttempts = w.plan.MaxAge, 5
	}
	return o
}

// kill ends the process at once: nothing that it does later has an effect.
func (p *process) kill() {
	p.dead.Store(true)
	if p.link != nil {
		p.link.Kill()
	}
	p.cancel()
}

// wait returns once the process is not paused.
func (p *process) wait() {
	if p.link != nil {
		p.link.Wait()
	}
}

// failed reports whether the disk has refused a write, so that the process ends.
func (p *process) failed() bool { return p.mount != nil && p.mount.failed.Load() }

// up reports whether the process answers.
func (p *process) up() bool {
	select {
	case <-p.ended:
		return false
	default:
		return !p.dead.Load() && !p.leaving.Load()
	}
}

// wire is the network between a lane of one process and PagerDuty. It records each request.
type wire struct {
	*pagerdutytest.Transport
	w    *world
	p    *process
	lane int
	key  string
}

func (n *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if n.p.dead.Load() {
		_ = r.Body.Close()
		return nil, errDead
	}
	n.p.link.send()
	paused := n.p.link.paused()
	i := n.w.begin(n.lane, n.key, r)
	time.Sleep(time.Duration(n.w.random() * float64(100*time.Millisecond)))
	resp, err := n.Transport.RoundTrip(r)
	if n.p.dead.Load() {
		return nil, errDead // the answer came after the end of the process
	}
	n.w.end(n.lane, i, resp, err)
	n.p.wait()
	if n.p.link.paused() != paused {
		n.w.late(n.lane, i)
	}
	return resp, err
}

// begin records a request of a lane and returns its index.
func (w *world) begin(lane int, key string, r *http.Request) int {
	body, err := r.GetBody()
	if err != nil {
		panic(err)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		panic(err)
	}
	var says struct {
		DedupKey string `json:"dedup_key"`
		Payload  struct {
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
	id := relay.EventID(w.plan.sourceOf(says.DedupKey), &guance.Event{
		EventID: d.ID, Status: guance.Status(d.Status), SubStatus: guance.Status(d.SubStatus),
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attempts[lane] = append(w.attempts[lane], relaytest.Attempt{
		ID: id, Problem: says.DedupKey, Start: time.Now(),
	})
	w.keys[lane] = append(w.keys[lane], key)
	return len(w.attempts[lane]) - 1
}

// late records that the process was paused during a request. It may have lost its lease meanwhile,
// and could not end the request.
func (w *world) late(lane, i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attempts[lane][i].End = time.Time{}
}

// end records the answer.
func (w *world) end(lane, i int, resp *http.Response, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := &w.attempts[lane][i]
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
