package watch

import (
	"context"
	"log/slog"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

// Body is the synthetic webhook. It has no id, so each one is new to the store.
const Body = `{"df_status":"info","df_title":"heartbeat of guance-relay","df_source":"custom",` +
	`"df_message":"A synthetic event: it has come all the way through the relay.",` +
	`"df_monitor_checker_event_ref":"heartbeat"}`

const (
	// logAgain is how long a heartbeat that fails is not logged again.
	logAgain = 10 * time.Minute
	// beatTimeout is how long the dead-man's switch may take.
	beatTimeout = 20 * time.Second
)

// A Heartbeat tells a dead-man's switch that alerts get through. At intervals it sends a synthetic
// webhook. Only once that has come out of the relay by [HeartbeatLane], it calls the switch. With
// several nodes, the node that owns the lane calls.
type Heartbeat struct {
	Every time.Duration
	// Post sends Body to the public handler.
	Post func(ctx context.Context) error
	// Switch is the dead-man's switch.
	Switch relay.Sink
	// LaneStuck, if not nil, reports that trouble cannot be reported: then the switch is not called.
	LaneStuck func() bool
	Log       *slog.Logger

	came chan *relay.Delivery
}

// Sink returns the sink of HeartbeatLane. Call it once, before Run.
func (h *Heartbeat) Sink() relay.Sink {
	h.came = make(chan *relay.Delivery, 1)
	return relay.SinkFunc(func(_ context.Context, d *relay.Delivery) error {
		if time.Since(d.Accepted) > h.Every {
			return nil // from before a stop or an outage: it says nothing about now
		}
		select {
		case h.came <- &relay.Delivery{
			Event: d.Event, Lane: d.Lane, Source: d.Source, Problem: d.Problem, Seq: d.Seq,
			Attempt: 1, Accepted: d.Accepted,
		}:
		default: // another one is on its way
		}
		return nil
	})
}

// LaneOptions returns the options of HeartbeatLane.
func (h *Heartbeat) LaneOptions() *relay.SinkOptions {
	return &relay.SinkOptions{EveryEvent: true, MaxAge: time.Hour}
}

// Run sends heartbeats until ctx ends.
func (h *Heartbeat) Run(ctx context.Context) {
	ticker := time.NewTicker(h.Every)
	defer ticker.Stop()
	var failing, quiet time.Time // the last line of the log; zero: it worked
	var called time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			posting, cancel := context.WithTimeout(ctx, min(h.Every, beatTimeout))
			err := h.Post(posting)
			cancel()
			h.note(ctx, &quiet, "the synthetic webhook was not accepted: no heartbeat is sent", err)
		case d := <-h.came:
			switch {
			case h.LaneStuck != nil && h.LaneStuck():
				h.Log.Warn("no heartbeat is sent, as the lane of the watch gets nothing through")
			case !called.IsZero() && time.Since(called) < h.Every/2: // of another node
			default:
				called = time.Now()
				calling, cancel := context.WithTimeout(ctx, beatTimeout)
				err := h.Switch.Deliver(calling, d)
				cancel()
				h.note(ctx, &failing, "the dead-man's switch did not take the heartbeat", err)
			}
		}
	}
}

// note logs an error, at most every ten minutes.
func (h *Heartbeat) note(ctx context.Context, last *time.Time, message string, err error) {
	switch {
	case err == nil && !last.IsZero():
		*last = time.Time{}
		h.Log.Info("heartbeats are sent again")
	case err == nil, ctx.Err() != nil:
	case time.Since(*last) >= logAgain:
		*last = time.Now()
		h.Log.Error(message, "error", err.Error())
	}
}
