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
	"github.com/guance-relay/guance-relay/relay/store"
)

// A Story is what became of one problem's events in one lane.
type Story struct {
	Lane     string    `json:"lane"`
	Problem  string    `json:"problem"`
	Chapters []Chapter `json:"chapters"` // in sequence
}

// A Chapter is one entry of a Story.
type Chapter struct {
	Seq      uint64       `json:"seq"`
	EventID  string       `json:"event_id,omitempty"`
	State    guance.State `json:"-"`
	Level    guance.Level `json:"-"`
	Says     string       `json:"says"`          // State and Level in words
	Time     time.Time    `json:"time,omitzero"` // when Guance says it happened
	Accepted time.Time    `json:"accepted"`      // when the relay took it
	// Outcome is 0 for an entry that has not ended.
	Outcome store.Outcome `json:"-"`
	Ended   string        `json:"outcome"` // Outcome in words
	Reason  string        `json:"reason,omitempty"`
	At      time.Time     `json:"at,omitzero"` // when it ended; of a pending entry, when it may be sent, if that is known
}

// String tells the story to a person, one line for each entry. Problem keys and reasons repeat what others said, so nothing of it can look
// like a line of its own: a run of spaces is one space, and what is not printable is U+FFFD.
func (s Story) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "lane %s, problem %s\n", oneLine(s.Lane), oneLine(s.Problem))
	for _, c := range s.Chapters {
		fmt.Fprintf(&b, "  %d  accepted %s  %s  %s", c.Seq, c.Accepted.UTC().Format(time.RFC3339), oneLine(c.Says), oneLine(c.Ended))
		if c.Outcome != 0 {
			fmt.Fprintf(&b, " %s", c.At.UTC().Format(time.RFC3339))
		}
		if c.Reason != "" {
			fmt.Fprintf(&b, ": %s", oneLine(c.Reason))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// oneLine returns text that stays on its line of a terminal: each run of spaces of any kind is one space, because enough of them would reach the
// next line, and what is not printable is U+FFFD. That are control characters, those that turn the direction of text (Unicode Technical
// Report 36, section 2.2), and line separators.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && !blank(r) {
			return r
		}
		return unicode.ReplacementChar
	}, strings.Join(strings.Fields(text), " "))
}

// blank reports whether a letter or symbol shows as nothing: Hangul fillers and the empty Braille pattern.
func blank(r rune) bool {
	return r == 0x115F || r == 0x1160 || r == 0x3164 || r == 0xFFA0 || r == 0x2800
}

// Explain tells what became of a problem's events, in each lane that knows it, and what the pending ones wait for. The key is that of
// [guance.Event.ProblemKey], which receipts and logs name. A store keeps a bounded number of outcomes: an old problem may be forgotten.
// Entries of a lane that does not run in this process are told once they ended.
func (r *Relay) Explain(ctx context.Context, problem string) ([]Story, error) {
	var stories []Story
	for _, l := range r.lanes {
		story, err := l.explain(ctx, r.store, problem, r.started.Load())
		if err != nil {
			return nil, fmt.Errorf("relay: lane %q: explaining a problem: %w", l.name, err)
		}
		if len(story.Chapters) > 0 {
			stories = append(stories, story)
		}
	}
	return stories, nil
}

func (l *lane) explain(ctx context.Context, db store.Store, problem string, runs bool) (Story, error) {
	var pending []Chapter
	// An entry that ends in between is told once, as ended. One that had ended before and is pending is a dead letter that is replayed.
	before, err := db.History(ctx, l.name, problem)
	if err != nil {
		return Story{}, err
	}
	if runs {
		l.ask(ctx, func() bool { pending, err = l.pendingOf(context.WithoutCancel(ctx), problem); return true })
	}
	if err = errors.Join(err, ctx.Err()); err != nil {
		return Story{}, err
	}
	ended, err := db.History(ctx, l.name, problem)
	if err != nil {
		return Story{}, err
	}
	story := Story{Lane: l.name, Problem: problem}
	endedSince := make(map[uint64]int)
	for _, st := range before {
		endedSince[st.Seq]--
	}
	for _, st := range ended {
		c := chapter(&st.Entry)
		c.Outcome, c.Ended, c.Reason, c.At = st.Outcome, st.Outcome.String(), st.Reason, st.At
		story.Chapters = append(story.Chapters, c)
		endedSince[c.Seq]++
	}
	for _, c := range pending {
		if endedSince[c.Seq] <= 0 { // negative: the store has forgotten it meanwhile
			story.Chapters = append(story.Chapters, c)
		}
	}
	slices.SortStableFunc(story.Chapters, func(a, b Chapter) int { return cmp.Compare(a.Seq, b.Seq) })
	return story, nil
}

func chapter(e *store.Entry) Chapter {
	says := e.State.String()
	if e.Level != guance.LevelNone {
		says += ", " + e.Level.String()
	}
	return Chapter{Seq: e.Seq, EventID: e.ID, State: e.State, Level: e.Level, Says: says, Time: e.Time, Accepted: e.Accepted}
}

// pendingOf tells of a problem's entries that have not ended. It is called by the loop.
func (l *lane) pendingOf(ctx context.Context, key string) (chapters []Chapter, err error) {
	p := l.schedule.problems.find(idOf(key))
	if p == nil {
		return nil, nil
	}
	queue := l.schedule.problems.queue(p)
	for i := range queue {
		e, err := l.owned.Load(ctx, queue[i].seq)
		if errors.Is(err, store.ErrNotFound) { // its outcome is on disk and the loop has yet to hear of it
			continue
		}
		if err != nil {
			return nil, err
		}
		c := chapter(e)
		c.Ended = store.Outcome(0).String()
		var at time.Time
		c.Reason, at = l.waits(p, queue, i, l.clock.now())
		c.At = l.clock.shown(at)
		chapters = append(chapters, c)
	}
	return chapters, nil
}

// waits says what an entry waits for, and until when if that is known.
func (l *lane) waits(p *problem, queue []item, i int, now time.Time) (string, time.Time) {
	if i > 0 {
		return fmt.Sprintf("waits for entry %d, as a problem's events go out in order", queue[i-1].seq), time.Time{}
	}
	if p.stage == inFlight {
		return "in flight", time.Time{}
	}
	paused, next, _ := l.account.standing(now)
	switch {
	case now.Before(paused):
		return "the target asked to be left alone", paused
	case l.schedule.problems.tail(p).said:
		return "the target took it; it is sent once more at the time given, as the answer to an earlier request of the problem was lost", moment(l.schedule.until(p))
	case p.stage == later, p.stage == aside:
		return fmt.Sprintf("tried before, %d failures count against it; backing off", p.first.failed), moment(l.schedule.until(p))
	case l.schedule.breaker.down():
		return "the target is down and probed with one request at a time", l.schedule.breaker.probe
	}
	return "waits for its turn within the budget", next
}
