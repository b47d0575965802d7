package schedule

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// Conditions are what a forecast needs to know of a lane besides its schedule.
type Conditions struct {
	Now      time.Time
	From     time.Time     // nothing is sent before it, because the lane pauses; zero: it does not
	Budget   Bucket        // what the lane may spend
	Limit    int           // attempts in flight at most, at least 1
	InFlight int           // of them now
	Single   bool          // one attempt in flight until one succeeds, as after a 429
	Took     time.Duration // how long an attempt takes
}

// A Bucket is a token bucket that gets faster again, step by step. One token is one request.
type Bucket struct {
	At     time.Time // the time of Tokens
	Tokens float64
	Burst  float64 // tokens at most
	Rate   float64 // tokens a second, above 0
	Full   float64 // the highest Rate
	Step   float64 // what is added to Rate at each step
	Raised time.Time
	Every  time.Duration // from one step to the next
}

// fill goes on to a time.
func (b *Bucket) fill(to time.Time) {
	for b.Rate < b.Full && b.Every > 0 && !b.Raised.Add(b.Every).After(to) {
		b.Raised = b.Raised.Add(b.Every)
		b.add(b.Raised)
		b.Rate = min(b.Rate+b.Step, b.Full)
	}
	b.add(to)
}

func (b *Bucket) add(to time.Time) {
	if to.After(b.At) {
		b.Tokens = min(b.Tokens+to.Sub(b.At).Seconds()*b.Rate, b.Burst)
		b.At = to
	}
}

// next returns when there is a token, not before the given time.
func (b *Bucket) next(at time.Time) time.Time {
	b.fill(at)
	if b.Tokens >= 1 {
		return at
	}
	sim := *b
	for {
		wait := max(time.Duration((1-sim.Tokens)/sim.Rate*float64(time.Second)), time.Millisecond)
		then := sim.At.Add(wait)
		step := sim.Raised.Add(sim.Every)
		if sim.Rate >= sim.Full || sim.Every <= 0 || step.After(then) {
			return then
		}
		sim.fill(step)
	}
}

// A Forecast is a pending entry, why it is not sent now, and when it will be sent.
type Forecast struct {
	Waiting
	State guance.State
	Level guance.Level
	// At is when it will be sent. Of an entry in flight it is the present time, and of one that
	// expires before its turn the time of that.
	At          time.Time
	Expires     bool
	Quarantined bool // the store could not read it
}

// Forecast returns the first n pending entries in the order in which they will be sent. It plays
// the choices of [Schedule.Next] on a copy of what they depend on, and changes nothing. It assumes
// that no entry arrives, that the target takes what is sent, and, if the target is down, that the
// next probe succeeds. Its cost depends on n and on the entries that back off, and not on how many
// are pending.
func (s *Schedule) Forecast(c Conditions, n int) []Forecast {
	if n <= 0 {
		return nil
	}
	f := newForecaster(s, c)
	f.begin()
	for len(f.out) < n && f.step() {
	}
	return f.out[:min(n, len(f.out))]
}

// A turn is an entry that a forecast has taken from the heaps.
type turn struct {
	problem *problem
	place   int // in the queue of the problem
	item    item
	at      int64 // it may be sent from then on
	rank    rank
}

func (t *turn) older(b *turn) int {
	return cmp.Or(cmp.Compare(t.item.kept, b.item.kept), cmp.Compare(t.item.seq, b.item.seq))
}

// A forecaster plays the choices of a schedule.
type forecaster struct {
	*Schedule
	c       Conditions
	now     time.Time       // of the play
	ranks   [ranks]frontier // of what is due
	waits   frontier        // of what waits for a time
	due     turnHeap        // besides ranks
	coming  turnHeap        // due later
	busy    []int64         // when the attempts in flight end, in order
	sends   int
	single  bool // the next attempt is sent alone
	down    bool
	scratch *problems // to compute ranks with
	out     []Forecast
}

func newForecaster(s *Schedule, c Conditions) *forecaster {
	f := &forecaster{
		Schedule: s, c: c, now: c.Now, sends: s.sends, scratch: newProblems(),
		down: s.breaker.down(), waits: newFrontier(&s.byTurn),
		due: turnHeap{less: func(a, b *turn) bool {
			return cmp.Or(cmp.Compare(b.rank, a.rank), a.older(b)) < 0
		}},
		coming: turnHeap{less: func(a, b *turn) bool { return a.at < b.at }},
	}
	f.single = c.Single || f.down
	for i := range f.ranks {
		f.ranks[i] = newFrontier(&s.due.ranks[i])
	}
	for range min(c.InFlight, c.Limit) {
		f.busy = append(f.busy, c.Now.Add(c.Took/2).UnixNano())
	}
	if f.now.Before(c.From) {
		f.now = c.From
	}
	if f.down && f.now.Before(s.breaker.probe) {
		f.now = s.breaker.probe
	}
	return f
}

// begin takes what is in flight.
func (f *forecaster) begin() {
	var flying []*problem
	for p := range f.exempt {
		if p.stage == inFlight && p.waits() {
			flying = append(flying, p)
		}
	}
	slices.SortFunc(flying, func(a, b *problem) int { return cmp.Compare(a.first.seq, b.first.seq) })
	for _, p := range flying {
		f.emit(&turn{problem: p, item: p.first}, f.c.Now, false)
		f.follow(p, 0, f.c.Now.Add(f.c.Took/2))
	}
}

// step sends one entry, or lets time pass. It reports false if there is nothing left.
func (f *forecaster) step() bool {
	f.release()
	t, take := f.choose()
	if t == nil {
		return f.skip()
	}
	if late := moment(t.item.kept).Add(f.policy.MaxAge); f.now.After(late) && !f.quarantined(t) {
		take()
		f.emit(t, late, true)
		f.follow(t.problem, t.place, f.now)
		return true
	}
	if at := f.free(); at.After(f.now) { // what becomes due until then takes part in the choice
		f.now = at
		return true
	}
	take()
	f.sends++
	f.c.Budget.Tokens--
	f.emit(t, f.now, false)
	answer := f.now.Add(f.c.Took)
	f.busy = append(f.busy, answer.UnixNano())
	f.follow(t.problem, t.place, answer)
	if f.single { // it succeeds, and so everything that failed is due
		f.single = false
		f.now = answer
		if f.down {
			f.down = false
			f.recovered()
		}
	}
	return true
}

// free returns when an attempt can begin: there is a token, and not too many are in flight.
func (f *forecaster) free() time.Time {
	for len(f.busy) > 0 && f.busy[0] <= f.now.UnixNano() {
		f.busy = f.busy[1:]
	}
	if f.single && len(f.busy) > 0 {
		return moment(f.busy[len(f.busy)-1])
	}
	if len(f.busy) >= f.c.Limit {
		return moment(f.busy[0])
	}
	return f.c.Budget.next(f.now)
}

// skip goes to the time at which the next entry becomes due.
func (f *forecaster) skip() bool {
	var at int64
	if p := f.waits.first(); p != nil {
		at = f.until(p)
	}
	if len(f.coming.turns) > 0 && (at == 0 || f.coming.turns[0].at < at) {
		at = f.coming.turns[0].at
	}
	if at == 0 {
		return false
	}
	f.now = moment(max(at, f.now.UnixNano()))
	return true
}

// release makes due what waited until now.
func (f *forecaster) release() {
	for p := f.waits.first(); p != nil && f.until(p) <= f.now.UnixNano(); p = f.waits.first() {
		f.waits.pop()
		heap.Push(&f.due, &turn{problem: p, item: p.first, rank: f.rank(p, 0, false)})
	}
	for len(f.coming.turns) > 0 && f.coming.turns[0].at <= f.now.UnixNano() {
		heap.Push(&f.due, heap.Pop(&f.coming))
	}
}

// recovered makes due everything that failed, as [Schedule.resetBackoff] does.
func (f *forecaster) recovered() {
	for p := f.waits.first(); p != nil; p = f.waits.first() {
		f.waits.pop()
		t := &turn{problem: p, item: p.first, at: f.until(p), rank: f.rank(p, 0, true)}
		if f.problems.extra(p).repeat {
			heap.Push(&f.coming, t)
		} else {
			heap.Push(&f.due, t)
		}
	}
	for r := range f.ranks[:classes*levels] { // those with the low rank of a problem that fails
		for p := f.ranks[r].first(); p != nil; p = f.ranks[r].first() {
			f.ranks[r].pop()
			f.due.turns = append(f.due.turns, &turn{problem: p, item: p.first})
		}
	}
	for _, t := range f.due.turns {
		t.rank = f.rank(t.problem, t.place, true)
	}
	heap.Init(&f.due)
}

// choose returns the turn that [Schedule.Next] would choose, and a function that takes it out. It
// returns nil if nothing is due.
func (f *forecaster) choose() (best *turn, take func()) {
	aged := (f.sends+1)%agedShare == 0
	for r := ranks - 1; r >= 0; r-- {
		p := f.ranks[r].first()
		if p == nil {
			continue
		}
		t := &turn{problem: p, item: p.first, rank: rank(r)}
		if best == nil || t.older(best) < 0 {
			best, take = t, f.ranks[r].pop
		}
		if !aged {
			break
		}
	}
	if !aged {
		if len(f.due.turns) > 0 && (best == nil || f.due.less(f.due.turns[0], best)) {
			best, take = f.due.turns[0], func() { heap.Pop(&f.due) }
		}
		return best, take
	}
	for i, t := range f.due.turns {
		if best == nil || t.older(best) < 0 {
			best, take = t, func() { heap.Remove(&f.due, i) }
		}
	}
	return best, take
}

// follow makes the entry behind one that was sent due at the time of its answer.
func (f *forecaster) follow(p *problem, place int, at time.Time) {
	queue := f.problems.extra(p).queue
	if place >= len(queue) {
		return
	}
	heap.Push(&f.coming, &turn{
		problem: p, place: place + 1, item: queue[place], at: at.UnixNano(),
		rank: f.rank(p, place+1, false),
	})
}

// rank returns the rank of a problem once the entries before a place are delivered. reset says that
// its failures are forgotten.
func (f *forecaster) rank(p *problem, place int, reset bool) rank {
	x := *f.problems.extra(p)
	then := *p
	if place > 0 {
		x.reset()
		for i := range place {
			it := &then.first
			if i > 0 {
				it = &x.queue[i-1]
			}
			switch guance.State(it.state) {
			case guance.StateProblem:
				then.shown = it.level
			case guance.StateRecovered:
				then.shown = int8(guance.LevelNone)
			}
		}
		then.first, x.queue = x.queue[place-1], x.queue[place:]
	}
	if reset {
		x.tries = 0
	}
	r, scratch := f.scratch.extras.add()
	defer f.scratch.extras.remove(r)
	*scratch, then.extra = x, r
	return f.scratch.rankOf(&then, f.policy.EveryEvent)
}

func (f *forecaster) quarantined(t *turn) bool {
	return t.place == 0 && t.problem.stage == quarantined
}

func (f *forecaster) emit(t *turn, at time.Time, expires bool) {
	w := Waiting{Seq: t.item.seq, Failed: int(t.item.failed)}
	switch queue := f.problems.extra(t.problem).queue; t.place {
	case 0:
		w = f.waiting(t.problem)
	case 1:
		w.After = t.problem.first.seq
	default:
		w.After = queue[t.place-2].seq
	}
	f.out = append(f.out, Forecast{
		Waiting: w, State: guance.State(t.item.state), Level: guance.Level(t.item.level), At: at,
		Expires: expires, Quarantined: f.quarantined(t),
	})
}

// A turnHeap is a container/heap of turns.
type turnHeap struct {
	less  func(a, b *turn) bool
	turns []*turn
}

func (h *turnHeap) Len() int           { return len(h.turns) }
func (h *turnHeap) Less(i, j int) bool { return h.less(h.turns[i], h.turns[j]) }
func (h *turnHeap) Swap(i, j int)      { h.turns[i], h.turns[j] = h.turns[j], h.turns[i] }
func (h *turnHeap) Push(x any)         { h.turns = append(h.turns, x.(*turn)) }

func (h *turnHeap) Pop() any {
	last := len(h.turns) - 1
	t := h.turns[last]
	h.turns = h.turns[:last]
	return t
}

// A frontier goes through a heap in its order without changing it: the next problem is one of those
// whose parents in the heap were taken. It is a container/heap of places.
type frontier struct {
	of     *problemHeap
	places []int
}

func newFrontier(h *problemHeap) frontier {
	f := frontier{of: h}
	if h.Len() > 0 {
		f.places = []int{0}
	}
	return f
}

// first returns the next problem, or nil.
func (f *frontier) first() *problem {
	if len(f.places) == 0 {
		return nil
	}
	return f.of.problems.at(f.of.refs[f.places[0]])
}

// pop takes the next problem.
func (f *frontier) pop() {
	at := heap.Pop(f).(int)
	for child := 2*at + 1; child <= 2*at+2; child++ {
		if child < f.of.Len() {
			heap.Push(f, child)
		}
	}
}

func (f *frontier) Len() int           { return len(f.places) }
func (f *frontier) Less(i, j int) bool { return f.of.Less(f.places[i], f.places[j]) }
func (f *frontier) Swap(i, j int)      { f.places[i], f.places[j] = f.places[j], f.places[i] }
func (f *frontier) Push(x any)         { f.places = append(f.places, x.(int)) }

func (f *frontier) Pop() any {
	last := len(f.places) - 1
	at := f.places[last]
	f.places = f.places[:last]
	return at
}
