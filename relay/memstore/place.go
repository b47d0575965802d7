package memstore

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A place is what several stores have in common: what they keep, and the engine's side of it.
type place struct {
	mu sync.Mutex
	// Guarded by mu:
	state
	opened    time.Time     // with the monotonic clock
	before    time.Duration // the store's time then
	limit     int
	laneLimit int
	term      time.Duration // of a lease; 0: a lease has no end
	down      bool
	standby   *state // nil: it lacks nothing
	// unconfirmed: commits wait for the standby in vain.
	unconfirmed bool
	requests    []*request    // that have no answer
	observe     func(Call)    // see Cluster.Observe; nil: nobody does
	changed     chan struct{} // closed by wake; nil: nobody waits
}

// A state is what a place keeps.
type state struct {
	lanes  map[string]*lane           // by each name of a lane
	seen   map[string]map[string]bool // event IDs, by source
	nonces map[string][]report
}

func newPlace() *place {
	// The time begins at 1, as a Kept of 0 is one that nobody has set.
	return &place{
		opened: time.Now(), before: 1,
		state: state{make(map[string]*lane), make(map[string]map[string]bool),
			make(map[string][]report)},
	}
}

// open returns a new store of the place.
func (p *place) open() *Store { return &Store{place: p, leases: make(map[*lease]bool)} }

// clone returns a copy without owners.
func (s *state) clone() *state {
	c := &state{make(map[string]*lane), make(map[string]map[string]bool), maps.Clone(s.nonces)}
	copies := make(map[*lane]*lane)
	for name, l := range s.lanes {
		if copies[l] == nil {
			copies[l] = l.clone()
		}
		c.lanes[name] = copies[l]
	}
	for source, ids := range s.seen {
		c.seen[source] = maps.Clone(ids)
	}
	return c
}

// lane returns a lane, which it makes at the first call. mu is held.
func (s *state) lane(name string) *lane {
	l := s.lanes[name]
	if l == nil {
		l = newLane(name)
		s.lanes[name] = l
	}
	return l
}

// sorted returns each lane once, by name. mu is held.
func (s *state) sorted() []*lane {
	lanes := make(map[*lane]bool)
	for _, l := range s.lanes {
		lanes[l] = true
	}
	return slices.SortedFunc(maps.Keys(lanes), func(a, b *lane) int {
		return cmp.Compare(a.name, b.name)
	})
}

// now returns the time of the place. mu is held.
func (p *place) now() time.Duration { return p.before + time.Since(p.opened) }

// full returns ErrFull if n more entries would pass the limit. mu is held.
func (p *place) full(n int) error {
	pending := 0
	for _, l := range p.sorted() {
		pending += len(l.entries)
	}
	if p.limit > 0 && pending+n > p.limit {
		return fmt.Errorf("memstore: %d entries are pending: %w", pending, store.ErrFull)
	}
	return nil
}

// took tells who observes the place that a call took effect. mu is held.
func (p *place) took(c Call) {
	if p.observe != nil {
		p.observe(c)
	}
}

// changes returns a channel that the next wake closes. mu is held.
func (p *place) changes() <-chan struct{} {
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

// wake has all calls that wait look again. mu is held.
func (p *place) wake() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// tell ends each ownership that was revoked while its owner could not be told. mu is held.
func (p *place) tell() {
	for _, l := range p.sorted() {
		if l.owner != nil && l.owner.fenced {
			l.owner.revoke()
		}
	}
	p.wake()
}
