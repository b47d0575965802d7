package schedule

import (
	"cmp"
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

var now = time.Unix(1_700_000_000, 0)

// What an attempt may end with.
var (
	delivered  = Result{Outcome: store.Delivered}
	refused    = Result{Outcome: store.Dead, Reason: "400"}
	failure    = Result{Reason: "503"}
	throttled  = Result{Throttled: true, Reason: "429"}
	answerLost = Result{AnswerLost: true, Reason: "no answer"}
)

// bench is a schedule with a clock and sequence numbers.
type bench struct {
	*testing.T
	*Schedule
	seq uint64
	now time.Time
}

func newBench(t *testing.T, p Policy) *bench {
	p.MaxAttempts, p.MaxAge = cmp.Or(p.MaxAttempts, 3), cmp.Or(p.MaxAge, time.Hour)
	return &bench{T: t, Schedule: New(p, func(n int64) int64 { return n / 2 }), now: now}
}

// entry makes the next entry; the minute is the event time.
func (b *bench) entry(problem string, state guance.State, level guance.Level,
	minute int) *store.Entry {
	b.seq++
	return &store.Entry{Seq: b.seq, Problem: problem, State: state, Level: level,
		Time: now.Add(time.Duration(minute) * time.Minute), Kept: time.Duration(b.now.UnixNano())}
}

func (b *bench) fault(problem string, level guance.Level, minute int) *store.Entry {
	return b.entry(problem, guance.StateProblem, level, minute)
}

func (b *bench) recovery(problem string, minute int) *store.Entry {
	return b.entry(problem, guance.StateRecovered, guance.LevelNone, minute)
}

func (b *bench) accept(e *store.Entry, r store.Record) map[uint64]store.Outcome {
	ended := make(map[uint64]store.Outcome)
	marks, _ := b.Add(e, r)
	for _, m := range marks {
		ended[m.Seq] = m.Outcome
	}
	return ended
}

// send takes the next entry in flight, and fails if it is not the wanted one; 0 wants none.
func (b *bench) send(want uint64) Ticket {
	b.Helper()
	got, ok := b.Next(b.now)
	if ok != (want > 0) || ok && got.item.seq != want {
		b.Fatalf("entry %d is sent (%v), want %d", got.item.seq, ok, want)
	}
	return got
}

// answer settles an entry, or gives it back.
func (b *bench) answer(tk Ticket, r Result) store.Outcome {
	m := b.Answered(tk, r, b.now)
	if m.Outcome != 0 {
		b.Settle(tk, m)
	}
	return m.Outcome
}

func TestScheduleCancelsNeverSentPair(t *testing.T) {
	b := newBench(t, Policy{})
	b.accept(b.fault("p", guance.LevelCritical, 1), store.Record{})
	if diff := gocmp.Diff(map[uint64]store.Outcome{1: store.Superseded, 2: store.Superseded},
		b.accept(b.recovery("p", 2), store.Record{})); diff != "" {
		t.Fatal(diff)
	}
	b.send(0)
	if b.problems.len != 0 || b.pending != 0 || b.byLevel != [7]int{} {
		t.Errorf("the schedule remembers %d problems and %d entries %v, want none", b.problems.len,
			b.pending, b.byLevel)
	}
}

func TestScheduleResolveWaitsForItsTrigger(t *testing.T) {
	b := newBench(t, Policy{})
	b.accept(b.fault("p", guance.LevelCritical, 1), store.Record{})
	trigger := b.send(1)
	if marks := b.accept(b.recovery("p", 2), store.Record{}); len(marks) != 0 {
		t.Fatalf("got marks %v, want none: the trigger may be on the wire", marks)
	}
	b.send(0) // beside its trigger
	b.answer(trigger, failure)
	b.send(0) // while the trigger backs off
	b.now = b.now.Add(maxBackoff)
	trigger = b.send(1)
	b.answer(trigger, delivered)
	if n := b.problems.extras.len; n != 0 {
		t.Errorf("%d extras are left of a problem that needs none", n)
	}
	b.send(2)
}

// A trigger that was begun may be shown, also after an operator dropped it: the recovery goes out.
func TestScheduleBegunTriggerMayBeShown(t *testing.T) {
	b := newBench(t, Policy{})
	b.accept(b.fault("p", guance.LevelCritical, 1), store.Record{})
	b.answer(b.send(1), failure)
	b.accept(b.fault("p", guance.LevelError, 2), store.Record{})
	m, ok := b.DropMark("p", 1, "dropped")
	if !ok {
		t.Fatal("the entry that backs off cannot be dropped")
	}
	b.Drop(m)
	if diff := gocmp.Diff(map[uint64]store.Outcome{2: store.Superseded},
		b.accept(b.recovery("p", 3), store.Record{})); diff != "" {
		t.Fatal(diff)
	}
	b.send(3)
}

func TestScheduleAdd(t *testing.T) {
	shown := store.Record{Last: 5, Seq: 5, Open: true, Shown: guance.LevelWarning,
		Time: now.Add(10 * time.Minute)}
	tests := map[string]struct {
		record store.Record
		before func(*bench) []*store.Entry
		entry  func(*bench) *store.Entry
		want   map[uint64]store.Outcome // 6 is the entry of before, the next one that of entry
	}{
		"a repeat takes the place of an unsent one": {
			before: func(b *bench) []*store.Entry {
				return []*store.Entry{b.fault("p", guance.LevelWarning, 11)}
			},
			entry: func(b *bench) *store.Entry { return b.fault("p", guance.LevelCritical, 12) },
			want:  map[uint64]store.Outcome{6: store.Superseded},
		},
		"a recovery of what is open is sent, the unsent update is not": {
			record: shown,
			before: func(b *bench) []*store.Entry {
				return []*store.Entry{b.fault("p", guance.LevelWarning, 11)}
			},
			entry: func(b *bench) *store.Entry { return b.recovery("p", 12) },
			want:  map[uint64]store.Outcome{6: store.Superseded},
		},
		"a recovery of what may be open is sent: nobody knows what became of the last one": {
			record: store.Record{Last: 5, Seq: 5, Open: true},
			before: func(b *bench) []*store.Entry {
				return []*store.Entry{b.fault("p", guance.LevelWarning, 11)}
			},
			entry: func(b *bench) *store.Entry { return b.recovery("p", 12) },
			want:  map[uint64]store.Outcome{6: store.Superseded},
		},
		"a recovery of something unknown is sent": {
			entry: func(b *bench) *store.Entry { return b.recovery("p", 12) },
			want:  map[uint64]store.Outcome{},
		},
		"a recovery after an unsent remark is sent": {
			before: func(b *bench) []*store.Entry {
				return []*store.Entry{b.entry("p", guance.StateNeither, guance.LevelInfo, 11)}
			},
			entry: func(b *bench) *store.Entry { return b.recovery("p", 12) },
			want:  map[uint64]store.Outcome{6: store.Superseded},
		},
		"info is no recovery and takes no place": {
			before: func(b *bench) []*store.Entry {
				return []*store.Entry{b.fault("p", guance.LevelWarning, 11)}
			},
			entry: func(b *bench) *store.Entry {
				return b.entry("p", guance.StateNeither, guance.LevelInfo, 12)
			},
			want: map[uint64]store.Outcome{},
		},
		"info takes the place of unsent info": {
			before: func(b *bench) []*store.Entry {
				return []*store.Entry{b.entry("p", guance.StateNeither, guance.LevelInfo, 11)}
			},
			entry: func(b *bench) *store.Entry {
				return b.entry("p", guance.StateNeither, guance.LevelInfo, 12)
			},
			want: map[uint64]store.Outcome{6: store.Superseded},
		},
		"a fault that was overtaken on its way is stale": {
			record: store.Record{Seq: 5, Time: now.Add(10 * time.Minute)},
			entry:  func(b *bench) *store.Entry { return b.fault("p", guance.LevelCritical, 9) },
			want:   map[uint64]store.Outcome{6: store.Superseded},
		},
		"so is one that is behind an unsent one": {
			before: func(b *bench) []*store.Entry { return []*store.Entry{b.recovery("p", 10)} },
			entry:  func(b *bench) *store.Entry { return b.fault("p", guance.LevelCritical, 9) },
			want:   map[uint64]store.Outcome{7: store.Superseded},
		},
		"a clock that is hours off does not silence a fault": {
			record: store.Record{Seq: 5, Time: now.Add(1000 * time.Minute)},
			entry:  func(b *bench) *store.Entry { return b.fault("p", guance.LevelCritical, 9) },
			want:   map[uint64]store.Outcome{},
		},
		"events of one second go by arrival": {
			record: shown,
			entry:  func(b *bench) *store.Entry { return b.recovery("p", 10) },
			want:   map[uint64]store.Outcome{},
		},
		"what a crash left behind a newer sent event": {
			record: store.Record{Seq: 9},
			entry:  func(b *bench) *store.Entry { return b.fault("p", guance.LevelCritical, 11) },
			want:   map[uint64]store.Outcome{6: store.Superseded},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Policy{})
			b.seq = 5
			if test.before != nil {
				for _, e := range test.before(b) {
					b.accept(e, test.record)
				}
			}
			if diff := gocmp.Diff(test.want, b.accept(test.entry(b), test.record)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An event whose time is not known has none in the marks either.
func TestScheduleEventWithoutTime(t *testing.T) {
	b := newBench(t, Policy{})
	e := b.fault("p", guance.LevelCritical, 1)
	e.Time = time.Time{}
	b.accept(e, store.Record{})
	tk := b.send(1)
	if m := tk.Mark("p", 0, ""); !m.Time.IsZero() {
		t.Errorf("the mark is of %v, want no time", m.Time)
	}
}

// Promise 6: the worst news travels first.
func TestScheduleOrder(t *testing.T) {
	b := newBench(t, Policy{})
	warnings := store.Record{Open: true, Shown: guance.LevelWarning}
	criticals := store.Record{Open: true, Shown: guance.LevelCritical}
	add := func(e *store.Entry, r store.Record) { b.accept(e, r) }
	add(b.entry("remark", guance.StateNeither, guance.LevelInfo, 1), store.Record{})
	add(b.fault("repeat", guance.LevelCritical, 1), criticals)
	add(b.fault("escalation", guance.LevelCritical, 1), warnings)
	add(b.recovery("recovery", 1), criticals)
	add(b.fault("warning", guance.LevelWarning, 1), store.Record{})
	add(b.fault("sent, unanswered", guance.LevelCritical, 1), store.Record{Open: true})
	add(b.fault("critical", guance.LevelCritical, 1), store.Record{})
	add(b.fault("fatal", guance.LevelFatal, 1), store.Record{})
	keys := map[uint64]string{1: "remark", 2: "repeat", 3: "escalation", 4: "recovery", 5: "warning",
		6: "sent, unanswered", 7: "critical", 8: "fatal"}
	var got []string
	for range 7 { // the eighth goes by age, and is the last one anyway
		tk, ok := b.Next(b.now)
		if !ok {
			t.Fatal("nothing to send")
		}
		got = append(got, keys[tk.item.seq])
	}
	want := []string{"fatal", "sent, unanswered", "critical", "warning", "recovery",
		"escalation", "repeat"}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A problem has the highest rank of its queue.
func TestScheduleRankIsInherited(t *testing.T) {
	b := newBench(t, Policy{})
	b.accept(b.fault("p", guance.LevelWarning, 1), store.Record{})
	b.answer(b.send(1), failure)
	b.accept(b.fault("other", guance.LevelError, 2), store.Record{})
	b.accept(b.fault("p", guance.LevelCritical, 3), store.Record{})
	b.now = b.now.Add(maxBackoff)
	b.answer(b.send(1), delivered)
	b.answer(b.send(2), delivered) // p is shown by now: its critical is an escalation
	b.send(3)
}

func TestScheduleAgedShare(t *testing.T) {
	b := newBench(t, Policy{})
	b.accept(b.fault("old", guance.LevelWarning, 1), store.Record{})
	for i := range 40 {
		b.accept(b.fault(fmt.Sprint(i), guance.LevelCritical, 1), store.Record{})
	}
	for i := 1; ; i++ {
		if tk, _ := b.Next(b.now); tk.item.seq == 1 {
			if i != agedShare {
				t.Errorf("the oldest went as number %d, want %d", i, agedShare)
			}
			return
		}
	}
}

func TestScheduleEveryKeepsAll(t *testing.T) {
	b := newBench(t, Policy{EveryEvent: true})
	for i := range 3 {
		if marks := b.accept(b.fault("p", guance.LevelCritical, i), store.Record{}); len(marks) > 0 {
			t.Fatalf("got marks %v, want none", marks)
		}
	}
	for i := range 3 {
		b.answer(b.send(uint64(i+1)), delivered)
	}
}

// Where every event is sent, the first entry alone decides the rank.
func TestScheduleEveryRank(t *testing.T) {
	for _, test := range []struct {
		every bool
		first uint64
	}{{true, 3}, {false, 1}} {
		b := newBench(t, Policy{EveryEvent: test.every})
		begun := b.fault("long", guance.LevelWarning, 1)
		begun.Begun = true
		b.accept(begun, store.Record{})
		b.accept(b.fault("long", guance.LevelFatal, 2), store.Record{})
		b.accept(b.fault("short", guance.LevelError, 3), store.Record{})
		b.send(test.first)
	}
}

// A failure counts against an entry only if the target took something in between.
func TestScheduleAttempts(t *testing.T) {
	b := newBench(t, Policy{MaxAttempts: 3})
	b.accept(b.fault("poison", guance.LevelFatal, 1), store.Record{})
	for range 10 {
		if o := b.answer(b.send(1), failure); o != 0 {
			t.Fatalf("%v during an outage, want it kept", o)
		}
		b.now = b.now.Add(maxBackoff)
	}
	for i := range 3 {
		e := b.fault(fmt.Sprint(i), guance.LevelWarning, 1)
		tk := b.send(1) // the worse news first
		b.accept(e, store.Record{})
		b.answer(b.send(e.Seq), delivered)
		want := store.Outcome(0)
		if i == 2 {
			want = store.Dead
		}
		if o := b.answer(tk, failure); o != want {
			t.Fatalf("after %d failures beside successes: %v, want %v", i+1, o, want)
		}
		b.now = b.now.Add(maxBackoff)
	}
	b.send(0)
}

// Failures from before a restart count.
func TestScheduleRemembersFailures(t *testing.T) {
	b := newBench(t, Policy{MaxAttempts: 3})
	e := b.fault("p", guance.LevelFatal, 1)
	e.Begun, e.Failed = true, 2
	b.accept(e, store.Record{})
	tk := b.send(1)
	b.accept(b.fault("q", guance.LevelWarning, 1), store.Record{})
	b.answer(b.send(2), delivered)
	if n, o := tk.Attempt(), b.answer(tk, failure); n != 3 || o != store.Dead {
		t.Errorf("attempt %d ended as %v, want attempt 3 dead", n, o)
	}
}

func TestScheduleThrottlingCostsNothing(t *testing.T) {
	b := newBench(t, Policy{MaxAttempts: 1})
	b.accept(b.fault("p", guance.LevelCritical, 1), store.Record{})
	for range 100 {
		tk := b.send(1)
		b.accept(b.fault("q", guance.LevelWarning, 1), store.Record{})
		if o := b.answer(tk, throttled); o != 0 || tk.item.failed != 0 || b.breaker.down() {
			t.Fatalf("%v, %d failures, down %v; want none of it", o, tk.item.failed, b.breaker.down())
		}
		b.now = b.now.Add(time.Minute / 4)
	}
}

func TestScheduleProbesADeadTarget(t *testing.T) {
	b := newBench(t, Policy{})
	for i := range 100 {
		b.accept(b.fault(fmt.Sprint(i), guance.LevelCritical, 1), store.Record{})
	}
	begun := 0
	for range tripAfter {
		tk, _ := b.Next(b.now)
		begun++
		b.answer(tk, failure)
	}
	if n, oldest := b.Stuck(); n != 100 || !oldest.Equal(now) {
		t.Errorf("%d entries are stuck since %v, want all", n, oldest)
	}
	if at, down := b.Probe(); !down || !at.After(b.now) {
		t.Errorf("the next probe is at %v, down %v; want a later time of a target that is down", at, down)
	}
	if b.Limit(8) != 1 {
		t.Errorf("%d attempts may be in flight at a dead target, want 1", b.Limit(8))
	}
	start := b.now
	for b.now.Sub(start) < 10*time.Minute {
		ok, at := b.Ready(b.now)
		if !ok {
			if at.Sub(b.now) > maxProbe {
				t.Fatalf("the next probe is in %v, want %v at most", at.Sub(b.now), maxProbe)
			}
			b.now = at
			continue
		}
		tk, _ := b.Next(b.now)
		begun++
		b.answer(tk, failure)
	}
	if begun > 10*60/5 {
		t.Errorf("%d attempts in ten minutes at a dead target", begun)
	}
	for ok, at := b.Ready(b.now); !ok; ok, at = b.Ready(b.now) {
		b.now = at
	}
	tk, _ := b.Next(b.now)
	b.answer(tk, delivered)
	if _, down := b.Probe(); down || b.Limit(8) != 8 {
		t.Error("a target that took an event still counts as dead")
	}
	if n := b.byTurn.Len(); n != 0 {
		t.Errorf("%d problems still back off although the target is back", n)
	}
}

// While the target is down, nothing is ready before the next probe.
func TestScheduleReadyAtTheProbe(t *testing.T) {
	b := newBench(t, Policy{})
	calls := 0
	b.jitter = func(n int64) int64 { // long for the probe, short for each problem
		if calls++; calls == tripAfter {
			return n - 1
		}
		return 0
	}
	for i := range tripAfter {
		b.accept(b.fault(fmt.Sprint(i), guance.LevelCritical, 1), store.Record{})
		b.answer(b.send(uint64(i+1)), failure)
	}
	probe, down := b.Probe()
	if want := now.Add(1250*time.Millisecond - 1); !down || !probe.Equal(want) {
		t.Fatalf("down %v, the probe is at %v, want %v", down, probe, want)
	}
	if ok, at := b.Ready(b.now); ok || !at.Equal(probe) { // all back off
		t.Errorf("ready %v at %v, want %v", ok, at, probe)
	}
	if ok, at := b.Ready(probe.Add(-1)); ok || !at.Equal(probe) { // all are due
		t.Errorf("ready %v at %v, want %v", ok, at, probe)
	}
	if ok, _ := b.Ready(probe); !ok {
		t.Error("nothing is ready at the time of the probe")
	}
}

// Failures of one problem do not make the target count as down.
func TestSchedulePoisonAloneDoesNotTrip(t *testing.T) {
	b := newBench(t, Policy{})
	b.accept(b.fault("poison", guance.LevelFatal, 1), store.Record{})
	for range 10 {
		b.answer(b.send(1), failure)
		b.now = b.now.Add(maxBackoff)
	}
	if b.breaker.down() {
		t.Error("the target counts as dead because of one event")
	}
}

// If events that always fail make the target count as down, a new problem is still sent.
func TestScheduleProbesWithAnotherProblem(t *testing.T) {
	b := newBench(t, Policy{})
	for _, p := range []string{"poison a", "poison b"} {
		b.accept(b.fault(p, guance.LevelFatal, 1), store.Record{})
	}
	fail := func() {
		for ok, at := b.Ready(b.now); !ok; ok, at = b.Ready(b.now) {
			b.now = at
		}
		tk, _ := b.Next(b.now)
		b.answer(tk, failure)
	}
	for range 20 {
		fail()
	}
	if !b.breaker.down() {
		t.Fatal("two problems that always fail do not look like a target that is down")
	}
	e := b.fault("new", guance.LevelWarning, 1)
	b.accept(e, store.Record{})
	if ok, at := b.Ready(b.now); !ok {
		b.now = at
	}
	b.now = b.now.Add(maxBackoff) // both are due again
	b.answer(b.send(e.Seq), delivered)
	b.accept(b.fault("newer", guance.LevelWarning, 1), store.Record{})
	b.send(1) // it failed because of the target, so it seems: as bad news as it was at first
}

func TestScheduleExpires(t *testing.T) {
	b := newBench(t, Policy{MaxAge: time.Hour})
	b.accept(b.fault("in flight", guance.LevelFatal, 1), store.Record{})
	flying := b.send(1)
	for i := range 5 {
		b.accept(b.fault(fmt.Sprint(i), guance.LevelCritical, 1), store.Record{})
	}
	b.now = b.now.Add(time.Hour)
	b.accept(b.fault("young", guance.LevelCritical, 1), store.Record{})
	if got := b.Expired(b.now, 10); len(got) != 0 {
		t.Fatalf("%d entries are too old after an hour, want none", len(got))
	}
	if got := b.Expiry(); !got.Equal(b.now) || !b.Oldest().Equal(now) {
		t.Errorf("the oldest is of %v and expires at %v, want %v and %v", b.Oldest(), got, now, b.now)
	}
	b.now = b.now.Add(1)
	got := b.Expired(b.now, 3)
	if len(got) != 3 {
		t.Fatalf("%d entries that are too old, want the three that were asked for", len(got))
	}
	if got = append(got, b.Expired(b.now, 10)...); len(got) != 5 {
		t.Fatalf("%d entries are too old, want the five that wait", len(got))
	}
	for i, tk := range got {
		if tk.item.seq != uint64(i+2) {
			t.Errorf("entry %d as number %d, want the oldest first", tk.item.seq, i)
		}
		b.Settle(tk, tk.Mark("", store.Dead, ""))
	}
	b.answer(flying, delivered)
	b.send(7)
	if b.pending != 1 {
		t.Errorf("%d entries pending, want the young one", b.pending)
	}
}

// A replayed dead letter has its old number, and its age counts from the replay. Older entries
// beside it still expire.
func TestScheduleReplayedEntryIsYoung(t *testing.T) {
	b := newBench(t, Policy{MaxAge: time.Hour})
	replayed := b.fault("replayed", guance.LevelCritical, 1)
	b.accept(b.fault("p", guance.LevelCritical, 1), store.Record{})
	b.now = b.now.Add(30 * time.Minute)
	replayed.Begun, replayed.Kept = true, time.Duration(b.now.UnixNano())
	b.accept(replayed, store.Record{})
	tk := b.send(2)
	b.answer(tk, failure)
	b.answer(b.send(1), failure)
	if want := now.Add(time.Hour); !b.Expiry().Equal(want) || !b.Oldest().Equal(now) {
		t.Errorf("the oldest is of %v and expires at %v, want %v and %v", b.Oldest(),
			b.Expiry(), now, want)
	}
	b.now = now.Add(time.Hour + 1)
	if got := b.Expired(b.now, 10); len(got) != 1 || got[0].item.seq != 2 {
		t.Errorf("%+v is too old, want the entry beside the replayed one", got)
	}
}

// When the target is back, a repeat keeps its time.
func TestScheduleKeepsTheTimeOfARepeat(t *testing.T) {
	b := newBench(t, Policy{})
	known := store.Record{Seq: 1, Open: true, Doubt: true}
	b.accept(b.recovery("p", 1), known)
	if o := b.answer(b.send(1), delivered); o != 0 {
		t.Fatalf("the recovery of a problem in doubt is %v at once", o)
	}
	for i := range 5 {
		e := b.fault(fmt.Sprint(i), guance.LevelCritical, 1)
		b.accept(e, store.Record{})
		b.answer(b.send(e.Seq), failure)
	}
	if !b.breaker.down() {
		t.Fatal("the target does not count as down")
	}
	b.now = b.now.Add(maxProbe)
	tk, _ := b.Next(b.now)
	b.answer(tk, delivered)
	if at := moment(b.until(b.problems.find(idOf("p")))); !at.Equal(now.Add(time.Minute)) {
		t.Errorf("it is sent a second time at %v, want %v", at, now.Add(time.Minute))
	}
}

// A second sending of a recovery ranks below news that came later.
func TestScheduleRepeatOfARecoveryIsNoNews(t *testing.T) {
	b := newBench(t, Policy{})
	b.accept(b.recovery("p", 1), store.Record{Seq: 1, Open: true, Shown: guance.LevelFatal,
		Doubt: true})
	b.answer(b.send(1), delivered)
	b.accept(b.fault("escalation", guance.LevelWarning, 1),
		store.Record{Open: true, Shown: guance.LevelInfo})
	b.now = b.now.Add(time.Minute)
	b.answer(b.send(2), delivered)
	if o := b.answer(b.send(1), delivered); o != store.Delivered {
		t.Errorf("it ends as %v", o)
	}
}

// An event without a state waits behind a repeat and does not cancel it.
func TestScheduleRemarkCancelsNoRepeat(t *testing.T) {
	b := newBench(t, Policy{})
	b.accept(b.recovery("p", 1), store.Record{Seq: 1, Open: true, Doubt: true})
	b.answer(b.send(1), delivered)
	if marks, over := b.Add(b.entry("p", guance.StateNeither, guance.LevelInfo, 2),
		store.Record{}); len(marks) != 0 || over != nil {
		t.Fatalf("a remark ends %v and %v", marks, over)
	}
	b.send(0)
	b.now = b.now.Add(time.Minute)
	b.answer(b.send(1), delivered)
	b.send(2)
}

// A recovery is sent, even if its trigger was not, while an earlier request may still be handled.
func TestScheduleDoubtKeepsAPair(t *testing.T) {
	b := newBench(t, Policy{})
	known := store.Record{Seq: 1, Doubt: true}
	b.accept(b.fault("p", guance.LevelCritical, 1), known)
	if diff := gocmp.Diff(map[uint64]store.Outcome{1: store.Superseded},
		b.accept(b.recovery("p", 2), known)); diff != "" {
		t.Error(diff)
	}
	b.send(2)
}

// The newer state is not sent before it is durable that the recovery has ended.
func TestScheduleNewerStateWaitsForTheEndOfARepeat(t *testing.T) {
	b := newBench(t, Policy{})
	b.accept(b.recovery("p", 1), store.Record{Open: true, Doubt: true})
	b.answer(b.send(1), delivered)
	_, over := b.Add(b.fault("p", guance.LevelError, 2), store.Record{})
	if over == nil || over.item.seq != 1 {
		t.Fatalf("got %+v, want the recovery", over)
	}
	b.now = b.now.Add(time.Hour)
	b.send(0)
	b.Settle(*over, over.Mark("p", store.Delivered, ""))
	if tk := b.send(2); !tk.item.doubt {
		t.Error("the doubt is over")
	}
}

// A delivered recovery that is too old for its repeat ends delivered.
func TestScheduleRepeatIsNeverDead(t *testing.T) {
	b := newBench(t, Policy{MaxAge: 30 * time.Second})
	b.accept(b.recovery("p", 1), store.Record{Seq: 1, Open: true, Doubt: true})
	b.answer(b.send(1), delivered)
	b.now = b.now.Add(31 * time.Second)
	tickets := b.Expired(b.now, 10)
	if len(tickets) != 1 {
		t.Fatalf("%d entries are too old, want one", len(tickets))
	}
	if m := b.ExpiredMark(tickets[0], "p", "too old"); m.Outcome != store.Delivered || !m.Doubt {
		t.Errorf("it ends as %v, doubt %v; want it delivered, and the doubt kept", m.Outcome, m.Doubt)
	}
}

// An entry is dead six hours after its first failure that counts, though it has attempts left.
func TestScheduleCountsForSixHours(t *testing.T) {
	b := newBench(t, Policy{MaxAttempts: 1000, MaxAge: 72 * time.Hour})
	b.accept(b.fault("poison", guance.LevelFatal, 1), store.Record{})
	for b.now.Before(now.Add(7 * time.Hour)) { // nothing else goes through
		if o := b.answer(b.send(1), failure); o != 0 {
			t.Fatalf("%v in an outage", o)
		}
		b.now = b.now.Add(10 * time.Minute)
	}
	for since := time.Duration(0); ; since += 10 * time.Minute {
		e := b.fault(fmt.Sprint(since), guance.LevelWarning, 1)
		tk := b.send(1)
		b.accept(e, store.Record{})
		b.answer(b.send(e.Seq), delivered)
		if o := b.answer(tk, failure); (o == store.Dead) != (since >= 6*time.Hour) ||
			since > 7*time.Hour {
			t.Fatalf("%v after the first failure that counted it is %v", since, o)
		} else if o == store.Dead {
			return
		}
		b.now = b.now.Add(10 * time.Minute)
	}
}

// Stuck entries are counted in every stage until they end.
func TestScheduleStuck(t *testing.T) {
	b := newBench(t, Policy{MaxAttempts: 1000})
	stuck := func(want int, since time.Time) {
		t.Helper()
		if n, oldest := b.Stuck(); n != want || !oldest.Equal(since) {
			t.Fatalf("%d entries are stuck since %v, want %d since %v", n, oldest, want, since)
		}
	}
	b.accept(b.fault("p", guance.LevelFatal, 1), store.Record{})
	for i := range 5 {
		if i < stubborn {
			stuck(0, time.Time{})
		} else {
			stuck(1, now)
		}
		b.answer(b.send(1), failure)
		b.now = b.now.Add(maxBackoff)
	}
	stuck(1, now)
	tk := b.send(1)
	stuck(1, now)
	b.answer(tk, delivered)
	stuck(0, time.Time{})
	b.accept(b.fault("q", guance.LevelFatal, 1), store.Record{})
	kept := b.now
	b.Quarantine(b.send(2), b.now)
	stuck(1, kept)
	b.now = b.now.Add(QuarantineFor)
	b.answer(b.send(2), delivered)
	stuck(0, time.Time{})
}

// A mark has what the store must know of the entry, the reason included.
func TestMarkOfAnOutcome(t *testing.T) {
	b := newBench(t, Policy{})
	e := b.fault("p", guance.LevelError, 1)
	b.accept(e, store.Record{})
	tk := b.send(1)
	want := store.Mark{
		Seq: 1, State: guance.StateProblem, Level: guance.LevelError, Time: e.Time,
		Outcome: store.Dead, Reason: "400",
	}
	if diff := gocmp.Diff(want, b.Answered(tk, refused, b.now)); diff != "" {
		t.Error(diff)
	}
}

func TestInFlight(t *testing.T) {
	b := newBench(t, Policy{})
	b.accept(b.fault("p", guance.LevelError, 1), store.Record{})
	b.accept(b.fault("q", guance.LevelWarning, 1), store.Record{})
	b.send(1)
	for _, test := range []struct {
		problem string
		seq     uint64
		want    bool
	}{{"p", 1, true}, {"p", 2, false}, {"q", 2, false}, {"unknown", 1, false}} {
		if got := b.InFlight(test.problem, test.seq); got != test.want {
			t.Errorf("entry %d of %s is in flight: %v, want %v", test.seq, test.problem, got, test.want)
		}
	}
}

func TestLate(t *testing.T) {
	const minute = time.Minute
	tests := map[string]struct {
		policy   Policy
		behind   time.Duration // of the newest of its problem
		no, none bool          // the event, the problem has no time
		want     bool
	}{
		"a moment":             {behind: 1, want: true},
		"the same time":        {behind: 0},
		"newer":                {behind: -minute},
		"the most":             {behind: 10 * minute, want: true},
		"another clock":        {behind: 10*minute + 1},
		"every event is sent":  {policy: Policy{EveryEvent: true}, behind: minute},
		"no time":              {behind: minute, no: true},
		"an unknown problem":   {behind: minute, none: true},
		"nothing has any time": {no: true, none: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, test.policy)
			e, r := &store.Entry{Time: now.Add(-test.behind)}, store.Record{Time: now}
			if test.no {
				e.Time = time.Time{}
			}
			if test.none {
				r.Time = time.Time{}
			}
			if got := b.Late(e, r); got != test.want {
				t.Errorf("late: %v, want %v", got, test.want)
			}
		})
	}
	if isLate(0, 1) || isLate(1, 0) || !isLate(1, 2) {
		t.Error("0 is no time, and 1 is one")
	}
}

// What waits for a time is told apart: a recovery that is sent a second time, or what backs off.
func TestRepeatNext(t *testing.T) {
	b := newBench(t, Policy{})
	if b.RepeatNext() {
		t.Error("nothing waits")
	}
	b.accept(b.recovery("a", 1), store.Record{Open: true, Doubt: true})
	b.answer(b.send(1), delivered)
	if !b.RepeatNext() {
		t.Error("the second sending waits")
	}
	b.accept(b.fault("b", guance.LevelWarning, 1), store.Record{})
	b.answer(b.send(2), failure)
	if b.RepeatNext() {
		t.Error("what backs off comes first")
	}
}

// An entry in flight counts as stuck from its third failure in a row on.
func TestIsStuck(t *testing.T) {
	b := newBench(t, Policy{})
	b.accept(b.fault("p", guance.LevelWarning, 1), store.Record{})
	for i := range 5 {
		tk := b.send(1)
		if got := b.IsStuck(tk); got != (i >= 3) {
			t.Errorf("after %d failures it is stuck: %v", i, got)
		}
		b.answer(tk, failure)
		b.now = b.now.Add(maxBackoff)
	}
}

// The second sending of a recovery ends delivered, and its mark says what the second answer was.
func TestReasonOfARepeat(t *testing.T) {
	for _, test := range []struct {
		answer Result
		want   string
	}{
		{delivered, ""},
		{failure, "delivered, then sent a second time because an earlier answer was lost; the second " +
			"answer: 503"},
	} {
		b := newBench(t, Policy{})
		b.accept(b.recovery("a", 1), store.Record{Open: true, Doubt: true})
		b.answer(b.send(1), delivered)
		b.now = b.now.Add(RepeatAfter)
		if m := b.Answered(b.send(1), test.answer, b.now); m.Reason != test.want ||
			m.Outcome != store.Delivered {
			t.Errorf("after %+v the mark is %+v, want %q", test.answer, m, test.want)
		}
	}
}

// Levels that the code does not know count as the nearest one.
func TestUnknownLevels(t *testing.T) {
	b := newBench(t, Policy{})
	for i, level := range []guance.Level{-5, guance.LevelNone, guance.LevelFatal, 100} {
		e := b.fault(fmt.Sprint(i), level, 1)
		b.accept(e, store.Record{})
	}
	if n, got := b.Pending(); n != 4 || got != [levels]int{0: 2, guance.LevelFatal: 2} {
		t.Errorf("%d pending, by level %v", n, got)
	}
	if got, want := b.problems.rankOf(b.problems.find(idOf("3")), false),
		b.problems.rankOf(b.problems.find(idOf("2")), false); got != want {
		t.Errorf("level 100 has rank %d, want %d as fatal has", got, want)
	}
	if b.problems.rankOf(b.problems.find(idOf("0")), false) >= rank(topRank) {
		t.Error("a level below zero has no rank")
	}
	for b.pending > 0 {
		tk, _ := b.Next(b.now)
		b.answer(tk, delivered)
	}
	if b.byLevel != [levels]int{} {
		t.Errorf("levels %v are left of nothing", b.byLevel)
	}
}

// The text of a dead letter says how often it was tried, how long, and what came last.
func TestReasonOfDeath(t *testing.T) {
	b := newBench(t, Policy{MaxAttempts: 2})
	b.accept(b.fault("p", guance.LevelError, 1), store.Record{})
	var m store.Mark
	for range 2 {
		tk := b.send(1)
		e := b.fault(fmt.Sprint(b.seq), guance.LevelInfo, 1)
		b.accept(e, store.Record{})
		b.answer(b.send(e.Seq), delivered)
		m = b.Answered(tk, failure, b.now)
		b.now = b.now.Add(time.Minute)
	}
	const want = "failed 2 times within 1m0s while the target took other events, last: 503"
	if m.Outcome != store.Dead || m.Reason != want || m.Failed != 2 {
		t.Errorf("the mark is %+v, want %q", m, want)
	}
}

// An entry that replaces an unsent one, or comes too late, is named in the reason.
func TestReasonsOfSuperseded(t *testing.T) {
	b := newBench(t, Policy{})
	reasons := make(map[uint64]string)
	add := func(e *store.Entry) {
		marks, _ := b.Add(e, store.Record{})
		for _, m := range marks {
			reasons[m.Seq] = m.Reason
		}
	}
	add(b.fault("a", guance.LevelError, 5))
	add(b.fault("a", guance.LevelError, 6))
	add(b.fault("a", guance.LevelError, 4))
	add(b.recovery("a", 7))
	add(b.entry("b", guance.StateNeither, guance.LevelInfo, 1))
	add(b.entry("b", guance.StateNeither, guance.LevelInfo, 1))
	marks, _ := b.Add(b.fault("c", guance.LevelError, 1), store.Record{Seq: 100})
	reasons[7] = marks[0].Reason
	want := map[uint64]string{
		1: "entry 2 of the problem replaced it before it was sent",
		2: "entry 4 of the problem replaced it before it was sent",
		3: "it arrived after a newer event of the problem",
		4: "the problem ended before it was sent",
		5: "entry 6 of the problem replaced it before it was sent",
		7: "a newer event of the problem was already sent",
	}
	if diff := gocmp.Diff(want, reasons); diff != "" {
		t.Error(diff)
	}
}

func TestBackoff(t *testing.T) {
	for _, test := range []struct {
		n           int
		least, most time.Duration
	}{
		{0, 250, 750}, {1, 250, 1250}, {2, 250, 2250}, {5, 250, 16_250}, {6, 250, 30_000},
		{100, 250, 30_000},
	} {
		least := Jitter(func(int64) int64 { return 0 }).backoff(test.n)
		most := Jitter(func(n int64) int64 { return n - 1 }).backoff(test.n)
		if least != test.least*time.Millisecond || most.Round(time.Millisecond) !=
			test.most*time.Millisecond {
			t.Errorf("the wait %d is between %v and %v, want %d ms and %d ms", test.n, least, most,
				test.least, test.most)
		}
	}
}

// A heap gives memory back, and not so eagerly that each removal costs an allocation.
func TestHeapMemory(t *testing.T) {
	ps := newProblems()
	h := problemHeap{problems: ps, order: byArrival}
	for i := range 1000 {
		p := ps.insert(idOf(fmt.Sprint(i)))
		p.first = item{seq: uint64(i + 1)}
		h.insert(p)
	}
	if n := testing.AllocsPerRun(100, func() {
		p := h.first()
		h.remove(p)
		h.insert(p)
	}); n != 0 {
		t.Errorf("taking a problem and putting it back allocates %v times", n)
	}
	for want := uint64(1); h.Len() > 0; want++ {
		p := h.first()
		if p.first.seq != want {
			t.Fatalf("entry %d is first, want %d", p.first.seq, want)
		}
		h.remove(p)
		h.remove(p) // it is not there
	}
	if cap(h.refs) > 4 {
		t.Errorf("an empty heap keeps room for %d", cap(h.refs))
	}
}

func TestTimes(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 1).UTC(), time.Unix(1_700_000_000, 5).UTC()} {
		if got := moment(nanos(at)); !got.Equal(at) || got.IsZero() != at.IsZero() {
			t.Errorf("%v becomes %v", at, got)
		}
	}
	if it := itemOf(&store.Entry{}); it.kept != 1 {
		t.Errorf("an entry of the first moment was kept at %d, want 1", it.kept)
	}
}
