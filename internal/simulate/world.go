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

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/store"
)

// epoch is where a synctest bubble's clock starts.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// A world is a plan being played.
type world struct {
	plan    *Plan
	fake    *pagerdutytest.Transport
	disk    *disk
	audit   *relaytest.Recorder
	senders sync.WaitGroup
	lives   sync.WaitGroup
	wall    atomic.Int64 // how far the clock on the wall is ahead

	mu       sync.Mutex
	rng      *rand.Rand
	process  *process
	over     bool
	attempts []relaytest.Attempt
	answered map[string]time.Time // the events that were answered with 202
	numbers  map[string]int       // problems, numbered as they come
	stops    []error              // what was wrong with a stop
}

func newWorld(p *Plan, s store.Store) *world {
	w := &world{
		plan: p, fake: pagerdutytest.NewTransport(), audit: relaytest.Record(nil),
		rng: rand.New(rand.NewPCG(p.Seed, 2)), answered: make(map[string]time.Time), numbers: make(map[string]int),
	}
	w.disk = newDisk(s, p.Disk, w.random)
	w.fake.SetRateLimit(2 * p.PerMinute) // the lane is to keep its budget, not the target
	return w
}

// date is what the clock on the wall says.
func (w *world) date() time.Time { return time.Now().Add(time.Duration(w.wall.Load())) }

func (w *world) random() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.Float64()
}

// fork returns a source of chance of its own, for what may be asked at any time.
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

// Run plays a plan on a store and returns the first thing that is not as promised. It must be called in a synctest bubble, in which the store was
// made; the store is the caller's to close.
func Run(p *Plan, s store.Store) error {
	w := newWorld(p, s)
	w.start()
	began := time.Now()
	for _, s := range p.Steps {
		time.Sleep(time.Until(began.Add(s.At)))
		s.Do.do(w)
	}
	w.heal()
	settled := w.settle()
	time.Sleep(time.Minute) // what PagerDuty handles late is handled by then
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	w.stop()
	w.lives.Wait()
	return w.judge(settled)
}

// start begins a life, unless there is one. A process that ends by itself, as one that lost its disk does, is started again.
func (w *world) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.process != nil && w.process.up() {
		return
	}
	p := newProcess(w)
	w.process = p
	w.lives.Go(func() {
		p.err = p.relay.Run(p.ctx)
		close(p.ended)
		if !p.mount.dead.Load() && !p.leaving.Load() {
			p.mount.dead.Store(true)
			time.Sleep(2 * time.Second)
			w.start()
		}
	})
}

func (w *world) now() *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.process
}

// stop ends the process as SIGTERM does, and holds it to promise 8.
func (w *world) stop() {
	p := w.now()
	if !p.up() {
		return
	}
	began := time.Now()
	p.leaving.Store(true)
	p.cancel()
	<-p.ended
	took := time.Since(began)
	w.mu.Lock()
	defer w.mu.Unlock()
	if took > drain+hurried {
		w.stops = append(w.stops, fmt.Errorf("promise 8 is broken: a stop took %v", took))
	}
	if p.err != nil && !p.mount.failed.Load() {
		w.stops = append(w.stops, fmt.Errorf("promise 8 is broken: a stop ended with %w", p.err))
	}
}

// send is a sender of Guance's.
func (w *world) send(d deliver) {
	var raws []json.RawMessage
	for _, e := range d.events {
		raws = append(raws, e.Raw)
		w.number(e.ProblemKey())
	}
	body, err := json.Marshal(raws)
	if err != nil {
		panic(err)
	}
	for try := range d.retries + 1 {
		if try > 0 {
			time.Sleep(time.Second + time.Duration(w.random()*float64(30*time.Second)))
		}
		if w.post(d.events, body) {
			return
		}
	}
}

// post sends one webhook and reports whether it was answered with 202.
func (w *world) post(events []*guance.Event, body []byte) bool {
	p := w.now()
	if !p.up() {
		return false // nobody listens
	}
	req := httptest.NewRequest(http.MethodPost, "/guance", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	p.handler.ServeHTTP(answer, req)
	if p.mount.dead.Load() {
		return false // the answer found nobody
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch answer.Code {
	case http.StatusAccepted:
		for _, e := range events {
			w.answered[relay.EventID(e)] = time.Now()
		}
		return true
	case http.StatusServiceUnavailable:
		if answer.Header().Get("Retry-After") == "" {
			w.stops = append(w.stops, fmt.Errorf("503 without Retry-After"))
		}
	default:
		w.stops = append(w.stops, fmt.Errorf("a webhook was answered with %d: %s", answer.Code, answer.Body))
	}
	return false
}

// operate has an operator do something while everything goes on.
func (w *world) operate(fn func(ctx context.Context, p *process)) {
	p := w.now()
	w.senders.Go(func() {
		ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
		defer cancel()
		fn(ctx, p)
	})
}

func (w *world) replay(ctx context.Context, p *process) {
	_, _, _ = p.relay.ReplayAll(ctx, pager) // it fails when the process dies over it, and what it did is judged
}

func (w *world) drop(ctx context.Context, p *process) {
	dead, err := p.relay.DeadLetters(ctx, pager, 0, 1)
	if err == nil && len(dead) == 1 {
		_ = p.relay.Drop(ctx, pager, dead[0].Seq) // as above
	}
}

// heal ends every trouble.
func (w *world) heal() {
	w.senders.Wait()
	w.fake.Heal()
	w.fake.SetRateLimit(2 * w.plan.PerMinute)
	w.disk.fall(sound, 0)
	time.Sleep(10 * time.Second) // a process that is being started again is up by then
	w.start()
}

// settle waits until nothing is pending, and reports whether that came about within a day.
func (w *world) settle() bool {
	for range 24 * 60 {
		held, err := w.disk.store.Holdings(context.Background())
		if err != nil {
			panic(err)
		}
		if held[pager].Pending+held[audit].Pending == 0 {
			return true
		}
		time.Sleep(time.Minute)
	}
	return false
}
