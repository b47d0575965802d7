package console

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

// A result is the answer of an action.
type result struct {
	Status  string `json:"status"` // "ok", "error", or "confirm": see confirmed
	Message string `json:"message,omitempty"`
	Lane    string `json:"lane"`
	// Done is how many entries were replayed or dropped, and Stale how many dead letters were not
	// replayed because their problem has moved on.
	Done  int `json:"done"`
	Stale int `json:"stale"`
	// Matching is how many entries match, and Through the highest of their sequence numbers.
	Matching int    `json:"matching,omitempty"`
	Through  uint64 `json:"through,omitempty"`
	// Looked is how many of the Pending entries were looked at.
	Looked  int `json:"looked,omitempty"`
	Pending int `json:"pending,omitempty"`
	// Outcome is how a test page ended.
	Outcome string `json:"outcome,omitempty"`
}

// actionTimeout bounds an action.
const actionTimeout = 2 * time.Minute

// An action changes something. It may return a result beside an error, if a part was done.
type action func(ctx context.Context, req *http.Request, lane string, p params) (result, error)

// perform returns what serves an action: it writes the audit line and the answer.
func (c *console) perform(
	name string, act action,
) func(http.ResponseWriter, *http.Request, params) (any, error) {
	return func(w http.ResponseWriter, req *http.Request, p params) (any, error) {
		lane, err := c.lane(p)
		var r result
		if err == nil {
			// The answer must get through, however long a replay of everything takes.
			deadline := time.Now().Add(actionTimeout + streamWrite)
			_ = http.NewResponseController(w).SetWriteDeadline(deadline) // not every writer can
			ctx, cancel := context.WithTimeout(req.Context(), actionTimeout)
			defer cancel()
			r, err = act(ctx, req, lane, p)
		}
		r.Lane = lane
		if r.Status == "confirm" && err == nil {
			if wantsPage(req) {
				c.confirmPage(w, req, name, p, r)
				return nil, nil
			}
			return r, nil
		}
		r.Status = "ok"
		args := []any{"action", name, "lane", lane, "user", c.user(req), "done", r.Done,
			"stale", r.Stale}
		for _, parameter := range []string{"seq", "all", "level", "tag", "text", "minutes", "reason"} {
			if p.Has(parameter) {
				args = append(args, parameter, clean(p.Get(parameter)))
			}
		}
		if err != nil {
			c.log.Warn("console: an action failed", append(args, "error", err.Error())...)
			if r.Done+r.Stale == 0 || wantsPage(req) {
				return nil, err
			}
			r.Status, r.Message = "error", err.Error()
			c.write(w, statusOf(err), r)
			return nil, nil
		}
		c.log.Info("console: action", args...)
		if !wantsPage(req) {
			return r, nil
		}
		q := url.Values{"lane": {lane}, "done": {name}, "n": {strconv.Itoa(r.Done)}}
		w.Header().Set("Location", "../"+pageOf(name)+"?"+q.Encode())
		w.WriteHeader(http.StatusSeeOther)
		return nil, nil
	}
}

// by returns who acts, for the relay.
func (c *console) by(req *http.Request) string { return cmp.Or(c.user(req), "the console") }

func (c *console) pause(
	ctx context.Context, req *http.Request, lane string, p params,
) (r result, err error) {
	minutes, err := p.number("minutes", 0, 1, uint64(relay.MaxPause/time.Minute))
	if err != nil {
		return r, err
	}
	return r, c.relay.Pause(ctx, lane, time.Duration(minutes)*time.Minute, c.by(req),
		clean(p.Get("reason")))
}

func (c *console) resume(
	ctx context.Context, req *http.Request, lane string, _ params,
) (r result, err error) {
	return r, c.relay.Resume(ctx, lane, c.by(req))
}

// one calls fn with the entry that the parameters name.
func one(p params, fn func(seq uint64) error) (r result, err error) {
	seq, err := p.number("seq", 0, 1, 1<<63)
	if err == nil {
		err = fn(seq)
	}
	if err == nil {
		r.Done = 1
	}
	return r, err
}

func (c *console) sendNow(
	ctx context.Context, _ *http.Request, lane string, p params,
) (result, error) {
	return one(p, func(seq uint64) error { return c.relay.SendNow(ctx, lane, seq) })
}

func (c *console) dropPending(
	ctx context.Context, req *http.Request, lane string, p params,
) (result, error) {
	s, err := selectionOf(p)
	switch {
	case err != nil:
		return result{}, err
	case s.seq == 0:
		return c.dropMatching(ctx, lane, p, s.filter, c.by(req))
	}
	return one(p, func(seq uint64) error {
		return c.relay.DropPending(ctx, lane, seq, c.by(req))
	})
}

func (c *console) replay(
	ctx context.Context, _ *http.Request, lane string, p params,
) (result, error) {
	return c.onDead(ctx, lane, p, func(seq uint64) error { return c.relay.Replay(ctx, lane, seq) })
}

func (c *console) drop(
	ctx context.Context, _ *http.Request, lane string, p params,
) (result, error) {
	return c.onDead(ctx, lane, p, func(seq uint64) error { return c.relay.Drop(ctx, lane, seq) })
}

// tests are the lanes through which a test page is on its way.
type tests struct {
	mu    sync.Mutex
	lanes map[string]bool
}

// begin reports whether there is none in the lane yet.
func (t *tests) begin(lane string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lanes[lane] {
		return false
	}
	if t.lanes == nil {
		t.lanes = make(map[string]bool)
	}
	t.lanes[lane] = true
	return true
}

func (t *tests) end(lane string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.lanes, lane)
}

// test sends a test page. A browser gets the answer at once, and other callers at its end.
func (c *console) test(
	ctx context.Context, req *http.Request, lane string, _ params,
) (r result, err error) {
	if !c.tests.begin(lane) {
		return r, errorf(http.StatusConflict, "a test page is on its way through this lane")
	}
	by := c.by(req)
	if !wantsPage(req) {
		defer c.tests.end(lane)
		ended, err := c.relay.SendTest(ctx, lane, by)
		if ended != nil {
			r.Outcome, r.Message = ended.Ended, ended.Reason
		}
		return r, err
	}
	go func() {
		defer c.tests.end(lane)
		if _, err := c.relay.SendTest(context.WithoutCancel(ctx), lane, by); err != nil {
			c.log.Warn("console: a test page failed", "lane", lane, "user", by, "error", err.Error())
		}
	}()
	return r, nil
}
