package relay

import (
	"fmt"
	"maps"
	"slices"
)

// A laneSet is the lanes of a relay and their accounts at one time. It does not change: another one
// takes its place.
type laneSet struct {
	all      []*lane // in the order in which they were added
	byName   map[string]*lane
	accounts []*account
	served   []string // the names of the lanes that have a sink
	fallback *lane    // nil: there is none
}

// lane returns the lane of a name, or nil.
func (s *laneSet) lane(name string) *lane { return s.byName[name] }

func (s *laneSet) configs() []*laneConfig {
	list := make([]*laneConfig, len(s.all))
	for i, l := range s.all {
		list[i] = l.laneConfig
	}
	return list
}

// next returns the set of these lanes. A lane that runs goes on in it if nothing has changed for
// its account. gone are the accounts of the old set that are not in the new one.
func (s *laneSet) next(configs []*laneConfig) (set *laneSet, gone []*account, err error) {
	byAccount := make(map[string][]*laneConfig)
	for _, c := range configs {
		byAccount[c.accountKey()] = append(byAccount[c.accountKey()], c)
	}
	before := make(map[string]*account)
	for _, a := range s.accounts {
		before[a.key] = a
	}
	set = &laneSet{byName: make(map[string]*lane)}
	accounts := make(map[string]*account)
	for _, c := range configs {
		key := c.accountKey()
		a := accounts[key]
		if a == nil {
			if a = before[key]; a == nil || !slices.Equal(a.configs(), byAccount[key]) {
				a = newAccount(key, c.account, byAccount[key])
			}
			accounts[key] = a
			set.accounts = append(set.accounts, a)
		}
		if err := set.add(a.lane(c)); err != nil {
			return nil, nil, err
		}
	}
	for _, a := range s.accounts {
		if accounts[a.key] != a {
			gone = append(gone, a)
		}
	}
	return set, gone, nil
}

// renew returns the set with an account whose lanes can run once more in the place of a.
func (s *laneSet) renew(a *account) (*laneSet, *account) {
	next := newAccount(a.key, a.name, a.configs())
	set := &laneSet{byName: maps.Clone(s.byName), served: s.served, fallback: s.fallback}
	for _, other := range s.accounts {
		if other == a {
			other = next
		}
		set.accounts = append(set.accounts, other)
	}
	for _, l := range s.all {
		if l.account == a {
			l = next.lane(l.laneConfig)
			set.byName[l.name] = l
			if l.opts.Fallback {
				set.fallback = l
			}
		}
		set.all = append(set.all, l)
	}
	return set, next
}

func (s *laneSet) add(l *lane) error {
	if s.byName[l.name] != nil {
		return fmt.Errorf("relay: two lanes named %s", l.name)
	}
	s.all, s.byName[l.name] = append(s.all, l), l
	if l.sink != nil {
		s.served = append(s.served, l.name)
	}
	if l.opts.Fallback {
		if s.fallback != nil {
			return fmt.Errorf("relay: lanes %q and %q are both the fallback", s.fallback.name, l.name)
		}
		s.fallback = l
	}
	return nil
}

// names returns the names of all lanes.
func (s *laneSet) names() []string { return slices.Sorted(maps.Keys(s.byName)) }

// findLane returns the lane of a name, or nil.
func (r *Relay) findLane(name string) *lane { return r.lanes.Load().lane(name) }
