package console

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
)

// A lane is the JSON of a lane.
type lane struct {
	relay.LaneStats
	// Condition says in one word whether the lane gets everything through: "ok", "busy" while
	// something waits that will be sent by itself, and "trouble" if somebody should look.
	Condition string `json:"condition"`
	LastHour  []int  `json:"last_hour"` // attempts in each minute, the oldest first
}

// lanes is the answer of api/lanes.
type lanes struct {
	Condition string `json:"condition"` // the worst of the lanes
	Lanes     []lane `json:"lanes"`
}

// The conditions of a lane.
const (
	ok      = "ok"
	busy    = "busy"
	trouble = "trouble"
)

// conditions are the conditions, the best first.
var conditions = []string{ok, busy, trouble}

// conditionOf returns the condition of a lane.
func conditionOf(l *relay.LaneStats) string {
	switch l.State {
	case relay.Probing, relay.Stopped, relay.Held:
		return trouble
	case relay.NoSink:
		if l.Backlog > 0 {
			return trouble
		}
	case relay.Standby:
		if l.Owner == "" {
			return trouble
		}
	}
	switch {
	case l.Stuck != nil, l.Pause != nil: // of the owner, if this node stands by
		return trouble
	case l.Backlog > 0:
		return busy
	}
	return ok
}

// lanes returns the figures of all lanes. Times are rounded, so that figures in which nothing
// happened are equal.
func (c *console) lanes() lanes {
	stats := c.relay.Stats().Lanes
	all := lanes{ok, make([]lane, len(stats))}
	for i, l := range stats {
		l.Until, l.Oldest = l.Until.Round(time.Second), l.Oldest.Round(time.Second)
		l.LastDelivered = l.LastDelivered.Round(time.Second)
		for level, at := range l.OldestByLevel {
			l.OldestByLevel[level] = at.Round(time.Second)
		}
		if l.Stuck != nil {
			stuck := *l.Stuck
			stuck.Oldest = stuck.Oldest.Round(time.Second)
			l.Stuck = &stuck
		}
		if l.State == relay.Budgeted { // until the next token, in less than a second
			l.Until = time.Time{}
		}
		all.Lanes[i] = lane{l, conditionOf(&l), c.relay.LastHour(l.Name)}
		if all.Lanes[i].LastHour == nil {
			all.Lanes[i].LastHour = []int{}
		}
		switch all.Lanes[i].Condition {
		case trouble:
			all.Condition = trouble
		case busy:
			if all.Condition == ok {
				all.Condition = busy
			}
		}
	}
	if len(stats) == 0 {
		all.Condition = trouble
	}
	return all
}

// A waiting is the JSON of a pending entry.
type waiting struct {
	relay.Waiting
	State string `json:"state"`
	Level string `json:"level"`
}

// A waitingPage is the answer of api/waiting.
type waitingPage struct {
	Lane    string    `json:"lane"`
	At      time.Time `json:"at"`
	Pending int       `json:"pending"`
	Looked  int       `json:"looked"`
	Next    int       `json:"next,omitempty"`
	Entries []waiting `json:"entries"`
}

func (c *console) waiting(_ http.ResponseWriter, req *http.Request, p params) (any, error) {
	return c.readWaiting(req, p, 1000)
}

func (c *console) readWaiting(req *http.Request, p params, most uint64) (*waitingPage, error) {
	name, err := c.lane(p)
	if err != nil {
		return nil, err
	}
	offset, err := p.number("offset", 0, 0, 1_000_000_000)
	if err != nil {
		return nil, err
	}
	limit, err := p.number("limit", min(100, most), 1, most)
	if err != nil {
		return nil, err
	}
	filter, _, err := filterOf(p)
	if err != nil {
		return nil, err
	}
	page, err := c.relay.Waiting(req.Context(), name,
		&relay.WaitingOptions{Filter: filter, Offset: int(offset), Limit: int(limit)})
	if err != nil {
		return nil, err
	}
	all := &waitingPage{page.Lane, page.At, page.Pending, page.Looked, page.Next, []waiting{}}
	for _, w := range page.Entries {
		all.Entries = append(all.Entries, waiting{w, w.State.String(), w.Level.String()})
	}
	return all, nil
}

// An openProblem is the JSON of a problem that the target may show.
type openProblem struct {
	relay.OpenProblem
	Level string `json:"level"`
}

// An openPage is the answer of api/open.
type openPage struct {
	Lane     string        `json:"lane"`
	Problems []openProblem `json:"problems"`
	Next     string        `json:"next,omitempty"` // the "from" of the next page
}

func (c *console) open(_ http.ResponseWriter, req *http.Request, p params) (any, error) {
	return c.readOpen(req, p, 1000)
}

func (c *console) readOpen(req *http.Request, p params, most uint64) (*openPage, error) {
	name, err := c.lane(p)
	if err != nil {
		return nil, err
	}
	limit, err := p.number("limit", min(100, most), 1, most)
	if err != nil {
		return nil, err
	}
	page, err := c.relay.OpenProblems(req.Context(), name, p.Get("from"), int(limit))
	if err != nil {
		return nil, err
	}
	all := &openPage{page.Lane, []openProblem{}, page.Next}
	for _, o := range page.Problems {
		all.Problems = append(all.Problems, openProblem{o, o.Level.String()})
	}
	return all, nil
}

// A recentPage is the answer of api/recent.
type recentPage struct {
	Lane    string             `json:"lane"`
	Entries []relay.EndedEntry `json:"entries"`
}

func (c *console) recent(_ http.ResponseWriter, _ *http.Request, p params) (any, error) {
	name, err := c.lane(p)
	if err != nil {
		return nil, err
	}
	page := recentPage{name, c.relay.Recent(name)}
	if page.Entries == nil {
		page.Entries = []relay.EndedEntry{}
	}
	return page, nil
}

// A problemPage is the answer of api/problem.
type problemPage struct {
	Problem string                 `json:"problem"`
	Lanes   []relay.ProblemHistory `json:"lanes"`
}

// problem answers as text, one line for each event, to who asks for text/plain.
func (c *console) problem(w http.ResponseWriter, req *http.Request, p params) (any, error) {
	page, err := c.readProblem(req, p)
	if err != nil || !accepts(req, "text/plain") {
		return page, err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, history := range page.Lanes {
		_, _ = io.WriteString(w, cleanLines(history.String())) // on an error the client is gone
	}
	return nil, nil
}

func (c *console) readProblem(req *http.Request, p params) (*problemPage, error) {
	key := p.Get("key")
	if key == "" {
		return nil, errorf(http.StatusBadRequest,
			"parameter \"key\": must be a problem key, which is the dedup_key at PagerDuty")
	}
	histories, err := c.relay.Explain(req.Context(), key)
	if err != nil {
		return nil, err
	}
	if len(histories) == 0 {
		return nil, errorf(http.StatusNotFound, "there is no record of this problem, or no longer")
	}
	return &problemPage{key, histories}, nil
}

// A deadLetter is the JSON of a dead letter.
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
	Title    string          `json:"title,omitempty"`
}

// A deadPage is the answer of api/dead: dead letters by sequence number.
type deadPage struct {
	Lane    string       `json:"lane"`
	Entries []deadLetter `json:"entries"`
	Looked  int          `json:"looked"`         // dead letters that were looked at
	Next    uint64       `json:"next,omitempty"` // the "after" of the next page
}

const (
	deadRead  = 8       // dead letters read at once; each body can have a mebibyte
	deadBytes = 1 << 20 // bytes of bodies after which a page ends
	deadDepth = 10_000  // dead letters that a page looks at
)

func (c *console) dead(_ http.ResponseWriter, req *http.Request, p params) (any, error) {
	limit, err := p.number("limit", 100, 1, 1000)
	if err != nil {
		return nil, err
	}
	after, err := p.number("after", 0, 0, 1<<63)
	if err != nil {
		return nil, err
	}
	if b := p.Get("body"); b != "" && b != "0" && b != "1" {
		return nil, errorf(http.StatusBadRequest, "parameter \"body\": must be 1 for the events, or 0")
	}
	return c.readDead(req, p, after, int(limit), p.Get("body") == "1")
}

func (c *console) readDead(
	req *http.Request, p params, after uint64, limit int, bodies bool,
) (*deadPage, error) {
	name, err := c.lane(p)
	if err != nil {
		return nil, err
	}
	filter, given, err := filterOf(p)
	if err != nil {
		return nil, err
	}
	page := &deadPage{Lane: name, Entries: []deadLetter{}}
	for size := 0; ; {
		n := deadRead
		if !given {
			n = min(n, limit-len(page.Entries))
		}
		found, err := c.relay.DeadLetters(req.Context(), name, after, n)
		if err != nil {
			return nil, err
		}
		for i := range found {
			d := &found[i]
			if len(page.Entries) == limit {
				page.Next = after
				return page, nil
			}
			after = d.Seq
			page.Looked++
			if !filter.Match(&d.Entry) {
				continue
			}
			dead := deadLetter{
				Seq: d.Seq, EventID: d.ID, Problem: d.Problem, State: d.State.String(),
				Level: d.Level.String(), Reason: d.Reason, Accepted: d.Accepted, At: d.At,
			}
			if events, err := guance.Decode(d.Body, "application/json"); err == nil && len(events) == 1 {
				dead.Title = head(events[0].Title, 200)
			}
			if bodies {
				dead.Body, size = asJSON(d.Body), size+len(d.Body)
			}
			page.Entries = append(page.Entries, dead)
		}
		if len(found) < n {
			return page, nil
		}
		if len(page.Entries) == limit || size >= deadBytes || page.Looked >= deadDepth {
			page.Next = after
			return page, nil
		}
	}
}
