package relay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/internal/ratewindow"
	"github.com/guance-relay/guance-relay/relay/internal/schedule"
	"github.com/guance-relay/guance-relay/relay/store"
)

const (
	// waitingPage is the default of WaitingOptions.Limit, and mostWaiting its maximum.
	waitingPage = 100
	mostWaiting = 1000
	// waitingDepth is how many entries in sending order [Relay.Waiting] looks at.
	waitingDepth = 10_000
)

// WaitingOptions choose a page of [Relay.Waiting]. A nil *WaitingOptions has all defaults.
type WaitingOptions struct {
	// Offset is how many entries are left out, of those in Levels. The page of an Offset may repeat
	// or miss entries of the page before, as entries are sent meanwhile.
	Offset int `json:"offset,omitempty"`
	// Limit is how many entries are returned at most. Default: 100. Maximum: 1000.
	Limit int `json:"limit,omitempty"`
	// Levels are the levels to return. Default: all.
	Levels []guance.Level `json:"levels,omitempty"`
}

// A WaitReason is why a pending entry is not sent now.
type WaitReason string

const (
	WaitBudget      WaitReason = "budget"      // it waits for its turn within the budget
	WaitPause       WaitReason = "pause"       // the target asked for a pause, as with a 429
	WaitHeld        WaitReason = "held"        // an operator paused the lane
	WaitBackoff     WaitReason = "backoff"     // it failed, and is tried again later
	WaitOrder       WaitReason = "order"       // an earlier entry of its problem is pending
	WaitProbe       WaitReason = "probe"       // the target is down and gets one request at a time
	WaitQuarantined WaitReason = "quarantined" // the store cannot read it
	WaitRepeat      WaitReason = "repeat"      // it was delivered, and is sent a second time
	WaitInFlight    WaitReason = "in flight"   // it is being sent, or its outcome is being written
	WaitReading     WaitReason = "reading"     // the lane reads its backlog after a start
	WaitNoSink      WaitReason = "no sink"     // the lane has no sink
)

// A Waiting is a pending entry, why it is not sent now, and when it will be.
type Waiting struct {
	Place    int          `json:"place"` // in sending order, from 1
	Seq      uint64       `json:"seq"`
	EventID  string       `json:"event_id,omitempty"`
	Problem  string       `json:"problem"`
	Title    string       `json:"title,omitempty"` // as the sender wrote it; cut after 200 characters
	State    guance.State `json:"state"`
	Level    guance.Level `json:"level"`
	Says     string       `json:"says"` // State and Level in words
	Accepted time.Time    `json:"accepted"`
	Failed   int          `json:"failed,omitempty"` // failures that count against it
	Why      WaitReason   `json:"why"`
	Reason   string       `json:"reason"`         // Why in words
	Until    time.Time    `json:"until,omitzero"` // when Why ends by itself; zero: not known
	// At is when it will be sent, see [Relay.Waiting]. Zero: it is not known.
	At time.Time `json:"at,omitzero"`
	// Expires says that at At it will be older than SinkOptions.MaxAge, and become a dead letter.
	Expires bool `json:"expires,omitempty"`
}

// A WaitingPage is a part of the pending entries of a lane.
type WaitingPage struct {
	Lane    string    `json:"lane"`
	At      time.Time `json:"at"`      // when it was made
	Pending int       `json:"pending"` // of the lane, with those that were not read yet
	// Looked is how many entries in sending order were looked at. If it is less than Pending, and
	// Levels are set, others behind them may have these levels.
	Looked  int       `json:"looked"`
	Next    int       `json:"next,omitempty"` // the Offset of the next page; 0: there is none
	Entries []Waiting `json:"entries"`
}

// Waiting returns pending entries of a lane in the order in which they will be sent. It looks at
// the first 10,000 in that order.
//
// The predicted time is computed by the schedule of the lane, with its budget and pauses. It takes
// that no event arrives, that the target takes what is sent, and that an attempt takes as long as
// the last ones. If the target is down, it takes that the next probe succeeds. Lanes of one account
// that have a backlog are taken to share its budget equally.
//
// The lane need not have a sink. Waiting fails with [ErrNoLane] if there is no such lane. Before
// Run, it waits. After Run, it fails.
func (r *Relay) Waiting(
	ctx context.Context, name string, opts *WaitingOptions,
) (*WaitingPage, error) {
	var o WaitingOptions
	if opts != nil {
		o = *opts
	}
	if o.Offset < 0 || o.Limit < 0 || o.Limit > mostWaiting {
		return nil, fmt.Errorf("relay: Waiting: an Offset of %d and a Limit of %d; they must not be "+
			"negative, and the Limit at most %d", o.Offset, o.Limit, mostWaiting)
	}
	orDefault(&o.Limit, waitingPage)
	if r.standsBy(name) {
		a, err := r.ask(ctx, name, command{Do: doWaiting, Waiting: &o})
		if err == nil && a.Waiting == nil {
			err = errors.New("the node that owns the lane has sent no page")
		}
		if err != nil {
			return nil, fmt.Errorf("relay: lane %q: reading what waits: %w", name, err)
		}
		return a.Waiting, nil
	}
	p := &WaitingPage{Lane: name, Entries: []Waiting{}}
	var owned store.Lane
	if err := r.onLane(ctx, name, "reading what waits", func(l *lane) (bool, error) {
		l.forecast(p, &o)
		owned = l.owned
		return true, nil
	}); err != nil {
		return nil, err
	}
	return p, r.describe(ctx, owned, p)
}

// describe adds to the entries of a page what the schedule does not hold. What has ended meanwhile
// is left out. The loop of the lane does not wait for it.
func (r *Relay) describe(ctx context.Context, owned store.Lane, p *WaitingPage) error {
	entries := p.Entries
	p.Entries = entries[:0]
	for _, w := range entries {
		stored, err := owned.Load(ctx, w.Seq)
		switch {
		case errors.Is(err, store.ErrNotFound):
			continue
		case errors.Is(err, store.ErrDamaged):
			w.Says = "the store cannot read it"
		case err != nil:
			return fmt.Errorf("relay: lane %q: reading entry %d: %w", p.Lane, w.Seq, err)
		default:
			e := statusOf(stored)
			w.EventID, w.Says, w.Problem, w.Accepted = e.EventID, e.Says, stored.Problem, e.Accepted
			w.Title = titleOf(stored.Body)
		}
		p.Entries = append(p.Entries, w)
	}
	return nil
}

// titleOf returns the title of an event, or "".
func titleOf(body []byte) string {
	events, err := guance.Decode(body, "application/json")
	if err != nil || len(events) != 1 {
		return ""
	}
	title := []rune(events[0].Title)
	return string(title[:min(len(title), 200)])
}

// forecast fills a page from the schedule. The loop calls it.
func (l *lane) forecast(p *WaitingPage, o *WaitingOptions) {
	now := l.clock.now()
	depth := min(o.Offset+o.Limit+1, waitingDepth)
	if len(o.Levels) > 0 {
		depth = waitingDepth
	}
	pending, _ := l.schedule.Pending()
	p.At, p.Pending = l.clock.wall(), pending+l.unread
	c := l.conditions(now)
	skip := o.Offset
	for i, f := range l.schedule.Forecast(c, depth) {
		p.Looked = i + 1
		if len(o.Levels) > 0 && !slices.Contains(o.Levels, f.Level) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		if len(p.Entries) == o.Limit {
			p.Looked, p.Next = i, o.Offset+o.Limit
			return
		}
		w := Waiting{Place: i + 1, Seq: f.Seq, State: f.State, Level: f.Level, Failed: f.Failed}
		var until time.Time
		w.Why, w.Reason, until = l.whyWaits(&f, now)
		w.Until = l.clock.shown(until)
		if l.sink != nil {
			w.At, w.Expires = l.clock.shown(f.At), f.Expires
		}
		p.Entries = append(p.Entries, w)
	}
}

// conditions returns what a forecast needs to know.
func (l *lane) conditions(now time.Time) schedule.Conditions {
	c := schedule.Conditions{
		Now: now, Budget: l.account.budget.bucket(now), Limit: l.opts.Concurrency,
		InFlight: l.inFlight, Took: l.took,
	}
	if paused, _, _ := l.account.budget.standing(now); now.Before(paused) {
		c.From = paused
	}
	if held := l.hold.until; held.After(now) && held.After(c.From) {
		c.From = held
	}
	if l.unread > 0 && now.Before(l.ready) && l.ready.After(c.From) {
		c.From = l.ready
	}
	c.Single = l.account.budget.limit(2) == 1
	share := 0
	for _, other := range l.account.lanes {
		if other == l || other.stats.Load().Backlog > 0 {
			share++
		}
	}
	for _, v := range []*float64{&c.Budget.Rate, &c.Budget.Full, &c.Budget.Step} {
		*v /= float64(share)
	}
	return c
}

// bucket returns the budget for a forecast.
func (b *budget) bucket(now time.Time) schedule.Bucket {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.raise(now)
	return schedule.Bucket{
		At: now, Tokens: b.limiter.TokensAt(now), Burst: math.Max(float64(b.limiter.Burst()), 1),
		Rate: float64(b.limiter.Limit()), Full: float64(b.full), Step: float64(b.full) / 10,
		Raised: b.changed, Every: raiseEvery,
	}
}

// whyWaits is waits, with the reasons that only a forecast knows. An entry that waits for its turn
// has no time: the forecast predicts it.
func (l *lane) whyWaits(f *schedule.Forecast, now time.Time) (WaitReason, string, time.Time) {
	why, words, until := l.waits(f.Waiting, now)
	switch {
	case why == WaitOrder, why == WaitInFlight, why == WaitNoSink, why == WaitHeld:
	case l.unread > 0 && now.Before(l.ready):
		return WaitReading, "the lane reads its backlog after a start", l.ready
	case f.Quarantined:
		return WaitQuarantined, "the store cannot read it; it is tried again", f.Until
	case why == WaitBudget:
		until = time.Time{}
	}
	return why, words, until
}

// budgetPerMinute returns how many requests the budget allows in a minute without any 429.
func (b *budget) budgetPerMinute() float64 { return float64(b.full) * ratewindow.Span.Seconds() }
