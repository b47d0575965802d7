package relayfile

import (
	"cmp"
	"errors"
	"reflect"
	"time"

	"github.com/guance-relay/guance-relay/cmd/guance-relay/internal/watch"
	"github.com/guance-relay/guance-relay/relay/webhooksink"
)

// shortestBeat is the least time between two heartbeats: each is three commits of the store.
const shortestBeat = 5 * time.Second

// watch checks what the relay reports of itself.
func (b *build) watch(f *File, c *Config) error {
	at, w := path{"watch"}, f.Watch
	if !b.doc.has(at) {
		return nil
	}
	if err := b.values(at, reflect.ValueOf(w)); err != nil {
		return err
	}
	_, known := f.Lanes[w.Lane]
	switch {
	case w.Lane == "":
		return b.doc.errorf(at.with("lane"), laneNames(f), "is missing")
	case !known:
		return b.doc.errorf(at.with("lane"), laneNames(f), "there is no lane %s", quote(w.Lane))
	case w.Full > 100:
		return b.doc.errorf(at.with("full"), "write 1 to 100", "%d is too large", w.Full)
	}
	s := &watch.Settings{Lane: w.Lane, Full: cmp.Or(w.Full, 80)}
	var err error
	if s.Stuck, err = b.duration(at.with("stuck"), w.Stuck); err != nil {
		return err
	}
	if s.Silence, err = b.duration(at.with("silence"), w.Silence); err != nil {
		return err
	}
	s.Stuck = cmp.Or(s.Stuck, 10*time.Minute)
	c.Watch = s
	return b.heartbeat(f, c)
}

// heartbeat makes the dead-man's switch.
func (b *build) heartbeat(f *File, c *Config) (err error) {
	at, w := path{"watch"}, f.Watch
	here := at.with("heartbeat_url")
	if !b.doc.has(here) {
		for _, field := range []string{"heartbeat_every", "heartbeat_networks"} {
			if b.doc.has(at.with(field)) {
				return b.doc.errorf(at.with(field), "add heartbeat_url, or remove it", "there is no heartbeat")
			}
		}
		return nil
	}
	if f.Sources[defaultSource].NoAuth {
		return b.doc.errorf(here, "give the source default a secret or networks",
			"a heartbeat comes with a token, and the source default takes webhooks without a secret")
	}
	if c.HeartbeatEvery, err = b.duration(at.with("heartbeat_every"), w.HeartbeatEvery); err != nil {
		return err
	}
	c.HeartbeatEvery = cmp.Or(c.HeartbeatEvery, time.Minute)
	if c.HeartbeatEvery < shortestBeat {
		return b.doc.errorf(at.with("heartbeat_every"), "write at least "+shortestBeat.String(),
			"%v is too short", c.HeartbeatEvery)
	}
	networks, err := b.networks(at.with("heartbeat_networks"), w.HeartbeatNetworks)
	if err != nil {
		return err
	}
	url, err := b.secrets.one(here, w.HeartbeatURL)
	if err != nil {
		return err
	}
	sink, err := webhooksink.New(url, &webhooksink.Options{AllowedNetworks: networks})
	if wrong, ok := errors.AsType[*webhooksink.OptionError](err); ok {
		return b.doc.errorf(here, "correct what the reference stands for, or see heartbeat_networks",
			"%s", wrong.Problem)
	}
	if err != nil {
		return b.doc.errorf(here, "correct what the reference stands for", "%v", err)
	}
	c.Switch = sink
	return nil
}

// reserved reports whether a name of a source or a lane is that of the watch.
func reserved(name string) bool {
	return watch.Own(name) || name == watch.HeartbeatLane
}
