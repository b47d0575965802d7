package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/store"
)

// epoch is when the clock of a synctest bubble starts.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// A world plays a plan.
type world struct {
	plan    *Plan
	fake    *pagerdutytest.Transport
	store   *relaytest.StoreRecorder
	disk    *disk                 // of one node
	engine  *engine               // of several nodes; otherwise nil
	chats   []*relaytest.Recorder // by ID of the lane
	senders sync.WaitGroup
	runs    sync.WaitGroup // of processes
	walls   []atomic.Int64 // of each node: how far its wall clock is ahead

	// change has for each node one value, which is taken while the lanes of the node are changed.
	// With a mutex, time would stand still in the bubble while a goroutine waits for it.
	change []chan struct{}

	mu        sync.Mutex
	rng       *rand.Rand
	processes []*process // of each node, the present one
	over      bool
	lanes     []Lanes               // of each node, as its next process has them
	inForce   []inForce             // in order of time
	attempts  [][]relaytest.Attempt // by ID of the lane
	keys      [][]string            // the routing key of each attempt
	answered  map[string]time.Time  // the events that were answered with 202
	numbers   map[string]int        // problems, numbered in order of appearance
	stops     []error               // broken promises that were seen at once
}

func newWorld(p *Plan) *world {
	w := &world{
		plan: p, fake: pagerdutytest.NewTransport(), walls: make([]atomic.Int64, p.Nodes),
		rng: rand.New(rand.NewPCG(p.Seed, 2)), answered: make(map[string]time.Time),
		numbers: make(map[string]int), attempts: make([][]relaytest.Attempt, len(p.Lanes)),
		keys: make([][]string, len(p.Lanes)), processes: make([]*process, p.Nodes),
	}
	for range p.Nodes {
		w.lanes = append(w.lanes, p.Lanes)
		w.change = append(w.change, make(chan struct{}, 1))
		w.change[len(w.change)-1] <- struct{}{}
	}
	for range p.Lanes {
		w.chats = append(w.chats, relaytest.Record(nil))
	}
	w.fake.SetRateLimit(2 * p.PerMinute) // so that the lane keeps its budget, not the target
	return w
}

// date returns the time of the wall clock of a node.
func (w *world) date(node int) time.Time {
	return time.Now().Add(time.Duration(w.walls[node].Load()))
}

func (w *world) random() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.Float64()
}

// fork returns a random source of its own, for callers whose order is not fixed.
func (w *world) fork() func() float64 {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(uint64(w.random()*1e18), 3))
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return rng.Float64()
	}
}

// number returns the number of a problem, from 1.
func (w *world) number(problem string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.numbers[problem] == 0 {
		w.numbers[problem] = len(w.numbers) + 1
	}
	return w.numbers[problem]
}

// Run plays a plan on a store and returns the first broken promise. It must be called in a
// synctest bubble in which the store was made. The caller closes the store.
func Run(p *Plan, s store.Store) error {
	w := newWorld(p)
	w.store = relaytest.RecordStore(s)
	w.disk = newDisk(w.store, p.Disk, w.random)
	return w.run()
}

// RunNodes is Run for several nodes. The leases of the cluster should last 3 s, as they do by
// default.
func RunNodes(p *Plan, c *memstore.Cluster) error {
	w := newWorld(p)
	w.engine = newEngine(c)
	w.store = w.engine.store
	return w.run()
}

func (w *world) run() error {
	w.start()
	began := time.Now()
	for _, s := range w.plan.Steps {
		time.Sleep(time.Until(began.Add(s.At)))
		s.Do.do(w)
	}
	w.heal()
	settled := w.settle()
	time.Sleep(time.Minute) // until PagerDuty has handled late requests
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	w.stop()
	w.runs.Wait()
	return w.judge(settled)
}

// start starts a process of each node that has none.
func (w *world) start() {
	for node := range w.processes {
		w.startNode(node)
	}
}

// startNode starts a process of a node, unless one runs. A process that ends by itself, such as
// after a failed write, is started again. One of several nodes must not end by itself.
func (w *world) startNode(node int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.processes[node]
	if w.over || old != nil && old.up() {
		return
	}
	p := newProcess(w, node, w.lanes[node])
	w.processes[node] = p
	w.inForce = append(w.inForce, inForce{node, time.Now(), []Lanes{w.lanes[node]}})
	w.runs.Go(func() {
		p.err = p.relay.Run(p.ctx)
		close(p.ended)
		if p.link != nil {
			_ = p.link.Close() // never fails
		}
		if !p.dead.Load() && !p.leaving.Load() {
			p.dead.Store(true)
			if p.link != nil {
				w.broken(fmt.Errorf("promise 7 is broken: a node ended by itself: %w", p.err))
			}
			time.Sleep(2 * time.Second)
			w.startNode(node)
		}
	})
}

// process returns the present process of a node.
func (w *world) process(node int) *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.processes[node]
}

// now returns the process of one node, or of any of several: one that is up if there is one.
func (w *world) now() *process {
	first := 0
	if len(w.processes) > 1 {
		first = int(w.random() * float64(len(w.processes)))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.processes {
		if p := w.processes[(first+i)%len(w.processes)]; p.up() {
			return p
		}
	}
	return w.processes[first]
}

// broken notes a broken promise.
func (w *world) broken(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stops = append(w.stops, err)
}

// stop stops the process of each node.
func (w *world) stop() {
	for node := range w.processes {
		w.stopProcess(w.process(node))
	}
}

// stopProcess ends a process as SIGTERM does, and checks promise 8.
func (w *world) stopProcess(p *process) {
	if !p.up() {
		return
	}
	p.link.keepAwake()
	began := time.Now()
	p.leaving.Store(true)
	p.cancel()
	<-p.ended
	if p.dead.Load() {
		return // it was killed meanwhile
	}
	took := time.Since(began)
	w.mu.Lock()
	defer w.mu.Unlock()
	if took > drain+grace {
		w.stops = append(w.stops, fmt.Errorf("promise 8 is broken: a stop took %v", took))
	}
	if p.err != nil && !p.failed() {
		w.stops = append(w.stops, fmt.Errorf("promise 8 is broken: a stop ended with %w", p.err))
	}
}

// send sends a webhook as Guance does, again after a failure if the plan says so.
func (w *world) send(d deliver) {
	var raws []json.RawMessage
	for _, e := range d.events {
		raws = append(raws, e.Raw)
		w.number(relay.ProblemKey(d.source, e.ProblemKey()))
	}
	body, err := json.Marshal(raws)
	if err != nil {
		panic(err)
	}
	for try := range d.retries + 1 {
		if try > 0 {
			time.Sleep(time.Second + time.Duration(w.random()*float64(30*time.Second)))
		}
		if w.post(d, body) {
			return
		}
	}
}

// post sends one webhook and reports whether it was answered with 202.
func (w *world) post(d deliver, body []byte) bool {
	p := w.now()
	if !p.up() {
		return false // no process runs
	}
	req := httptest.NewRequest(http.MethodPost, "/guance", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Relay-Token", tokenOf(d.source))
	answer := httptest.NewRecorder()
	p.handler.ServeHTTP(answer, req)
	p.wait()
	if p.dead.Load() {
		return false // the process died before it answered
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch answer.Code {
	case http.StatusAccepted:
		for _, e := range d.events {
			w.answered[relay.EventID(d.source, e)] = time.Now()
		}
		return true
	case http.StatusServiceUnavailable:
		if answer.Header().Get("Retry-After") == "" {
			w.stops = append(w.stops, fmt.Errorf("503 without Retry-After"))
		}
	default:
		w.stops = append(w.stops, fmt.Errorf("a webhook was answered with %d: %s", answer.Code,
			answer.Body))
	}
	return false
}

// operate calls fn, as an operator, while all else goes on.
func (w *world) operate(fn func(ctx context.Context, p *process)) {
	p := w.now()
	w.senders.Go(func() {
		ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
		defer cancel()
		fn(ctx, p)
	})
}

// name returns the present name of a lane. Those of several nodes do not change.
func (w *world) name(id int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lanes[0][id].Name
}

// replay and drop fail if the process dies; the history is checked.
func (w *world) replay(ctx context.Context, p *process, lane int) {
	_, _, _ = p.relay.ReplayAll(ctx, w.name(lane))
}

func (w *world) drop(ctx context.Context, p *process, lane int) {
	name := w.name(lane)
	dead, err := p.relay.DeadLetters(ctx, name, 0, 1)
	if err == nil && len(dead) == 1 {
		_ = p.relay.Drop(ctx, name, dead[0].Seq)
	}
}

// heal ends all faults, and gives all nodes that are not behind all lanes.
func (w *world) heal() {
	w.senders.Wait()
	for node := range w.processes {
		if l := w.process(node).link; l != nil {
			l.Resume()
			l.keepAwake()
		}
	}
	w.fake.Heal()
	w.fake.SetRateLimit(2 * w.plan.PerMinute)
	if w.disk != nil {
		w.disk.set(sound, 0)
	}
	time.Sleep(10 * time.Second) // until a process that is being started is up
	w.start()
	for node := w.plan.Behind; node < w.plan.Nodes; node++ {
		for _, l := range w.plan.Lanes {
			w.senders.Go(func() { w.restore(node, l.ID) })
		}
	}
	w.senders.Wait()
	time.Sleep(10 * time.Second) // a process that failed meanwhile is started again
	w.start()
}

// settle waits until nothing is pending, for a day at most, and reports whether that happened.
func (w *world) settle() bool {
	for range 24 * 60 {
		held, err := w.store.Holdings(context.Background())
		if err != nil {
			panic(err)
		}
		pending := 0
		for _, h := range held {
			pending += h.Pending
		}
		if pending == 0 {
			return true
		}
		time.Sleep(time.Minute)
	}
	return false
}
