package relay

import (
	"cmp"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A Metered sink names the account that its requests count against at the target, as PagerDuty counts by integration key. Lanes whose sinks
// name the same account share one budget, the least that any of them was given: what the target allows is kept
// however many lanes lead to it. What one of them learns from a 429 holds for all. How long a new problem waits is then bounded by the sends of
// these lanes together.
type Metered interface {
	Sink
	// Account returns the account's name, which must not be a secret; "" is an account of the lane's own. It is called once, by Handle.
	Account() string
}

// An account is the budget of the lanes that share it. One node owns all these lanes together. It is
// safe for concurrent use.
type account struct {
	name  string // empty: it has one lane alone
	lanes []*lane

	mu        sync.Mutex
	perMinute int     // the least of its lanes; not changed once a lane has started
	budget    *budget // guarded by mu; nil until the first lane starts
}

// account returns the account of a lane, and adds the lane to it.
func (r *Relay) account(l *lane) *account {
	name := ""
	if m, ok := SinkAs[Metered](l.sink); ok {
		name = m.Account()
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

// take spends one request if there is one to spend at now, and otherwise says when to ask again. Lanes that wait are told the same time, and none
// has the better chance then.
func (a *account) take(now time.Time) (ok bool, again time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.budget.take(now)
}

// limit returns how many requests of a lane may be in flight, of at most n.
func (a *account) limit(n int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.budget.limit(n)
}

func (a *account) throttled(began, now time.Time, asked time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.budget.throttled(began, now, asked)
}

func (a *account) succeeded(began time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.budget.succeeded(began)
}

// standing returns until when the account is paused, when there is a request to spend, and the rate that is kept now.
func (a *account) standing(now time.Time) (paused, next time.Time, perMinute float64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.budget.until, a.budget.next(now), a.budget.perMinute()
}
