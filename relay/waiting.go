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
	// Filter chooses the entries to return.
	Filter
	// Offset is how many of these are left out. The page of an Offset may repeat or miss entries of
	// the page before, as entries are sent meanwhile.
	Offset int `json:"offset,omitempty"`
	// Limit is how many entries are returned at most. Default: 100. Maximum: 1000.
	Limit int `json:"limit,omitempty"`
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
	// Looked is how many entries in sending order were looked at. If it is less than Pending, the
	// filter may take others behind them.
	Looked  int       `json:"looked"`
	Next    int       `json:"next,omitempty"` // the Offset of the next page; 0: there is none
	Entries []Waiting `json:"entries"`
}

// Waiting returns pending entries of a lane in the order in which they will be sent. It looks at
// the first 10,000 in that order. A search by tag or text reads the events one after another. The
// lane does not wait for it.
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
	var found []Waiting
	if err := r.onLane(ctx, name, "reading what waits", func(l *lane) (bool, error) {
		found, owned = l.forecast(p, &o), l.owned
		return true, nil
	}); err != nil {
		return nil, err
	}
	return p, r.describe(ctx, owned, p, found, &o)
}

// describe fills a page with what was found: it reads the events, and leaves out what the filter
// does not take and what has ended meanwhile. The loop of the lane does not wait for it.
func (r *Relay) describe(
	ctx context.Context, owned store.Lane, p *WaitingPage, found []Waiting, o *WaitingOptions,
) error {
	skip := o.Offset
	for i, w := range found {
		if !o.reads() && skip > 0 { // it need not be read
			skip--
			continue
		}
		if len(p.Entries) == o.Limit {
			p.Looked, p.Next = found[i].Place-1, o.Offset+o.Limit
			return nil
		}
		stored, err := owned.Load(ctx, w.Seq)
		switch {
		case errors.Is(err, store.ErrNotFound):
			continue
		case errors.Is(err, store.ErrDamaged):
			w.Says = "the store cannot read it"
			stored = &store.Entry{Seq: w.Seq, State: w.State, Level: w.Level}
		case err != nil:
			return fmt.Errorf("relay: lane %q: reading entry %d: %w", p.Lane, w.Seq, err)
		default:
			e := statusOf(stored)
			w.EventID, w.Says, w.Problem, w.Accepted = e.EventID, e.Says, stored.Problem, e.Accepted
		}
		if !o.Match(stored) {
			continue
		}
		if o.reads() && skip > 0 {
			skip--
			continue
		}
		w.Title = titleOf(stored.Body)
		p.Entries = append(p.Entries, w)
	}
	return nil
}

// Matches are the entries of a lane that [Relay.DropMatching] would drop.
type Matches struct {
	Lane    string `json:"lane"`
	Pending int    `json:"pending"` // of the lane
	// Looked is how many entries in sending order were looked at, 10,000 at most.
	Looked int `json:"looked"`
	// Seqs are the entries that the filter takes, in sending order, without what is in flight and
	// what was delivered and is sent a second time.
	Seqs []uint64 `json:"seqs"`
}

// MatchWaiting returns the pending entries of a lane that a filter takes. It looks where
// [Relay.Waiting] looks, and fails as that does.
func (r *Relay) MatchWaiting(ctx context.Context, name string, f Filter) (*Matches, error) {
	if r.standsBy(name) {
		a, err := r.ask(ctx, name, command{Do: doMatch, Waiting: &WaitingOptions{Filter: f}})
		if err == nil && a.Matches == nil {
			err = errors.New("the node that owns the lane has sent no list")
		}
		if err != nil {
			return nil, fmt.Errorf("relay: lane %q: finding what matches: %w", name, err)
		}
		return a.Matches, nil
	}
	var p WaitingPage
	var owned store.Lane
	var found []Waiting
	if err := r.onLane(ctx, name, "finding what matches", func(l *lane) (bool, error) {
		found = l.forecast(&p, &WaitingOptions{Filter: f, Limit: waitingDepth})
		owned = l.owned
		return true, nil
	}); err != nil {
		return nil, err
	}
	m := &Matches{Lane: name, Pending: p.Pending, Looked: p.Looked, Seqs: []uint64{}}
	for _, w := range found {
		if w.Why == WaitInFlight || w.Why == WaitRepeat {
			continue
		}
		if f.reads() {
			stored, err := owned.Load(ctx, w.Seq)
			if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged) {
				continue // it has ended, or cannot be read and therefore not be dropped
			}
			if err != nil {
				return nil, fmt.Errorf("relay: lane %q: reading entry %d: %w", name, w.Seq, err)
			}
			if !f.Match(stored) {
				continue
			}
		}
		m.Seqs = append(m.Seqs, w.Seq)
	}
	return m, nil
}

// titleOf returns the title of an event, or "".
func titleOf(body []byte) string {
	events, err := guance.Decode(body, "application/json")
	if err != nil || len(events) != 1 {
		return ""
	}
	return head(events[0].Title, 200)
}

// head returns the first n characters of a text.
func head(text string, n int) string {
	characters := []rune(text)
	return string(characters[:min(len(characters), n)])
}

// forecast begins a page, and returns the entries to look at: those of the levels of the filter,
// and one more than the page needs if that suffices. The loop calls it.
func (l *lane) forecast(p *WaitingPage, o *WaitingOptions) (found []Waiting) {
	now := l.clock.now()
	depth := waitingDepth
	if o.all() {
		depth = min(o.Offset+o.Limit+1, waitingDepth)
	}
	pending, _ := l.schedule.Pending()
	p.At, p.Pending = l.clock.wall(), pending+l.unread
	for i, f := range l.schedule.Forecast(l.conditions(now), depth) {
		p.Looked = i + 1
		if len(o.Levels) > 0 && !slices.Contains(o.Levels, f.Level) {
			continue
		}
		if !o.reads() && len(found) > o.Offset+o.Limit {
			break
		}
		w := Waiting{Place: i + 1, Seq: f.Seq, State: f.State, Level: f.Level, Failed: f.Failed}
		var until time.Time
		w.Why, w.Reason, until = l.whyWaits(&f, now)
		w.Until = l.clock.shown(until)
		if l.sink != nil {
			w.At, w.Expires = l.clock.shown(f.At), f.Expires
		}
		found = append(found, w)
	}
	return found
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
	if held := l.hold.until(); held.After(now) && held.After(c.From) {
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
