package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/internal/schedule"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A ProblemHistory is what became of the events of one problem in one lane.
type ProblemHistory struct {
	Lane    string        `json:"lane"`
	Problem string        `json:"problem"`
	Entries []EntryStatus `json:"entries"` // by sequence number
}

// An EntryStatus is one entry of a ProblemHistory.
type EntryStatus struct {
	Seq      uint64       `json:"seq"`
	EventID  string       `json:"event_id,omitempty"`
	State    guance.State `json:"-"`
	Level    guance.Level `json:"-"`
	Says     string       `json:"says"`          // State and Level in words
	Time     time.Time    `json:"time,omitzero"` // when it happened, according to Guance
	Accepted time.Time    `json:"accepted"`      // when the relay took it
	// Outcome is 0 for a pending entry.
	Outcome store.Outcome `json:"-"`
	Ended   string        `json:"outcome"` // Outcome in words
	Reason  string        `json:"reason,omitempty"`
	// At is when the entry ended. Of a pending entry, it is when it may be sent; zero: not known.
	At time.Time `json:"at,omitzero"`
}

// String returns the history as text, one line for each entry. Problem keys and reasons hold
// foreign text: in them, each run of spaces becomes one space, and what is not printable becomes
// U+FFFD. So they cannot look like a line of their own.
func (h ProblemHistory) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "lane %s, problem %s\n", oneLine(h.Lane), oneLine(h.Problem))
	for _, e := range h.Entries {
		fmt.Fprintf(&b, "  %d  accepted %s  %s  %s",
			e.Seq, e.Accepted.UTC().Format(time.RFC3339), oneLine(e.Says), oneLine(e.Ended))
		if e.Outcome != 0 {
			fmt.Fprintf(&b, " %s", e.At.UTC().Format(time.RFC3339))
		}
		if e.Reason != "" {
			fmt.Fprintf(&b, ": %s", oneLine(e.Reason))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// oneLine makes text stay on its line of a terminal. Each run of spaces becomes one, as many would
// reach the next line. What is not printable becomes U+FFFD: control characters, line separators,
// and those that change the direction of text (Unicode Technical Report 36, section 2.2).
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && !blank(r) {
			return r
		}
		return unicode.ReplacementChar
	}, strings.Join(strings.Fields(text), " "))
}

// blank reports whether a letter or symbol is invisible: Hangul fillers, the empty Braille pattern.
func blank(r rune) bool {
	return r == 0x115F || r == 0x1160 || r == 0x3164 || r == 0xFFA0 || r == 0x2800
}

// Explain returns what became of the events of a problem in each lane that has any, and what the
// pending ones wait for. The key is that of [ProblemKey]; receipts and logs name it. A store keeps
// a bounded number of outcomes, so an old problem may be unknown. If a lane does not run in this
// process, Explain returns only its entries that have ended.
func (r *Relay) Explain(ctx context.Context, problem string) ([]ProblemHistory, error) {
	var histories []ProblemHistory
	for _, l := range r.lanes.Load().all {
		h, err := r.historyAnywhere(ctx, l, problem)
		if err != nil {
			return nil, fmt.Errorf("relay: lane %q: explaining a problem: %w", l.name, err)
		}
		if len(h.Entries) > 0 {
			histories = append(histories, h)
		}
	}
	return histories, nil
}

// historyAnywhere asks the owner of a lane, if that is another node. If no owner answers, the
// pending entries have no reason.
func (r *Relay) historyAnywhere(
	ctx context.Context, l *lane, problem string,
) (ProblemHistory, error) {
	if !r.standsBy(l.name) {
		return r.history(ctx, l, problem)
	}
	short, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	a, err := r.ask(short, l.name, command{Do: doExplain, Problem: problem})
	if err == nil && a.History != nil {
		return *a.History, nil
	}
	h, err := r.history(ctx, l, problem)
	if err != nil {
		return h, err
	}
	pending, err := r.cluster.Pending(ctx, l.name, problem)
	for _, stored := range pending {
		if slices.ContainsFunc(h.Entries, func(e EntryStatus) bool { return e.Seq == stored.Seq }) {
			continue // this node has become the owner
		}
		e := statusOf(stored)
		e.Reason = "no node that owns the lane has answered"
		h.Entries = append(h.Entries, e)
	}
	return h, err
}

func (r *Relay) history(ctx context.Context, l *lane, problem string) (ProblemHistory, error) {
	h := ProblemHistory{Lane: l.name, Problem: problem}
	var pending []EntryStatus
	// The settlements are read before and after the pending entries. An entry that ended in between
	// is returned once, as ended. An entry that had ended before and is pending was replayed.
	before, err := r.store.History(ctx, l.name, problem)
	if err != nil {
		return h, err
	}
	if r.started.Load() && !r.standsBy(l.name) {
		r.call(ctx, l.name, func(l *lane) bool {
			pending, err = l.pendingOf(context.WithoutCancel(ctx), problem)
			return true
		})
	}
	if err = errors.Join(err, ctx.Err()); err != nil {
		return h, err
	}
	after, err := r.store.History(ctx, l.name, problem)
	if err != nil {
		return h, err
	}
	endedSince := make(map[uint64]int)
	for _, s := range before {
		endedSince[s.Seq]--
	}
	for _, s := range after {
		h.Entries = append(h.Entries, statusOf(&s.Entry).ended(s.Outcome, s.Reason, s.At))
		endedSince[s.Seq]++
	}
	for _, e := range pending {
		if endedSince[e.Seq] <= 0 { // negative: the store has deleted a settlement meanwhile
			h.Entries = append(h.Entries, e)
		}
	}
	slices.SortStableFunc(h.Entries, func(a, b EntryStatus) int { return cmp.Compare(a.Seq, b.Seq) })
	return h, nil
}

// statusOf returns the status of a pending entry.
func statusOf(e *store.Entry) EntryStatus {
	says := e.State.String()
	if e.Level != guance.LevelNone {
		says += ", " + e.Level.String()
	}
	return EntryStatus{
		Seq: e.Seq, EventID: e.ID, State: e.State, Level: e.Level, Says: says, Time: e.Time,
		Accepted: e.Accepted, Ended: store.Outcome(0).String(),
	}
}

// ended returns the status of the same entry once it has ended.
func (e EntryStatus) ended(o store.Outcome, reason string, at time.Time) EntryStatus {
	e.Outcome, e.Ended, e.Reason, e.At = o, o.String(), reason, at
	return e
}

// pendingOf returns the pending entries of a problem. The loop calls it.
func (l *lane) pendingOf(ctx context.Context, problem string) (entries []EntryStatus, err error) {
	for _, w := range l.schedule.Waiting(problem) {
		stored, err := l.owned.Load(ctx, w.Seq)
		if errors.Is(err, store.ErrNotFound) { // it has ended, and the message is on its way
			continue
		}
		if err != nil {
			return nil, err
		}
		e := statusOf(stored)
		var at time.Time
		_, e.Reason, at = l.waits(w, l.clock.now())
		e.At = l.clock.shown(at)
		entries = append(entries, e)
	}
	return entries, nil
}

// waits returns what a pending entry waits for, in words too, and until when if that is known.
func (l *lane) waits(w schedule.Waiting, now time.Time) (WaitReason, string, time.Time) {
	paused, next, _ := l.account.budget.standing(now)
	switch {
	case w.Reason == schedule.Behind:
		return WaitOrder, fmt.Sprintf("waits for entry %d of the problem", w.After), time.Time{}
	case w.Reason == schedule.InFlight:
		return WaitInFlight, "in flight", time.Time{}
	case l.sink == nil:
		return WaitNoSink, "the lane has no sink", time.Time{}
	case l.hold.holds(now):
		return WaitHeld, l.hold.words(), l.hold.until()
	case now.Before(paused):
		return WaitPause, "the target asked for a pause", paused
	case w.Reason == schedule.Repeat:
		return WaitRepeat, "the target took it; it is sent a second time, as an earlier answer was lost",
			w.Until
	case w.Reason == schedule.BackingOff:
		return WaitBackoff, fmt.Sprintf("tried before, %d failures count against it; backing off",
			w.Failed), w.Until
	case w.Reason == schedule.Down:
		return WaitProbe, "the target is down and gets one request at a time", w.Until
	}
	return WaitBudget, "waits for its turn within the budget", next
}
