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

// deadLetter is the JSON of a dead letter.
type deadLetter struct {
	Seq      uint64          `json:"seq"`
	EventID  string          `json:"event_id,omitempty"`
	Problem  string          `json:"problem"`
	State    string          `json:"state"`
	Level    string          `json:"level"`
	Reason   string          `json:"reason"`
	Accepted time.Time       `json:"accepted"`
	At       time.Time       `json:"at"` // when it became a dead letter
	Body     json.RawMessage `json:"body,omitempty"`
}

// deadPage is a page of the dead letters of a lane, by sequence number. Next is the "after" of the
// next page; zero if this is the last one.
type deadPage struct {
	Lane string       `json:"lane"`
	Dead []deadLetter `json:"dead"`
	Next uint64       `json:"next,omitempty"`
}

const (
	deadRead  = 8       // dead letters read at once; each body can have a mebibyte
	deadBytes = 1 << 20 // bytes of bodies after which a page ends
	deadLimit = 1000    // dead letters on a page
)

// list is GET /dead.
func (o *operator) list(w http.ResponseWriter, req *http.Request, q url.Values) error {
	lane, err := laneOf(o.relay.Stats(), q)
	if err != nil {
		return err
	}
	after, err := number(q, "after", "0", 0)
	if err != nil {
		return err
	}
	limit, err := number(q, "limit", "100", 1)
	if err != nil || limit > deadLimit {
		return errorf(http.StatusBadRequest,
			"parameter \"limit\": must be a number from 1 to %d", deadLimit)
	}
	bodies := q.Get("body")
	if !slices.Contains([]string{"", "0", "1"}, bodies) {
		return errorf(http.StatusBadRequest, "parameter \"body\": must be 1 for the events, or 0")
	}
	page := deadPage{Lane: lane, Dead: []deadLetter{}}
	for size := 0; ; {
		n := min(deadRead, int(limit)-len(page.Dead))
		found, err := o.relay.DeadLetters(req.Context(), lane, after, n)
		if err != nil {
			return err
		}
		for _, d := range found {
			dead := deadLetter{
				d.Seq, d.ID, d.Problem, d.State.String(), d.Level.String(), d.Reason, d.Accepted, d.At, nil,
			}
			if bodies == "1" {
				dead.Body, size = d.Body, size+len(d.Body)
			}
			page.Dead, after = append(page.Dead, dead), d.Seq
		}
		if len(found) < n {
			break
		}
		if len(page.Dead) == int(limit) || size >= deadBytes {
			page.Next = after
			break
		}
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

// replayResult is the JSON of a replay. Stale counts the dead letters whose problem has a newer
// state; they stay dead.
type replayResult struct {
	Status   string `json:"status"`
	Message  string `json:"message,omitempty"`
	Lane     string `json:"lane"`
	Replayed int    `json:"replayed"`
	Stale    int    `json:"stale"`
}

// replay is POST /replay: one dead letter, or all of a lane.
func (o *operator) replay(w http.ResponseWriter, req *http.Request, q url.Values) error {
	lane, err := laneOf(o.relay.Stats(), q)
	if err != nil {
		return err
	}
	result, code := replayResult{Status: "ok", Lane: lane}, http.StatusOK
	if q.Has("seq") {
		seq, err := number(q, "seq", "", 1)
		if err != nil {
			return err
		}
		if err := o.relay.Replay(req.Context(), lane, seq); err != nil {
			return err
		}
		result.Replayed = 1
	} else {
		result.Replayed, result.Stale, err = o.relay.ReplayAll(req.Context(), lane)
		if err != nil { // some may have been replayed before
			result.Status, result.Message, code = "error", err.Error(), statusOf(err)
		}
	}
	o.log.Info("dead letters replayed", "lane", lane,
		"replayed", result.Replayed, "stale", result.Stale)
	writeJSON(w, code, result)
	return nil
}

// drop is POST /drop: one dead letter. There is no call that drops all.
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
	o.log.Info("dead letter dropped", "lane", lane, "seq", seq)
	writeStatus(w, http.StatusOK, "ok", "")
	return nil
}

// laneOf returns the lane of a call. If there is only one, the call need not name it.
func laneOf(stats relay.Stats, q url.Values) (string, error) {
	served := slices.DeleteFunc(slices.Clone(stats.Lanes), func(l relay.LaneStats) bool {
		return l.State == relay.NoSink
	})
	if !q.Has("lane") && len(served) == 1 {
		return served[0].Name, nil
	}
	for _, l := range stats.Lanes {
		if l.Name == q.Get("lane") {
			return l.Name, nil
		}
	}
	return "", errorf(http.StatusNotFound, "there is no lane %q", q.Get("lane"))
}

// number reads a number from a parameter; value is its default, and least the smallest allowed.
func number(q url.Values, name, value string, least uint64) (uint64, error) {
	if q.Has(name) {
		value = q.Get(name)
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil || n < least {
		return 0, errorf(http.StatusBadRequest, "parameter %q: must be a number from %d", name, least)
	}
	return n, nil
}
