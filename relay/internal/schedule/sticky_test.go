package schedule

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// Levels of the table below.
const (
	none     = guance.LevelNone
	warning  = guance.LevelWarning
	critical = guance.LevelCritical
)

// A step happens before the sticky entry of a row.
type step func(*stickyBench)

// stickyBench remembers the record of the one problem, as a store does.
type stickyBench struct {
	*bench
	record store.Record
	flying Ticket
	minute int
}

// add adds the next entry of the problem, later than the one before.
func (b *stickyBench) add(state guance.State, level guance.Level, change ...func(*store.Entry)) (
	marks []store.Mark, cancelled *Ticket) {
	b.minute++
	e := b.entry("p", state, level, b.minute)
	for _, c := range change {
		c(e)
	}
	marks, cancelled = b.Add(e, b.record)
	for _, m := range marks {
		b.record = b.record.Apply(m)
	}
	return marks, cancelled
}

func sticky(e *store.Entry) { e.Sticky = true }
func begun(e *store.Entry)  { e.Begun = true }

func wants(state guance.State, level guance.Level) step {
	return func(b *stickyBench) { b.add(state, level) }
}

func wantsTrigger(level guance.Level) step { return wants(guance.StateProblem, level) }
func wantsRecovery(b *stickyBench)         { b.add(guance.StateRecovered, none) }
func wantsAck(b *stickyBench)              { b.add(guance.StateNeither, none) }

// was is an entry that a crash left begun.
func was(state guance.State, level guance.Level) step {
	return func(b *stickyBench) { b.add(state, level, begun) }
}

// begins begins an attempt, which is in flight until it ends.
func begins(b *stickyBench) {
	tk, ok := b.Next(b.now)
	if !ok {
		b.Fatal("nothing is sent")
	}
	b.flying = tk
	b.record = b.record.Apply(tk.Mark("p", 0, ""))
}

func ends(r Result) step {
	return func(b *stickyBench) {
		m := b.Answered(b.flying, r, b.now)
		if m.Outcome != 0 {
			b.Settle(b.flying, m)
			b.record = b.record.Apply(m)
		}
	}
}

// sends begins an attempt that ends with r.
func sends(r Result) step {
	return func(b *stickyBench) {
		begins(b)
		ends(r)(b)
	}
}

// known is what the store remembers before the first entry.
func known(r store.Record) step { return func(b *stickyBench) { b.record = r } }

// shows is a target that shows the problem at a level.
func shows(level guance.Level) step {
	return known(store.Record{Open: true, Shown: level})
}

var (
	// inDoubt: a recovery was delivered, and an earlier request may still be handled.
	inDoubt = known(store.Record{Doubt: true})
	// A recovery of a problem in doubt is delivered and waits to be sent a second time. It is the
	// first entry.
	waitsForRepeat = func(b *stickyBench) {
		known(store.Record{Open: true, Shown: warning, Doubt: true})(b)
		wantsRecovery(b)
		sends(delivered)(b)
	}
)

// What a lane does with a sticky entry. The sticky entry is the last.
func TestScheduleSticky(t *testing.T) {
	replaced := func(by string) string {
		return "entry " + by + " of the problem replaced it before it was sent"
	}
	late := func(e *store.Entry) { e.Time = now.Add(-time.Minute) }
	timeless := func(e *store.Entry) { e.Time = time.Time{} }
	type reasons map[uint64]string
	tests := map[string]struct {
		every  bool
		before []step
		state  guance.State
		level  guance.Level
		change func(*store.Entry)
		ended  reasons  // what is superseded, and why
		stay   []uint64 // what is pending after it, in the order of sending
		cancel bool     // a recovery is not sent a second time
	}{
		// As for any entry.
		"what may have been sent is sent again": {
			state: guance.StateProblem, level: warning, change: begun, stay: []uint64{1},
		},
		"what may have been sent supersedes nothing": {
			before: []step{wantsTrigger(critical)},
			state:  guance.StateRecovered, change: begun, stay: []uint64{1, 2},
		},
		"what is older than what was sent is superseded": {
			before: []step{known(store.Record{Seq: 9, Open: true, Shown: warning})},
			state:  guance.StateRecovered,
			ended:  reasons{1: "a newer event of the problem was already sent"},
		},
		"an acknowledgement that is older than what was sent is superseded": {
			before: []step{known(store.Record{Seq: 9, Open: true, Shown: warning})},
			state:  guance.StateNeither,
			ended:  reasons{1: "a newer event of the problem was already sent"},
		},
		"what was overtaken is superseded and cancels nothing": {
			before: []step{wantsTrigger(critical)},
			state:  guance.StateRecovered, change: late,
			ended: reasons{2: "it arrived after a newer event of the problem"},
			stay:  []uint64{1},
		},
		"what has no time was not overtaken": {
			before: []step{shows(warning), wantsTrigger(critical)},
			state:  guance.StateRecovered, change: timeless,
			ended: reasons{1: replaced("2")}, stay: []uint64{2},
		},

		// Recoveries.
		"a recovery of what the target shows is sent": {
			before: []step{wantsTrigger(warning), sends(delivered)},
			state:  guance.StateRecovered, stay: []uint64{2},
		},
		"a recovery of what the record says is open is sent": {
			before: []step{shows(warning)}, state: guance.StateRecovered, stay: []uint64{1},
		},
		"a recovery waits for its trigger that is in flight": {
			before: []step{wantsTrigger(warning), begins},
			state:  guance.StateRecovered, stay: []uint64{1, 2},
		},
		"a recovery waits for its trigger that backs off": {
			before: []step{wantsTrigger(warning), sends(answerLost)},
			state:  guance.StateRecovered, stay: []uint64{1, 2},
		},
		"a recovery waits for its trigger that a crash left begun": {
			before: []step{was(guance.StateProblem, warning)},
			state:  guance.StateRecovered, stay: []uint64{1, 2},
		},
		"a recovery after a trigger that died after it was begun is sent": {
			before: []step{wantsTrigger(warning), sends(refused)},
			state:  guance.StateRecovered, stay: []uint64{2},
		},
		"a recovery supersedes an unsent change of level and is sent": {
			before: []step{shows(warning), wantsTrigger(critical)},
			state:  guance.StateRecovered, ended: reasons{1: replaced("2")}, stay: []uint64{2},
		},
		"a recovery while an answer may come late is sent": {
			before: []step{inDoubt}, state: guance.StateRecovered, stay: []uint64{1},
		},
		"a recovery in doubt supersedes an unsent trigger and is sent": {
			before: []step{inDoubt, wantsTrigger(warning)},
			state:  guance.StateRecovered, ended: reasons{1: replaced("2")}, stay: []uint64{2},
		},
		"a recovery of an unsent trigger ends with it": {
			before: []step{wantsTrigger(warning)},
			state:  guance.StateRecovered, ended: reasons{1: replaced("2"), 2: endedUnsent},
		},
		"a recovery of an unsent trigger ends with it beside an acknowledgement that was sent": {
			before: []step{wantsAck, begins, wantsTrigger(warning)},
			state:  guance.StateRecovered, ended: reasons{2: replaced("3"), 3: endedUnsent},
			stay: []uint64{1},
		},
		"a recovery of what the lane does not show is superseded": {
			state: guance.StateRecovered, ended: reasons{1: notShown},
		},
		"a recovery of what ended is superseded": {
			before: []step{wantsTrigger(warning), sends(delivered), wantsRecovery, sends(delivered)},
			state:  guance.StateRecovered, ended: reasons{3: notShown},
		},
		"a recovery supersedes an unsent acknowledgement": {
			before: []step{wantsAck},
			state:  guance.StateRecovered, ended: reasons{1: replaced("2"), 2: notShown},
		},
		"a recovery behind one in flight is sent, as that one may die": {
			before: []step{shows(warning), wantsRecovery, begins},
			state:  guance.StateRecovered, stay: []uint64{1, 2},
		},
		"a recovery behind one that is sent a second time is superseded, and does not cancel that": {
			before: []step{waitsForRepeat},
			state:  guance.StateRecovered, ended: reasons{2: notShown}, stay: []uint64{1},
		},
		"a recovery behind one in flight for the second time is superseded": {
			before: []step{waitsForRepeat, func(b *stickyBench) {
				b.now = b.now.Add(RepeatAfter)
				begins(b)
			}},
			state: guance.StateRecovered, ended: reasons{2: notShown}, stay: []uint64{1},
		},
		"a recovery is sent if a newer state cancelled that the one before is sent a second time": {
			before: []step{waitsForRepeat, wantsTrigger(critical)},
			state:  guance.StateRecovered, ended: reasons{2: replaced("3")}, stay: []uint64{1, 3},
		},
		"a recovery takes the place of an unsent one": {
			before: []step{shows(warning), wantsRecovery},
			state:  guance.StateRecovered, ended: reasons{1: replaced("2")}, stay: []uint64{2},
		},
		"a recovery of what was triggered again behind a repeat is sent, and cancels that": {
			before: []step{waitsForRepeat, was(guance.StateProblem, warning)},
			state:  guance.StateRecovered, stay: []uint64{1, 2, 3}, cancel: true,
		},

		// Problems.
		"another level than shown is sent": {
			before: []step{wantsTrigger(critical), sends(delivered)},
			state:  guance.StateProblem, level: warning, stay: []uint64{2},
		},
		"another level than that in flight is sent": {
			before: []step{shows(warning), wantsTrigger(critical), begins},
			state:  guance.StateProblem, level: warning, stay: []uint64{1, 2},
		},
		"another level while the answer to the trigger is not known is sent": {
			before: []step{known(store.Record{Open: true})},
			state:  guance.StateProblem, level: warning, stay: []uint64{1},
		},
		"another level after the trigger died is sent": {
			before: []step{wantsTrigger(warning), sends(refused)},
			state:  guance.StateProblem, level: warning, stay: []uint64{2},
		},
		"no level while the answer to the trigger is not known is sent": {
			before: []step{known(store.Record{Open: true})},
			state:  guance.StateProblem, level: none, stay: []uint64{1},
		},
		"the level that is shown is a repeat": {
			before: []step{wantsTrigger(warning), sends(delivered)},
			state:  guance.StateProblem, level: warning, ended: reasons{2: shownBefore},
		},
		"the level in flight is a repeat": {
			before: []step{wantsTrigger(warning), begins},
			state:  guance.StateProblem, level: warning, ended: reasons{2: shownBefore},
			stay: []uint64{1},
		},
		"the level of a change in flight is a repeat": {
			before: []step{shows(warning), wantsTrigger(critical), begins},
			state:  guance.StateProblem, level: critical, ended: reasons{2: shownBefore},
			stay: []uint64{1},
		},
		"no level is a repeat of no level in flight": {
			before: []step{wantsTrigger(none), begins},
			state:  guance.StateProblem, level: none, ended: reasons{2: shownBefore},
			stay: []uint64{1},
		},
		"the level that is shown cancels an unsent change": {
			before: []step{shows(warning), wantsTrigger(critical)},
			state:  guance.StateProblem, level: warning,
			ended: reasons{1: replaced("2"), 2: shownBefore},
		},
		"the level that is shown cancels an unsent recovery": {
			before: []step{shows(warning), wantsRecovery},
			state:  guance.StateProblem, level: warning,
			ended: reasons{1: replaced("2"), 2: shownBefore},
		},
		"another level cancels an unsent recovery and is sent": {
			before: []step{shows(warning), wantsRecovery},
			state:  guance.StateProblem, level: critical, ended: reasons{1: replaced("2")},
			stay: []uint64{2},
		},
		"another level takes the place of an unsent sticky one": {
			before: []step{shows(warning), func(b *stickyBench) {
				b.add(guance.StateProblem, critical, sticky)
			}},
			state: guance.StateProblem, level: guance.LevelError, ended: reasons{1: replaced("2")},
			stay: []uint64{2},
		},
		"a problem cancels an unsent trigger": {
			before: []step{wantsTrigger(critical)},
			state:  guance.StateProblem, level: warning,
			ended: reasons{1: replaced("2"), 2: notOurs},
		},
		"a problem cancels an unsent trigger of its own level": {
			before: []step{wantsTrigger(warning)},
			state:  guance.StateProblem, level: warning,
			ended: reasons{1: replaced("2"), 2: notOurs},
		},
		"a problem supersedes a trigger that cancelled a repeat": {
			before: []step{waitsForRepeat, wantsTrigger(critical)},
			state:  guance.StateProblem, level: warning,
			ended: reasons{2: replaced("3"), 3: notOurs}, stay: []uint64{1},
		},
		"a problem that nothing shows is superseded": {
			state: guance.StateProblem, level: warning, ended: reasons{1: notOurs},
		},
		"a problem that nothing shows is superseded in doubt too": {
			before: []step{inDoubt},
			state:  guance.StateProblem, level: warning, ended: reasons{1: notOurs},
		},
		"a problem behind a recovery in flight is superseded": {
			before: []step{shows(warning), wantsRecovery, begins},
			state:  guance.StateProblem, level: critical, ended: reasons{2: notOurs},
			stay: []uint64{1},
		},
		"a problem behind a recovery that a crash left begun is superseded": {
			before: []step{shows(warning), was(guance.StateRecovered, none)},
			state:  guance.StateProblem, level: critical, ended: reasons{2: notOurs},
			stay: []uint64{1},
		},
		"a problem does not cancel that a recovery is sent a second time": {
			before: []step{waitsForRepeat},
			state:  guance.StateProblem, level: critical, ended: reasons{2: notOurs},
			stay: []uint64{1},
		},
		"a problem cancels what waits behind a repeat, and not the repeat": {
			before: []step{waitsForRepeat, wantsAck},
			state:  guance.StateProblem, level: critical,
			ended: reasons{2: replaced("3"), 3: notOurs}, stay: []uint64{1},
		},

		// Events without a state.
		"an acknowledgement of what is shown is sent": {
			before: []step{shows(warning)}, state: guance.StateNeither, stay: []uint64{1},
		},
		"an acknowledgement of what is in flight is sent": {
			before: []step{wantsTrigger(warning), begins},
			state:  guance.StateNeither, stay: []uint64{1, 2},
		},
		"an acknowledgement of what will be open is sent": {
			before: []step{wantsTrigger(warning)}, state: guance.StateNeither, stay: []uint64{1, 2},
		},
		"an acknowledgement supersedes the unsent one before it": {
			before: []step{wantsTrigger(warning), wantsAck},
			state:  guance.StateNeither, ended: reasons{2: replaced("3")}, stay: []uint64{1, 3},
		},
		"an acknowledgement behind an unsent recovery of what is shown is sent": {
			before: []step{shows(warning), wantsRecovery},
			state:  guance.StateNeither, stay: []uint64{1, 2},
		},
		"an acknowledgement of what nothing shows is superseded": {
			state: guance.StateNeither, ended: reasons{1: notShown},
		},
		"an acknowledgement of what nothing shows cancels nothing": {
			before: []step{wantsAck},
			state:  guance.StateNeither, ended: reasons{2: notShown}, stay: []uint64{1},
		},
		"an acknowledgement behind a recovery in flight is superseded": {
			before: []step{shows(warning), wantsRecovery, begins},
			state:  guance.StateNeither, ended: reasons{2: notShown}, stay: []uint64{1},
		},
		"an acknowledgement behind a repeat is superseded and does not cancel it": {
			before: []step{waitsForRepeat},
			state:  guance.StateNeither, ended: reasons{2: notShown}, stay: []uint64{1},
		},

		// Where every event is sent.
		"every: a recovery of an unsent trigger is sent behind it": {
			every: true, before: []step{wantsTrigger(warning)},
			state: guance.StateRecovered, stay: []uint64{1, 2},
		},
		"every: a recovery of what the record says is open is sent": {
			every: true, before: []step{shows(warning)},
			state: guance.StateRecovered, stay: []uint64{1},
		},
		"every: a recovery behind an unsent one is superseded": {
			every: true, before: []step{shows(warning), wantsRecovery},
			state: guance.StateRecovered, ended: reasons{2: notShown}, stay: []uint64{1},
		},
		"every: a recovery of what nothing shows is superseded, in doubt too": {
			every: true, before: []step{inDoubt},
			state: guance.StateRecovered, ended: reasons{1: notShown},
		},
		"every: another level than that of an unsent trigger is sent": {
			every: true, before: []step{shows(warning), wantsTrigger(critical)},
			state: guance.StateProblem, level: warning, stay: []uint64{1, 2},
		},
		"every: the level of an unsent trigger is a repeat, and supersedes nothing": {
			every: true, before: []step{wantsTrigger(warning), wantsTrigger(critical), wantsAck},
			state: guance.StateProblem, level: critical, ended: reasons{4: shownBefore},
			stay: []uint64{1, 2, 3},
		},
		"every: a problem behind an unsent recovery is superseded, and supersedes nothing": {
			every: true, before: []step{wantsTrigger(warning), wantsRecovery},
			state: guance.StateProblem, level: critical, ended: reasons{3: notOurs},
			stay: []uint64{1, 2},
		},
		"every: a problem that nothing shows is superseded": {
			every: true, state: guance.StateProblem, level: warning, ended: reasons{1: notOurs},
		},
		"every: an acknowledgement of an unsent trigger is sent": {
			every: true, before: []step{wantsTrigger(warning), wantsAck},
			state: guance.StateNeither, stay: []uint64{1, 2, 3},
		},
		"every: an acknowledgement behind an unsent recovery is superseded": {
			every: true, before: []step{wantsTrigger(warning), wantsRecovery},
			state: guance.StateNeither, ended: reasons{3: notShown}, stay: []uint64{1, 2},
		},
		"every: what may have been sent is sent again": {
			every: true, state: guance.StateProblem, level: warning, change: begun,
			stay: []uint64{1},
		},
		"every: no entry is overtaken": {
			every: true, before: []step{wantsTrigger(critical)},
			state: guance.StateRecovered, change: late, stay: []uint64{1, 2},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := &stickyBench{bench: newBench(t, Policy{EveryEvent: test.every})}
			for _, happens := range test.before {
				happens(b)
			}
			change := []func(*store.Entry){sticky}
			if test.change != nil {
				change = append(change, test.change)
			}
			marks, cancelled := b.add(test.state, test.level, change...)
			ended := make(reasons)
			for _, m := range marks {
				if m.Outcome != store.Superseded {
					t.Errorf("entry %d ends as %v", m.Seq, m.Outcome)
				}
				ended[m.Seq] = m.Reason
			}
			if test.ended == nil {
				test.ended = make(reasons)
			}
			if diff := gocmp.Diff(test.ended, ended); diff != "" {
				t.Error(diff)
			}
			var stay []uint64
			for _, w := range b.Waiting("p") {
				stay = append(stay, w.Seq)
			}
			if diff := gocmp.Diff(test.stay, stay); diff != "" {
				t.Error(diff)
			}
			if n, _ := b.Pending(); n != len(test.stay) || b.Holds("p") != (n > 0) {
				t.Errorf("%d entries are pending, want %d; the problem is held: %v", n,
					len(test.stay), b.Holds("p"))
			}
			if (cancelled != nil) != test.cancel {
				t.Errorf("it cancels that a recovery is sent a second time: %v, want %v",
					cancelled != nil, test.cancel)
			}
		})
	}
}

// A sticky entry with a state moves the newest event time, also if it is superseded itself. One
// without a state does not.
func TestScheduleStickyIsNewest(t *testing.T) {
	for state, want := range map[guance.State]store.Outcome{
		guance.StateProblem: store.Superseded, guance.StateRecovered: store.Superseded,
		guance.StateNeither: 0,
	} {
		b := newBench(t, Policy{})
		r := store.Record{Time: now.Add(time.Minute)}
		b.accept(b.entry("p", guance.StateNeither, none, 1), r) // so that the problem stays
		b.send(1)
		newer := b.entry("p", state, warning, 5)
		newer.Sticky = true
		if got := b.accept(newer, r)[2]; got != store.Superseded {
			t.Fatalf("a sticky event of state %v is %v, want it superseded", state, got)
		}
		if got := b.accept(b.fault("p", critical, 3), r)[3]; got != want {
			t.Errorf("after a newer sticky event of state %v, an older trigger is %v, want %v", state,
				got, want)
		}
	}
}

// A sticky change of level has the rank of any escalation: above a repeat, below a recovery.
func TestScheduleStickyRank(t *testing.T) {
	b := newBench(t, Policy{})
	shown := store.Record{Open: true, Shown: warning}
	b.accept(b.fault("repeat", guance.LevelFatal, 1),
		store.Record{Open: true, Shown: guance.LevelFatal})
	for _, e := range []*store.Entry{b.fault("change", critical, 1), b.recovery("recovery", 1)} {
		e.Sticky = true
		b.accept(e, shown)
	}
	for _, seq := range []uint64{3, 2, 1} {
		b.answer(b.send(seq), delivered)
	}
}
