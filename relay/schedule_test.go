package relay

import (
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// said makes an entry; the minute is the event time.
func said(seq uint64, problem string, state guance.State, level guance.Level, minute int) *Entry {
	return &Entry{Seq: seq, Problem: problem, State: state, Level: level, Time: time.Unix(int64(minute)*60, 0)}
}

func outcomes(marks []Mark) map[uint64]Outcome {
	m := make(map[uint64]Outcome)
	for _, mark := range marks {
		m[mark.Seq] = mark.Outcome
	}
	return m
}

var now = time.Unix(1_700_000_000, 0)

func TestScheduleCancelsNeverSentPair(t *testing.T) {
	s := newSchedule(false)
	s.add(said(1, "p", guance.StateProblem, guance.LevelCritical, 1), Record{})
	marks := s.add(said(2, "p", guance.StateRecovered, guance.LevelNone, 2), Record{})
	if got := outcomes(marks); len(got) != 2 || got[1] != Superseded || got[2] != Superseded {
		t.Fatalf("got %v, want both superseded", got)
	}
	if e := s.next(now); e != nil {
		t.Fatalf("entry %d is sent, want nothing", e.Seq)
	}
	if len(s.problems) != 0 || s.pending != 0 {
		t.Errorf("the schedule remembers %d problems and %d entries, want none", len(s.problems), s.pending)
	}
}

func TestScheduleResolveWaitsForItsTrigger(t *testing.T) {
	s := newSchedule(false)
	s.add(said(1, "p", guance.StateProblem, guance.LevelCritical, 1), Record{})
	trigger := s.next(now)
	if marks := s.add(said(2, "p", guance.StateRecovered, guance.LevelNone, 2), Record{}); len(marks) != 0 {
		t.Fatalf("got marks %v, want none: the trigger may be on the wire", marks)
	}
	if e := s.next(now); e != nil {
		t.Fatalf("entry %d is sent beside its trigger", e.Seq)
	}
	s.retry(trigger, now.Add(time.Second), true)
	if e := s.next(now); e != nil {
		t.Fatalf("entry %d overtakes the trigger that backs off", e.Seq)
	}
	if e := s.next(now.Add(time.Second)); e != trigger {
		t.Fatalf("got %v, want the trigger again", e)
	}
	s.settle(trigger)
	if e := s.next(now); e == nil || e.Seq != 2 {
		t.Fatalf("got %v, want the resolve", e)
	}
}

func TestScheduleAdd(t *testing.T) {
	open := Record{Seq: 5, Open: true, Time: time.Unix(600, 0)}
	tests := map[string]struct {
		record Record
		before []*Entry
		entry  *Entry
		want   map[uint64]Outcome
	}{
		"a repeat takes the place of an unsent one": {
			before: []*Entry{said(6, "p", guance.StateProblem, guance.LevelWarning, 11)},
			entry:  said(7, "p", guance.StateProblem, guance.LevelCritical, 12),
			want:   map[uint64]Outcome{6: Superseded},
		},
		"a recovery of what is open is sent, the unsent update is not": {
			record: open,
			before: []*Entry{said(6, "p", guance.StateProblem, guance.LevelWarning, 11)},
			entry:  said(7, "p", guance.StateRecovered, guance.LevelNone, 12),
			want:   map[uint64]Outcome{6: Superseded},
		},
		"a recovery of something unknown is sent": {
			entry: said(7, "p", guance.StateRecovered, guance.LevelNone, 12),
			want:  map[uint64]Outcome{},
		},
		"info is no recovery and takes no place": {
			before: []*Entry{said(6, "p", guance.StateProblem, guance.LevelWarning, 11)},
			entry:  said(7, "p", guance.StateNeither, guance.LevelInfo, 12),
			want:   map[uint64]Outcome{},
		},
		"a fault that was overtaken on its way is stale": {
			record: Record{Seq: 5, Time: time.Unix(600, 0)},
			entry:  said(6, "p", guance.StateProblem, guance.LevelCritical, 9),
			want:   map[uint64]Outcome{6: Superseded},
		},
		"a clock that is hours off does not silence a fault": {
			record: Record{Seq: 5, Time: time.Unix(60_000, 0)},
			entry:  said(6, "p", guance.StateProblem, guance.LevelCritical, 9),
			want:   map[uint64]Outcome{},
		},
		"what a crash left behind a newer sent event": {
			record: open,
			entry:  said(4, "p", guance.StateProblem, guance.LevelCritical, 11),
			want:   map[uint64]Outcome{4: Superseded},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSchedule(false)
			for _, e := range test.before {
				s.add(e, test.record)
			}
			got := outcomes(s.add(test.entry, test.record))
			if len(got) != len(test.want) {
				t.Fatalf("got %v, want %v", got, test.want)
			}
			for seq, o := range test.want {
				if got[seq] != o {
					t.Errorf("entry %d: got %v, want %v", seq, got[seq], o)
				}
			}
		})
	}
}

// Promise 6: the worst news travels first, and nothing starves.
func TestScheduleOrder(t *testing.T) {
	s := newSchedule(false)
	seq := uint64(0)
	add := func(problem string, state guance.State, level guance.Level, r Record) {
		seq++
		s.add(said(seq, problem, state, level, int(seq)), r)
	}
	for i := range 20 {
		add(string(rune('a'+i)), guance.StateProblem, guance.LevelWarning, Record{})
	}
	add("update", guance.StateProblem, guance.LevelCritical, Record{Open: true})
	add("recovery", guance.StateRecovered, guance.LevelNone, Record{Open: true})
	add("new", guance.StateProblem, guance.LevelCritical, Record{})
	add("worst", guance.StateProblem, guance.LevelFatal, Record{})
	var got []string
	for e := s.next(now); e != nil; e = s.next(now) {
		got = append(got, e.Problem)
	}
	if got[0] != "worst" || got[1] != "new" || got[2] != "a" {
		t.Errorf("got %v first, want worst, new, a", got[:3])
	}
	if got[22] != "recovery" || got[23] != "update" {
		t.Errorf("got %v last, want recovery, update", got[22:])
	}
}

func TestScheduleAgedShare(t *testing.T) {
	s := newSchedule(false)
	s.add(said(1, "old", guance.StateProblem, guance.LevelWarning, 1), Record{})
	for i := range 40 {
		s.add(said(uint64(i+2), string(rune('A'+i)), guance.StateProblem, guance.LevelCritical, 1), Record{})
	}
	for i := 1; ; i++ {
		if e := s.next(now); e.Problem == "old" {
			if i != agedShare {
				t.Errorf("the oldest went as number %d, want %d", i, agedShare)
			}
			return
		}
	}
}

func TestScheduleEveryKeepsAll(t *testing.T) {
	s := newSchedule(true)
	for i := range 3 {
		if marks := s.add(said(uint64(i+1), "p", guance.StateProblem, guance.LevelCritical, i), Record{}); len(marks) > 0 {
			t.Fatalf("got marks %v, want none", marks)
		}
	}
	for i := range 3 {
		e := s.next(now)
		if e == nil || e.Seq != uint64(i+1) {
			t.Fatalf("got %v as number %d", e, i+1)
		}
		s.settle(e)
	}
}
