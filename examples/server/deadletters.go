package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

// deadLetter is an event that was given up, as the operator sees it.
type deadLetter struct {
	Seq      uint64          `json:"seq"`
	EventID  string          `json:"event_id,omitempty"`
	Problem  string          `json:"problem"`
	State    string          `json:"state"`
	Level    string          `json:"level"`
	Reason   string          `json:"reason"`
	Accepted time.Time       `json:"accepted"`
	At       time.Time       `json:"at"` // when it was given up
	Body     json.RawMessage `json:"body,omitempty"`
}

// deadPage is a part of the dead letters of a lane, in sequence. Next, if there may be more, is the after of the next part.
type deadPage struct {
	Lane string       `json:"lane"`
	Dead []deadLetter `json:"dead"`
	Next uint64       `json:"next,omitempty"`
}

const (
	deadRead  = 8       // dead letters in memory at once, with bodies of a mebibyte each if all are as large as may be
	deadBytes = 1 << 20 // of bodies, after which a page ends
	deadLimit = 1000    // on a page
)

// list is GET /dead.
func (o *operator) list(w http.ResponseWriter, req *http.Request, q url.Values) error {
	stats := o.relay.Stats()
	lane, err := laneOf(stats, q)
	if _, orphan := stats.Orphans[q.Get("lane")]; orphan {
		lane, err = q.Get("lane"), nil // what a lane that is no longer configured has left can be looked at
	}
	if err != nil {
		return err
	}
	after, err := number(q, "after", "0", 0)
	if err != nil {
		return err
	}
	limit, err := number(q, "limit", "100", 1)
	if err != nil || limit > deadLimit {
		return refuse(http.StatusBadRequest, "parameter \"limit\": want a number from 1 to %d", deadLimit)
	}
	bodies := q.Get("body")
	if !slices.Contains([]string{"", "0", "1"}, bodies) {
		return refuse(http.StatusBadRequest, "parameter \"body\": want 1 to see the events")
	}
	page := deadPage{Lane: lane, Dead: []deadLetter{}}
	for held := 0; ; {
		ask := min(deadRead, int(limit)-len(page.Dead))
		found, err := o.relay.DeadLetters(req.Context(), lane, after, ask)
		if err != nil {
			return err
		}
		for _, d := range found {
			dead := deadLetter{d.Seq, d.ID, d.Problem, d.State.String(), d.Level.String(), d.Reason, d.Accepted, d.At, nil}
			if bodies == "1" {
				dead.Body, held = d.Body, held+len(d.Body)
			}
			page.Dead, after = append(page.Dead, dead), d.Seq
		}
		if len(found) < ask {
			break
		}
		if len(page.Dead) == int(limit) || held >= deadBytes {
			page.Next = after
			break
		}
	}
	answer(w, http.StatusOK, page)
	return nil
}

// replayed says what became of dead letters that were to be tried again. Stale are those whose problem has moved on.
type replayed struct {
	Status   string `json:"status"`
	Message  string `json:"message,omitempty"`
	Lane     string `json:"lane"`
	Replayed int    `json:"replayed"`
	Stale    int    `json:"stale"`
}

// replay is POST /replay: one dead letter, or all.
func (o *operator) replay(w http.ResponseWriter, req *http.Request, q url.Values) error {
	lane, err := laneOf(o.relay.Stats(), q)
	if err != nil {
		return err
	}
	done := replayed{Status: "ok", Lane: lane}
	code := http.StatusOK
	if q.Has("seq") {
		seq, err := number(q, "seq", "", 1)
		if err != nil {
			return err
		}
		if err := o.relay.Replay(req.Context(), lane, seq); err != nil {
			return err
		}
		done.Replayed = 1
	} else if done.Replayed, done.Stale, err = o.relay.ReplayAll(req.Context(), lane); err != nil {
		done.Status, done.Message, code = "error", err.Error(), status(err) // and what was replayed by then is
	}
	o.log.Info("dead letters replayed", "lane", lane, "replayed", done.Replayed, "stale", done.Stale)
	answer(w, code, done)
	return nil
}

// drop is POST /drop. There is no way to drop them all.
func (o *operator) drop(w http.ResponseWriter, req *http.Request, q url.Values) error {
	lane, err := laneOf(o.relay.Stats(), q)
	if err != nil {
		return err
	}
	seq, err := number(q, "seq", "", 1)
	if err != nil {
		return err
	}
	if err := o.relay.Drop(req.Context(), lane, seq); err != nil {
		return err
	}
	o.log.Info("a dead letter was dropped", "lane", lane, "seq", seq)
	respond(w, http.StatusOK, "ok", "")
	return nil
}

// laneOf is the lane that is asked for; where there is only one, it need not be named.
func laneOf(stats relay.Stats, q url.Values) (string, error) {
	if !q.Has("lane") && len(stats.Lanes) == 1 {
		return stats.Lanes[0].Name, nil
	}
	for _, l := range stats.Lanes {
		if l.Name == q.Get("lane") {
			return l.Name, nil
		}
	}
	return "", refuse(http.StatusNotFound, "there is no lane %q", q.Get("lane"))
}

// number reads a parameter that is a number.
func number(q url.Values, name, value string, least uint64) (uint64, error) {
	if q.Has(name) {
		value = q.Get(name)
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil || n < least {
		return 0, refuse(http.StatusBadRequest, "parameter %q: want a number from %d", name, least)
	}
	return n, nil
}
