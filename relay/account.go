package relay

import (
	"cmp"
	"slices"
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
	// account of its own. Handle and SetLane call it once.
	Account() string
}

// An account is the lanes that share a budget. One node owns all these lanes together.
type account struct {
	key       string // see laneConfig.accountKey
	name      string // empty: it has one lane
	lanes     []*lane
	perMinute int     // the lowest of its lanes
	budget    *budget // nil before the lanes first run
	// rest is how long the node waits before it acquires the lanes.
	rest time.Duration
}

// newAccount returns an account with lanes that have not run yet.
func newAccount(key, name string, configs []*laneConfig) *account {
	a := &account{key: key, name: name, perMinute: configs[0].opts.PerMinute}
	for _, c := range configs {
		a.lanes = append(a.lanes, newLane(c, a))
		a.perMinute = min(a.perMinute, c.opts.PerMinute)
	}
	return a
}

func (a *account) configs() []*laneConfig {
	list := make([]*laneConfig, len(a.lanes))
	for i, l := range a.lanes {
		list[i] = l.laneConfig
	}
	return list
}

// lane returns the lane of a config.
func (a *account) lane(c *laneConfig) *lane {
	i := slices.IndexFunc(a.lanes, func(l *lane) bool { return l.laneConfig == c })
	return a.lanes[i]
}

// group returns the lanes that the account's owner must own together. node is the name of this
// node.
func (a *account) group(node string) store.Group {
	g := store.Group{Node: node, Name: cmp.Or(a.name, "lane "+a.lanes[0].name)}
	for _, l := range a.lanes {
		g.Lanes = append(g.Lanes, l.name)
	}
	return g
}
