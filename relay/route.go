package relay

import (
	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// offers returns the lanes that want an event, and if there are none, the fallback. A sink is asked
// what it ignores only for an event that its lane may get.
func (r *Relay) offers(
	lanes *laneSet, source string, ev *guance.Event,
) (wanted []store.Offer, fallback *store.Offer) {
	routed := r.routed(lanes, source, ev)
	for _, l := range lanes.all {
		if l != lanes.fallback && l.wants(ev, routed) || routed[l.name] {
			wanted = append(wanted, l.offer(ev))
		}
	}
	if len(wanted) == 0 && lanes.fallback != nil {
		o := lanes.fallback.offer(ev)
		fallback = &o
	}
	return wanted, fallback
}

func (l *laneConfig) offer(ev *guance.Event) store.Offer {
	return store.Offer{Lane: l.name, Ignored: l.ignores(ev)}
}

// A routing is what Options.Route says of an event: the names of lanes. It is nil if there is no
// Route.
type routing map[string]bool

// routed calls Options.Route. If it panics, every lane without a Match gets the event.
func (r *Relay) routed(
	lanes *laneSet, source string, ev *guance.Event,
) (names routing) {
	if r.route == nil {
		return nil
	}
	defer r.routePanics.recovered(r.log,
		"relay: Route panicked; every lane without Match gets the event", func() { names = nil })
	names = make(routing)
	for _, name := range r.route(source, ev) {
		if l := lanes.lane(name); l == nil || l.sink == nil {
			r.unknownLanes.do(func(n uint64) {
				r.log.Error("relay: Route names a lane that does not exist; the event goes to the other "+
					"lanes alone", "lane", short(name), "events", n)
			})
			continue
		}
		names[name] = true
	}
	return names
}

// wants reports whether the lane wants an event that Route did not send to it. A lane without Match
// wants every event, unless there is a Route.
func (l *laneConfig) wants(ev *guance.Event, routed routing) bool {
	switch {
	case l.sink == nil:
		return false
	case l.opts.Match == nil:
		return routed == nil
	}
	return l.matches(ev)
}

// follows reports whether an event does not say what it could be routed by: the bodies of an Issue
// or Incident carry no tags.
func follows(ev *guance.Event) bool { return ev.Incident != nil }
