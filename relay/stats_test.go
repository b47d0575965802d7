package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
)

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := make(chan error)
		sink := &recorder{answer: func(ctx context.Context, _ *relay.Delivery) error {
			select {
			case err := <-answers:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		r, _ := run(t, sink, &relay.SinkOptions{Concurrency: 1, AttemptTimeout: time.Hour})
		state := func(want relay.LaneState) relay.LaneStats {
			t.Helper()
			synctest.Wait()
			s := r.Stats().Lanes[0]
			if s.State != want {
				t.Errorf("the lane is %q until %v, want %q", s.State, s.Until, want)
			}
			return s
		}
		state(relay.Idle)
		accepted := time.Now()
		accept(t, r, event(t, "1", "a", "critical"), event(t, "2", "b", "warning"),
			event(t, "3", "c", "ok"))
		if s := state(relay.Budgeted); s.Backlog != 3 || s.ByLevel != [7]int{1, 0, 0, 1, 0, 1, 0} ||
			!s.Oldest.Equal(accepted) || s.Until.IsZero() {
			t.Errorf("got %+v, want three entries by level", s)
		}
		time.Sleep(time.Second)
		if s := state(relay.Sending); s.InFlight != 1 || s.Attempts != 1 {
			t.Errorf("got %+v, want one in flight", s)
		}
		answers <- relay.RetryAfter(errors.New("429"), time.Minute)
		if s := state(relay.Paused); time.Until(s.Until) != time.Minute || s.Reason != "429" ||
			s.Throttled != 1 || s.PerMinute > 60 {
			t.Errorf("got %+v, want a pause of a minute and half the rate", s)
		}
		for range 3 {
			answers <- nil
		}
		if s := state(relay.Idle); s.Delivered != 3 || s.Backlog != 0 || !s.Oldest.IsZero() ||
			s.Reason != "" {
			t.Errorf("got %+v, want three delivered", s)
		}
		accept(t, r, event(t, "4", "a", "ok"))
		answers <- errors.New("502")
		if s := state(relay.BackingOff); s.Failed != 1 || s.Reason != "502" {
			t.Errorf("got %+v, want one failure", s)
		}
		accept(t, r, event(t, "5", "d", "fatal"), event(t, "6", "e", "fatal"))
		// two failures of one problem in a row count once
		for i := 0; i < 50 && r.Stats().Lanes[0].State != relay.Probing; i++ {
			answers <- errors.New("502")
			synctest.Wait()
		}
		state(relay.Probing)
		for range 3 {
			answers <- nil
		}
		state(relay.Idle)
	})
}

// Dashboards depend on the words.
func TestLaneStateWords(t *testing.T) {
	for state, word := range map[relay.LaneState]string{
		relay.Idle: "idle", relay.Sending: "sending", relay.Budgeted: "budget", relay.Paused: "paused",
		relay.BackingOff: "backing off",
		relay.Repeating:  "repeating", relay.Probing: "probing", relay.Reading: "reading",
		relay.Stopped: "stopped",
	} {
		if string(state) != word {
			t.Errorf("got %q, want %q", state, word)
		}
	}
}

func TestLevelCountsJSON(t *testing.T) {
	counts := relay.LevelCounts{guance.LevelWarning: 2, guance.LevelFatal: 1}
	text, err := json.Marshal(relay.LaneStats{ByLevel: counts})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ByLevel map[string]int `json:"by_level"`
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.ByLevel) != 7 || got.ByLevel["warning"] != 2 || got.ByLevel["fatal"] != 1 {
		t.Errorf("by_level is %v, want seven names, two warnings and a fatal", got.ByLevel)
	}
	var stats relay.LaneStats
	if err := json.Unmarshal(text, &stats); err != nil || stats.ByLevel != counts {
		t.Errorf("decoded %v, %v, want %v", stats.ByLevel, err, counts)
	}
}
