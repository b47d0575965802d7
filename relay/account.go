package relay

import (
	"cmp"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// An AccountNamer is a [Sink] that names the account at the target that its requests count against.
// PagerDuty, for example, counts requests by integration key.
//
// Lanes with the same account share one budget: the lowest PerMinute of them, and the pause after a
// 429 to any of them. Then a new problem waits for the sends of all these lanes.
type AccountNamer interface {
	Sink
	// Account returns the name of the account, which must not be a secret. Empty: the lane has an
	// account of its own. Handle calls it once.
	Account() string
}

// An account is the budget of the lanes that share it. One node owns all these lanes together. It is
// safe for concurrent use.
type account struct {
	name  string // empty: it has one lane
	lanes []*lane

	mu        sync.Mutex
	perMinute int     // the lowest of its lanes; not changed once a lane has started
	budget    *budget // guarded by mu; nil until the first lane starts
}

// account returns the account of a lane, and adds the lane to it.
func (r *Relay) account(l *lane) *account {
	name := ""
	if n, ok := SinkAs[AccountNamer](l.sink); ok {
		name = n.Account()
	}
	for _, a := range r.accounts {
		if name != "" && a.name == name {
			a.lanes, a.perMinute = append(a.lanes, l), min(a.perMinute, l.opts.PerMinute)
			return a
		}
	}
	a := &account{name: name, lanes: []*lane{l}, perMinute: l.opts.PerMinute}
	r.accounts = append(r.accounts, a)
	return a
}

// group returns the lanes that the account's owner must own together.
func (a *account) group() store.Group {
	g := store.Group{Name: cmp.Or(a.name, "lane "+a.lanes[0].name)}
	for _, l := range a.lanes {
		g.Lanes = append(g.Lanes, l.name)
	}
	return g
}

// open is called by each lane that starts.
func (a *account) open(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.budget == nil {
		a.budget = newBudget(a.perMinute, now)
	}
}

// take spends one request. If there is none at now, it returns when to call again. All lanes that
// wait get the same time, so that none is preferred.
func (a *account) take(now time.Time) (ok bool, again time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.budget.take(now)
}

// limit returns how many requests of a lane may be in flight, at most n.
func (a *account) limit(n int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.budget.limit(n)
}

func (a *account) throttled(began, now time.Time, delay time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.budget.throttled(began, now, delay)
}

func (a *account) succeeded(began time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.budget.succeeded(began)
}

// standing returns the end of the pause, when a request can be spent, and the present rate.
func (a *account) standing(now time.Time) (paused, next time.Time, perMinute float64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.budget.until, a.budget.next(now), a.budget.perMinute()
}
