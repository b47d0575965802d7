package relay

import (
	"cmp"

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

// An account is the budget of the lanes that share it. One node owns all these lanes together.
type account struct {
	name      string // empty: it has one lane
	lanes     []*lane
	perMinute int     // the lowest of its lanes
	budget    *budget // set before the lanes run
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
