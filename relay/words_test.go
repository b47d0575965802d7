package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/internal/schedule"
	"github.com/guance-relay/guance-relay/relay/store"
)

var start = time.Unix(1_700_000_000, 0).UTC()

// testLane is a lane with a clock that stands still, a sink that is never called, and a budget of
// sixty requests a minute. The store's clock is at start, and the wall clock an hour ahead.
func testLane(t *testing.T, o schedule.Policy) *lane {
	t.Helper()
	clock := newClock(stillStore{}, func() time.Time { return start.Add(time.Hour) })
	o.MaxAttempts, o.MaxAge = 100, 24*time.Hour
	c := &laneConfig{name: "lane", sink: SinkFunc(nil), opts: SinkOptions{Concurrency: 2},
		log: slog.New(slog.DiscardHandler), clock: clock, figures: newFigures("lane")}
	a := &account{budget: newBudget(60, start.Add(-time.Minute))}
	l := newLane(c, a)
	l.schedule = schedule.New(o, func(int64) int64 { return 0 })
	return l
}

type stillStore struct{ store.Store }

func (stillStore) Clock() time.Duration { return time.Duration(start.UnixNano()) }

func (stillStore) Holdings(context.Context) (map[string]store.Holdings, error) { return nil, nil }

func pausedUntil(at time.Time) hold {
	return hold{store.Pause{Until: time.Duration(at.UnixNano()), By: "ann"}}
}

func (l *lane) give(seq uint64, problem string, state guance.State, r store.Record) {
	l.schedule.Add(&store.Entry{Seq: seq, Problem: problem, State: state, Level: guance.LevelError,
		Kept: time.Duration(start.UnixNano())}, r)
}

func (l *lane) tryOnce(r schedule.Result) {
	tk, _ := l.schedule.Next(start)
	if m := l.schedule.Answered(tk, r, start); m.Outcome != 0 {
		l.schedule.Settle(tk, m)
	}
}

// What a lane does and why an entry waits: each state, in the order in which they apply.
func TestLaneStates(t *testing.T) {
	pending := func(l *lane) { l.give(1, "p", guance.StateProblem, store.Record{}) }
	failing := func(l *lane) {
		for i := range uint64(5) {
			l.give(i+1, fmt.Sprint(i), guance.StateProblem, store.Record{})
		}
		for range 5 {
			l.tryOnce(schedule.Result{})
		}
	}
	held := func(l *lane) { l.hold = pausedUntil(start.Add(time.Second)) }
	throttled := func(l *lane) { l.account.budget.until = start.Add(2 * time.Second) }
	const next = 1089286 * time.Microsecond // 56 requests in 61 seconds
	steps := []struct {
		name   string
		do     []func(*lane)
		state  LaneState
		until  time.Duration // after start; 0: not known
		why    WaitReason    // of entry 1
		reason string
		wait   time.Duration
	}{
		{"nothing", nil, Idle, 0, "", "", 0},
		{"a turn", []func(*lane){pending, func(l *lane) { l.inFlight = 1 }}, Sending, 0, WaitBudget,
			"waits for its turn within the budget", 0},
		{"no budget", []func(*lane){pending, func(l *lane) {
			l.account.budget = newBudget(60, start)
		}}, Budgeted, next, WaitBudget, "waits for its turn within the budget",
			next},
		{"as many in flight as may be", []func(*lane){pending, func(l *lane) {
			l.account.budget, l.inFlight = newBudget(60, start), 2
		}}, Sending, 0, WaitBudget, "waits for its turn within the budget", next},
		{"in flight", []func(*lane){pending, func(l *lane) { l.schedule.Next(start); l.inFlight = 1 }},
			Sending, 0, WaitInFlight, "in flight", 0},
		{"backing off", []func(*lane){pending, func(l *lane) { l.tryOnce(schedule.Result{}) }}, BackingOff,
			250 * time.Millisecond, WaitBackoff, "tried before, 0 failures count against it; backing off",
			250 * time.Millisecond},
		{"a repeat", []func(*lane){func(l *lane) {
			l.give(1, "p", guance.StateRecovered, store.Record{Open: true, Doubt: true})
			l.tryOnce(schedule.Result{Outcome: store.Delivered})
		}}, Repeating, time.Minute, WaitRepeat,
			"the target took it; it is sent a second time, as an earlier answer was lost", time.Minute},
		{"down", []func(*lane){failing}, Probing, 250 * time.Millisecond, WaitBackoff,
			"tried before, 0 failures count against it; backing off", 250 * time.Millisecond},
		{"down, a new problem", []func(*lane){failing, func(l *lane) {
			l.give(9, "p", guance.StateProblem, store.Record{})
		}}, Probing, 250 * time.Millisecond, WaitProbe,
			"the target is down and gets one request at a time", 250 * time.Millisecond},
		{"a pause", []func(*lane){failing, throttled}, Paused, 2 * time.Second, WaitPause,
			"the target asked for a pause", 2 * time.Second},
		{"held", []func(*lane){failing, throttled, held}, Held, time.Second, WaitHeld,
			"the lane was paused by ann", time.Second},
		{"no longer held", []func(*lane){pending, func(l *lane) { l.hold = pausedUntil(start) }, throttled},
			Paused, 2 * time.Second, WaitPause, "the target asked for a pause", 2 * time.Second},
		{"no sink", []func(*lane){failing, throttled, held, func(l *lane) { l.sink = nil }}, NoSink, 0,
			WaitNoSink, "the lane has no sink", 0},
		{"reading", []func(*lane){failing, func(l *lane) {
			l.unread, l.ready = 1, start.Add(3*time.Second)
		}}, Reading, 3 * time.Second, "", "", 0},
		{"read for long enough", []func(*lane){func(l *lane) { l.unread, l.ready = 1, start }}, Idle, 0,
			"", "", 0},
		{"stopping", []func(*lane){failing, held, func(l *lane) {
			l.stopping, l.unread, l.ready = true, 1, start.Add(3*time.Second)
		}}, Stopped, 0, "", "", 0},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			l := testLane(t, schedule.Policy{})
			for _, do := range step.do {
				do(l)
			}
			after := func(at time.Time) time.Duration {
				if at.IsZero() {
					return 0
				}
				return at.Sub(start).Round(time.Microsecond)
			}
			state, until := l.state(start)
			if want := step.until.Round(time.Microsecond); state != step.state || after(until) != want {
				t.Errorf("%s for %v, want %s for %v", state, after(until), step.state, want)
			}
			if step.why == "" {
				return
			}
			problem := "p"
			if len(l.schedule.Waiting(problem)) == 0 {
				problem = "0"
			}
			w := l.schedule.Waiting(problem)[0]
			why, reason, until := l.waits(w, start)
			if want := step.wait.Round(time.Microsecond); why != step.why || reason != step.reason ||
				!until.Equal(start) && after(until) != want {
				t.Errorf("%s, %q for %v, want %s, %q for %v", why, reason, after(until), step.why, step.reason,
					want)
			}
			l.publish(start)
			s := l.stats.Load()
			n, _ := l.schedule.Pending()
			if s.State != step.state || s.Backlog != n+l.unread || s.InFlight != l.inFlight ||
				s.Budget != 56 || (s.Pause != nil) != l.hold.holds(start) {
				t.Errorf("%+v", s)
			}
		})
	}
	l := testLane(t, schedule.Policy{})
	why, reason, until := l.waits(schedule.Waiting{Reason: schedule.Behind, After: 7}, start)
	if why != WaitOrder || reason != "waits for entry 7 of the problem" || !until.IsZero() {
		t.Errorf("%s, %q, %v", why, reason, until)
	}
}

// The reasons that only a forecast has.
func TestWaitsOfAForecast(t *testing.T) {
	l := testLane(t, schedule.Policy{})
	f := &schedule.Forecast{Waiting: schedule.Waiting{Reason: schedule.Turn}}
	expect := func(want WaitReason, words string, until time.Time) {
		t.Helper()
		if why, says, at := l.whyWaits(f, start); why != want || says != words || !at.Equal(until) {
			t.Errorf("%s, %q, %v, want %s, %q, %v", why, says, at, want, words, until)
		}
	}
	expect(WaitBudget, "waits for its turn within the budget", time.Time{})
	f.Quarantined, f.Until = true, start.Add(time.Hour)
	expect(WaitQuarantined, "the store cannot read it; it is tried again", f.Until)
	l.unread, l.ready = 1, start.Add(time.Second)
	expect(WaitReading, "the lane reads its backlog after a start", l.ready)
	l.unread = 0
	expect(WaitQuarantined, "the store cannot read it; it is tried again", f.Until)
	l.unread, l.ready = 1, start
	expect(WaitQuarantined, "the store cannot read it; it is tried again", f.Until)
	l.ready = start.Add(time.Second)
	l.hold = pausedUntil(start.Add(time.Minute))
	expect(WaitHeld, "the lane was paused by ann", l.hold.until())
	f.Waiting.Reason = schedule.InFlight
	expect(WaitInFlight, "in flight", time.Time{})
	f.Waiting.Reason = schedule.Behind
	expect(WaitOrder, "waits for entry 0 of the problem", time.Time{})
	l.sink, f.Waiting.Reason = nil, schedule.Turn
	expect(WaitNoSink, "the lane has no sink", time.Time{})
}

// Foreign text cannot look like a line of its own.
func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"": "", " a \t b\n": "a b", "a\x00b": "a\ufffdb", "a\u202eb": "a\ufffdb", "é中": "é中",
		"a\u115fb": "a\ufffdb", "a\u1160b": "a\ufffdb", "a\u3164b": "a\ufffdb", "a\uffa0b": "a\ufffdb",
		"a\u2800b": "a\ufffdb", "a\u1161b": "a\u1161b", "a\u2801b": "a\u2801b", "a\u3165b": "a\u3165b",
	} {
		if got := oneLine(text); got != want {
			t.Errorf("%+q becomes %+q, want %+q", text, got, want)
		}
	}
	for id, want := range map[string]string{"a": "a", strings.Repeat("a", 255): strings.Repeat("a", 255),
		strings.Repeat("a", 256):       strings.Repeat("a", 255) + "…",
		strings.Repeat("a", 254) + "中": strings.Repeat("a", 254) + "…"} {
		if got := short(id); got != want {
			t.Errorf("%q is shortened to %q", id, got)
		}
	}
}

// The text of a story.
func TestHistoryText(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	e := &store.Entry{Seq: 5, ID: "event", State: guance.StateProblem, Level: guance.LevelError,
		Time: at, Accepted: at}
	pending := statusOf(e)
	e.Seq, e.State, e.Level = 6, guance.StateRecovered, guance.LevelNone
	ended := statusOf(e).ended(store.Dead, "400", at.Add(time.Second))
	h := ProblemHistory{Lane: "lane", Problem: "p\np", Entries: []EntryStatus{pending, ended}}
	const want = "lane lane, problem p p\n" +
		"  5  accepted 2026-01-02T02:04:05Z  problem, error  pending\n" +
		"  6  accepted 2026-01-02T02:04:05Z  recovered  dead 2026-01-02T02:04:06Z: 400\n"
	if got := h.String(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if diff := cmp.Diff(EntryStatus{Seq: 6, EventID: "event", State: guance.StateRecovered,
		Says: "recovered", Time: at, Accepted: at, Outcome: store.Dead, Ended: "dead", Reason: "400",
		At: at.Add(time.Second)}, ended); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// An answer is lost if the error says so. An error that says nothing of it decides by its cause.
func TestAnswerLost(t *testing.T) {
	for name, test := range map[string]struct {
		err       error
		cut, want bool
	}{
		"none": {nil, true, false}, "a plain error": {errors.New("x"), false, false},
		"cut": {errors.New("x"), true, true}, "said": {lostError(true), false, true},
		"denied": {lostError(false), true, false}, "a panic": {&panicError{}, false, true},
		"a timeout": {fmt.Errorf("x: %w", os.ErrDeadlineExceeded), false, true},
		"canceled":  {context.Canceled, false, true}, "deadline": {context.DeadlineExceeded, false, true},
		"EOF": {io.EOF, false, true}, "half": {io.ErrUnexpectedEOF, false, true},
		"reset": {syscall.ECONNRESET, false, true}, "pipe": {syscall.EPIPE, false, true},
		"refused": {syscall.ECONNREFUSED, false, false},
	} {
		if got := answerLost(test.err, test.cut); got != test.want {
			t.Errorf("%s: lost %v", name, got)
		}
	}
	if got := (&panicError{value: "x"}).Error(); got != "the sink panicked: x" {
		t.Error(got)
	}
	r := sinkResult{Result: schedule.Result{Reason: "why", Throttled: true}, remedy: "what"}
	if got := r.failure(7); got != (failure{"why", "what", 7, true}) {
		t.Errorf("%+v", got)
	}
}

type lostError bool

func (e lostError) Error() string    { return "x" }
func (e lostError) AnswerLost() bool { return bool(e) }

// The last hour, and the last fifty ended entries.
func TestRecentFigures(t *testing.T) {
	r := new(recent)
	for i := range 60 {
		r.attempt(start.Add(time.Duration(i) * 10 * time.Second)) // ten minutes
	}
	sum := func() (n int) {
		for _, c := range r.counts {
			n += c
		}
		return n
	}
	if sum() != 60 || r.minute != start.Add(590*time.Second).Unix()/60 {
		t.Errorf("%v", r.counts)
	}
	r.pass(start) // an earlier time changes nothing
	if sum() != 60 || r.minute != start.Add(590*time.Second).Unix()/60 {
		t.Errorf("%v", r.counts)
	}
	r.attempt(start.Add(59 * time.Minute)) // the first minute ends at the hour
	if n := sum(); n != 61 {
		t.Errorf("%d attempts after 59 minutes: %v", n, r.counts)
	}
	r.pass(start.Add(61 * time.Minute))
	if n := sum(); n >= 61 || n < 50 {
		t.Errorf("%d attempts after 61 minutes: %v", n, r.counts)
	}
	r.pass(start.Add(3 * time.Hour))
	if n := sum(); n != 0 {
		t.Errorf("%d attempts after three hours: %v", n, r.counts)
	}
	for i := range uint64(keepRecent + 3) {
		r.end(&store.Entry{Seq: i, Problem: "p"}, &store.Mark{Outcome: store.Dead, Reason: "400",
			At: start})
	}
	if n := len(r.ended); n != 50 || r.ended[0].Seq != 3 || r.ended[49].Seq != 52 ||
		r.ended[0].Problem != "p" || r.ended[0].Reason != "400" || r.ended[0].Ended != "dead" {
		t.Errorf("%d entries, %+v", n, r.ended)
	}
}

// Keys and ids at their bounds.
func TestKeysAtTheBounds(t *testing.T) {
	for _, n := range []int{254, 255, 256} {
		key := strings.Repeat("k", n)
		if got := ProblemKey("", key); (got == key) != (n <= 255) || len(got) > 255 {
			t.Errorf("a key of %d bytes becomes %q", n, got)
		}
		key = strings.Repeat("k", n-len("source:shop:"))
		if got := ProblemKey("shop", key); (got == "source:shop:"+key) != (n <= 255) {
			t.Errorf("a key of %d bytes becomes %q", n, got)
		}
	}
	if got := ProblemKey("", "source:x:y"); got != hashed("source:x:y") ||
		!strings.HasPrefix(got, "sha256:") || len(got) != len("sha256:")+64 {
		t.Errorf("a key with the mark of a source becomes %q", got)
	}
	for problem, want := range map[string]string{"p": "", "source:shop:p": "shop", "source:shop": "shop",
		"": "", "x source:shop:p": ""} {
		if got := sourceOf(problem); got != want {
			t.Errorf("%q is of source %q, want %q", problem, got, want)
		}
	}
	e := guance.Event{EventRef: "ref", Status: "error", SubStatus: "sub"}
	for id, want := range map[string]string{
		"": "", "0": "", "000": "", "00a": "00a/error/sub/ref", "event-1": "event-1/error/sub",
		strings.Repeat("a", 31): strings.Repeat("a", 31) + "/error/sub/ref",
		strings.Repeat("a", 32): strings.Repeat("a", 32) + "/error/sub",
	} {
		e.EventID = id
		if got := EventID("", &e); got != want {
			t.Errorf("id %q: %q, want %q", id, got, want)
		}
		if want != "" {
			want = "source:shop:" + want
		}
		if got := EventID("shop", &e); got != want {
			t.Errorf("id %q of a source: %q, want %q", id, got, want)
		}
	}
	e.EventID = "source:" + strings.Repeat("a", 32)
	if got := EventID("", &e); !strings.HasPrefix(got, "sha256:") {
		t.Errorf("an id with the mark of a source becomes %q", got)
	}
	for name, want := range map[string]bool{"a": true, "": false, "a/b": false,
		strings.Repeat("a", 64): true, strings.Repeat("a", 65): false} {
		if got := validLane(name); got != want {
			t.Errorf("%q is a name of a lane: %v", name, got)
		}
	}
}

// fakeCluster answers what the owner of a lane is asked.
type fakeCluster struct {
	store.Cluster
	asked  command
	answer any
	err    error
}

func (c *fakeCluster) Ask(ctx context.Context, lane string, request []byte) ([]byte, error) {
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 10*time.Second || lane != "lane" {
		return nil, fmt.Errorf("asked for %q until %v", lane, deadline)
	}
	if err := json.Unmarshal(request, &c.asked); err != nil {
		return nil, err
	}
	if text, ok := c.answer.(string); ok {
		return []byte(text), c.err
	}
	text, err := json.Marshal(c.answer)
	return text, errors.Join(c.err, err)
}

// What the owner of a lane answers, and what becomes of it here.
func TestAsk(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		answer any
		err    error
		want   string
		is     error
	}{
		"done":     {answer: answer{}},
		"no owner": {err: store.ErrNotFound, want: "no node owns the lane at the moment; try again"},
		"no answer": {err: broken, is: broken,
			want: "asking the node that owns the lane, which may have done it: broken"},
		"not JSON": {answer: "{", want: "the answer of the node that owns the lane cannot be " +
			"read: unexpected end of JSON input"},
		"an error": {answer: answer{Error: "no"}, want: "on the node that owns the lane: no"},
		"stale": {answer: answer{Error: "no", Kind: "stale"}, is: ErrStale,
			want: ErrStale.Error() + ": on the node that owns the lane: no"},
		"another version's": {answer: answer{Error: "no", Kind: "odd"},
			want: "on the node that owns the lane: no"},
	} {
		c := &fakeCluster{answer: test.answer, err: test.err}
		r := &Relay{cluster: c}
		sent := command{Do: doPause, Seq: 5, Problem: "p", By: "ann", For: time.Minute,
			Waiting: &WaitingOptions{Limit: 3}}
		_, err := r.ask(t.Context(), "lane", sent)
		if (err == nil) != (test.want == "") || err != nil && err.Error() != test.want ||
			test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
		if diff := cmp.Diff(sent, c.asked); diff != "" {
			t.Errorf("%s: asked (-want +got)\n%s", name, diff)
		}
	}
	var kinds []string
	for kind, err := range errorKinds {
		kinds = append(kinds, kind)
		c := &fakeCluster{answer: answer{Error: "no", Kind: kind}}
		if _, got := (&Relay{cluster: c}).ask(t.Context(), "lane", command{}); !errors.Is(got, err) {
			t.Errorf("%s: %v", kind, got)
		}
	}
	slices.Sort(kinds)
	if want := []string{"damaged", "in flight", "no lane", "not found", "stale"}; !slices.Equal(kinds,
		want) {
		t.Errorf("kinds %q, want %q", kinds, want)
	}
}

// What this node answers to what it cannot do.
func TestAnswer(t *testing.T) {
	r, err := New(stillStore{}, &Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]answer{
		`{"do":"fly"}`:                   {Error: `this version does not know how to "fly"`},
		"{":                              {Error: "unexpected end of JSON input"},
		`{"do":"explain","problem":"p"}`: {Error: ErrNoLane.Error(), Kind: "no lane"},
	} {
		got := r.answer(t.Context(), &store.Request{Lane: "lane", Body: []byte(body)}, nil)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", body, diff)
		}
	}
	for _, do := range []string{doReplay, doDrop, doKill, doPause, doResume, doSendNow, doWaiting} {
		body := fmt.Sprintf(`{"do":%q,"for":60000000000}`, do)
		got := r.answer(t.Context(), &store.Request{Lane: "lane", Body: []byte(body)}, nil)
		if got.Kind != "no lane" || !strings.Contains(got.Error, "lane") {
			t.Errorf("%s: %+v", do, got)
		}
	}
}

// The figures of a lane on standby are its owner's, where they are known.
func TestOwnersFigures(t *testing.T) {
	r := &Relay{}
	mine := LaneStats{Name: "lane", State: Standby, Ignored: 5, Dead: 1, Backlog: 3}
	if got := r.ownersFigures(mine); got.Backlog != 3 || got.Owner != "" {
		t.Errorf("%+v", got)
	}
	owners := map[string]store.Owner{"lane": {Node: "b", Figures: []byte(`{"name":"old","owner":"x",` +
		`"state":"sending","until":"2026-01-01T00:00:00Z","ignored":2,"dead":7,"backlog":9}`)}}
	r.owners.Store(&owners)
	want := LaneStats{Name: "lane", Owner: "b", State: Standby, Ignored: 5, Dead: 7, Backlog: 9}
	if diff := cmp.Diff(want, r.ownersFigures(mine)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	mine.Name = "other"
	if got := r.ownersFigures(mine); got.Backlog != 3 {
		t.Errorf("%+v", got)
	}
}

// One line a minute says that events do not get through, with what to do about it.
func TestFailureLines(t *testing.T) {
	var log bytes.Buffer
	l := testLane(t, schedule.Policy{})
	l.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
	line := func(now time.Time, next time.Time, want string) {
		t.Helper()
		log.Reset()
		if got := l.logFailures(now); !got.Equal(next) {
			t.Errorf("called again at %v, want %v", got, next)
		}
		if got := strings.TrimSpace(log.String()); got != want {
			t.Errorf("logged\n%s\nwant\n%s", got, want)
		}
	}
	fail := func(remedy string) {
		tk, _ := l.schedule.Next(start.Add(time.Hour))
		r := sinkResult{Result: schedule.Result{Reason: "503"}, remedy: remedy}
		l.failures.add(l.log, &attempt{entry: &store.Entry{Seq: tk.Seq()}, result: r}, start)
		l.schedule.Answered(tk, r.Result, start)
		if l.schedule.IsStuck(tk) {
			l.failures.stuck = r.failure(tk.Seq())
		}
	}
	line(start, time.Time{}, "")
	l.give(1, "p", guance.StateProblem, store.Record{})
	fail("")
	line(start, time.Time{}, `level=WARN msg="relay: the target did not take an event; it is kept and `+
		`tried again" attempts=1 seq=1 throttled=false since=2023-11-14T23:13:20.000Z reason=503`)
	line(start.Add(time.Second), time.Time{}, "")
	fail("ask")
	line(start.Add(time.Minute-1), start.Add(time.Minute), "")
	line(start.Add(time.Minute), time.Time{}, `level=ERROR msg="relay: the target did not take an event; `+
		`it is kept and tried again" attempts=1 seq=1 throttled=false since=2023-11-14T23:13:20.000Z `+
		`reason=503 remedy=ask`)
	fail("ask")
	again := start.Add(3 * time.Minute)
	line(start.Add(2*time.Minute), again, `level=ERROR msg="relay: events do not get through; they are `+
		`kept and tried again" attempts=1 stuck=1 oldest=2023-11-14T23:13:20.000Z `+
		`since=2023-11-14T23:13:20.000Z reason=503 remedy=ask`)
	log.Reset()
	l.failures.over(l.log, l.clock.shown)
	if got := strings.TrimSpace(log.String()); got !=
		`level=INFO msg="relay: the target takes events again" since=2023-11-14T23:13:20.000Z` {
		t.Error(got)
	}
	log.Reset()
	l.failures.over(l.log, l.clock.shown)
	if log.Len() > 0 || l.failures.last.reason != "" {
		t.Errorf("said twice: %s", &log)
	}
	line(again, again.Add(time.Minute), `level=ERROR msg="relay: events do not get through; they are kept `+
		`and tried again" attempts=0 stuck=1 oldest=2023-11-14T23:13:20.000Z reason=503 remedy=ask`)
}

// A set with one account renewed is the same but for the lanes of that account.
func TestRenewedSet(t *testing.T) {
	r, err := New(stillStore{}, &Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var configs []*laneConfig
	for _, name := range []string{"a", "b", "rest"} {
		c, err := r.newConfig(name, SinkFunc(nil), &SinkOptions{Fallback: name == "rest"})
		if err != nil {
			t.Fatal(err)
		}
		configs = append(configs, c)
	}
	bare, err := r.newLaneWithoutSink("bare", nil)
	if err != nil {
		t.Fatal(err)
	}
	set, gone, err := new(laneSet).next(append(configs, bare))
	if err != nil || len(gone) != 0 {
		t.Fatalf("%d accounts are gone, %v", len(gone), err)
	}
	if want := []string{"a", "b", "rest"}; !slices.Equal(set.served, want) {
		t.Errorf("served %q, want %q", set.served, want)
	}
	names := func(s *laneSet) (all []string) {
		for _, l := range s.all {
			all = append(all, l.name)
		}
		return all
	}
	for i, name := range []string{"a", "b", "rest", "bare"} {
		next, renewed := set.renew(set.accounts[i])
		if !slices.Equal(names(next), names(set)) || !slices.Equal(next.served, set.served) ||
			len(next.accounts) != 4 || next.accounts[i] != renewed || renewed == set.accounts[i] ||
			next.fallback == nil || next.fallback.name != "rest" {
			t.Errorf("%s renewed: %q, served %q, %d accounts", name, names(next), next.served,
				len(next.accounts))
		}
		for j, l := range next.all {
			same := l == set.all[j]
			if same == (j == i) || next.lane(l.name) != l || (l.name == "rest") != (l == next.fallback) {
				t.Errorf("%s renewed: lane %s is the same: %v", name, l.name, same)
			}
		}
	}
	if got := set.names(); !slices.Equal(got, []string{"a", "b", "bare", "rest"}) {
		t.Errorf("names %q", got)
	}
	_, gone, err = set.next(configs[1:])
	if err != nil || len(gone) != 2 || gone[0] != set.accounts[0] || gone[1] != set.accounts[3] {
		t.Errorf("%d accounts are gone, %v", len(gone), err)
	}
	if _, _, err = set.next(append(configs, configs[0])); err == nil ||
		err.Error() != "relay: two lanes named a" {
		t.Error(err)
	}
	second, err := r.newConfig("second", SinkFunc(nil), &SinkOptions{Fallback: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = set.next(append(configs, second)); err == nil ||
		err.Error() != `relay: lanes "rest" and "second" are both the fallback` {
		t.Error(err)
	}
}

// The wall clock that is shown, and the store's clock that decides.
func TestShownTimes(t *testing.T) {
	c := testLane(t, schedule.Policy{}).clock
	if !c.now().Equal(start) || c.ahead() != time.Hour ||
		!c.shown(start).Equal(start.Add(time.Hour)) || !c.shown(time.Time{}).IsZero() {
		t.Errorf("now %v, ahead %v", c.now(), c.ahead())
	}
}

// What a forecast is told: the latest of what the lane waits for, and its share of the budget.
func TestConditionsOfAForecast(t *testing.T) {
	l := testLane(t, schedule.Policy{})
	other := testLane(t, schedule.Policy{})
	l.account.lanes = []*lane{l, other}
	l.inFlight, l.took = 1, 3*time.Second
	expect := func(what string, from time.Time, share float64, single bool) {
		t.Helper()
		c := l.conditions(start)
		full := 56.0 / 61 / share // 56 requests in 61 seconds
		near := func(a, b float64) bool { return a > 0.999*b && a < 1.001*b }
		if !c.Now.Equal(start) || !c.From.Equal(from) || c.Single != single || c.InFlight != 1 ||
			c.Took != 3*time.Second || c.Limit != 2 || !near(c.Budget.Full, full) ||
			!near(c.Budget.Rate, full) || !near(c.Budget.Step, full/10) ||
			!near(c.Budget.Tokens, c.Budget.Burst) || c.Budget.Every != time.Minute {
			t.Errorf("%s: %+v", what, c)
		}
	}
	expect("nothing", time.Time{}, 1, false)
	other.stats.Store(&LaneStats{Backlog: 1})
	expect("two lanes with a backlog", time.Time{}, 2, false)
	l.account.budget.until = start
	expect("a pause that is over", time.Time{}, 2, false)
	l.account.budget.until, l.account.budget.probing = start.Add(time.Second), true
	expect("a pause", start.Add(time.Second), 2, true)
	l.hold = pausedUntil(start.Add(time.Second / 2))
	expect("held for less", start.Add(time.Second), 2, true)
	l.hold = pausedUntil(start.Add(2 * time.Second))
	expect("held", start.Add(2*time.Second), 2, true)
	l.ready = start.Add(3 * time.Second)
	expect("nothing is unread", start.Add(2*time.Second), 2, true)
	l.unread = 1
	expect("reading", start.Add(3*time.Second), 2, true)
	l.ready = start.Add(time.Second)
	expect("reading for less", start.Add(2*time.Second), 2, true)
	l.hold, l.account.budget.until, l.ready = pausedUntil(start), start, start
	expect("all of it is over", time.Time{}, 2, true)
}

// Marks that are not written yet count for what was read, those of the batch first.
func TestSupersededMarks(t *testing.T) {
	mark := func(seq uint64) store.Mark {
		return store.Mark{Seq: seq, Problem: "p", Outcome: store.Superseded}
	}
	s := supersededMarks{}
	if s.writing() || s.full() {
		t.Error("nothing waits")
	}
	s.batch, s.waiting = []store.Mark{mark(1)}, []store.Mark{mark(2)}
	records := map[string]store.Record{"p": {}}
	want := store.Record{}.Apply(mark(1)).Apply(mark(2))
	if s.apply(records); records["p"] != want || len(records) != 1 || !s.writing() {
		t.Errorf("%+v, want %+v", records, want)
	}
	s.waiting = make([]store.Mark, readAhead-1)
	if s.full() {
		t.Error("there is room")
	}
	if s.waiting = make([]store.Mark, readAhead); !s.full() {
		t.Error("there is no room")
	}
}

// Why something was stuck is forgotten with the last entry that is.
func TestStuckIsForgotten(t *testing.T) {
	l := testLane(t, schedule.Policy{})
	l.failures.stuck = failure{reason: "503"}
	if n, oldest, why := l.stuck(); n != 0 || !oldest.IsZero() || why != (failure{}) ||
		l.failures.stuck != (failure{}) {
		t.Errorf("%d entries since %v: %+v", n, oldest, why)
	}
}
