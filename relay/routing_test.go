package relay_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

// "Critical and worse page, the rest goes to chat", in any order of levels. Each row is a sequence
// of statuses of one problem, and what each lane sends. With quickly the events come faster than
// anything is sent.
func TestMatchOnLevel(t *testing.T) {
	tests := map[string]struct {
		quickly     bool
		statuses    string
		pager, chat string
	}{
		"a page":                 {false, "critical ok", "critical ok", ""},
		"a chat message":         {false, "warning ok", "", "warning ok"},
		"escalation":             {false, "warning critical ok", "critical ok", "warning critical ok"},
		"de-escalation":          {false, "critical warning ok", "critical warning ok", ""},
		"a page that repeats":    {false, "critical critical ok", "critical critical ok", ""},
		"a message that repeats": {false, "warning warning ok", "", "warning warning ok"},
		"only the page repeats": {false, "warning critical critical ok", "critical critical ok",
			"warning critical ok"},
		"up and down": {false, "warning critical warning critical ok",
			"critical warning critical ok", "warning critical warning critical ok"},
		"down twice": {false, "critical error warning ok", "critical error warning ok", ""},
		"again at a lower level": {false, "critical ok warning ok", "critical ok",
			"warning ok"},
		"no data": {false, "critical nodata ok", "critical nodata ok", ""},
		// Nothing of the problem was begun in the lane of the page: what waits there is cancelled,
		// and the chat has the problem.
		"de-escalation before the page is sent": {true, "critical warning", "", "warning"},
		"a page that ends before it is sent":    {true, "critical ok", "", "ok"},
		"escalation before anything is sent":    {true, "warning critical", "critical", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, _ := logged(t, relay.Options{})
				pager, chat := &recorder{}, &recorder{}
				r.Handle("pager", pager, &relay.SinkOptions{Match: relay.AtLeast(guance.LevelCritical)})
				r.Handle("chat", chat, &relay.SinkOptions{Fallback: true})
				if !test.quickly {
					defer running(t, r)()
				}
				for i, status := range strings.Fields(test.statuses) {
					accept(t, r, event(t, fmt.Sprint(i), "p", status))
					if !test.quickly {
						time.Sleep(time.Minute)
					}
				}
				if test.quickly {
					defer running(t, r)()
					time.Sleep(5 * time.Minute)
				}
				for sink, want := range map[*recorder]string{pager: test.pager, chat: test.chat} {
					got := strings.ReplaceAll(strings.Join(sink.taken(), " "), "p ", "")
					if got != want {
						t.Errorf("%s: got %q, want %q (pager: %v)", test.statuses, got, want, sink == pager)
					}
				}
			})
		})
	}
}

// A duplicate reaches no lane that its first copy did not, whatever Match says by now.
func TestDuplicateReachesNoOtherLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := logged(t, relay.Options{})
		first, second := &recorder{}, &recorder{}
		late := false
		r.Handle("first", first, &relay.SinkOptions{Match: func(*guance.Event) bool { return !late }})
		r.Handle("second", second, &relay.SinkOptions{Match: func(*guance.Event) bool { return late }})
		defer running(t, r)()
		accept(t, r, event(t, "1", "p", "critical"))
		late = true
		if got := accept(t, r, event(t, "1", "p", "critical"))[0]; got.Fate != "duplicate" {
			t.Errorf("got %+v, want a duplicate", got)
		}
		time.Sleep(time.Minute)
		expect(t, first, "p critical")
		expect(t, second)
	})
}

// What a lane got because it has the problem is named in the receipt.
func TestStickyReceipt(t *testing.T) {
	r, _ := logged(t, relay.Options{})
	r.Handle("pager", &recorder{}, &relay.SinkOptions{Match: relay.AtLeast(guance.LevelCritical)})
	accept(t, r, event(t, "1", "p", "critical"))
	for _, step := range []struct{ problem, want string }{
		{"p", " map[pager:sticky]"}, {"q", "unrouted map[]"},
	} {
		got := accept(t, r, event(t, "2"+step.problem, step.problem, "ok"))[0]
		if fmt.Sprint(got.Fate, " ", got.Lanes) != step.want {
			t.Errorf("the recovery of %s: got %+v, want %s", step.problem, got, step.want)
		}
	}
}

// A sink is asked what it ignores for each event that its lane wants or has the problem of, and for
// no other.
func TestIgnoresOfStickyEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		r := over(t, db)
		var asked []string
		sink := &ignoring{ignores: func(e *guance.Event) string {
			asked = append(asked, e.ProblemKey()+" "+string(e.Status))
			if e.State() == guance.StateRecovered {
				return "a person closes it"
			}
			return ""
		}}
		r.Handle("pager", sink, &relay.SinkOptions{
			Match: relay.AtLeast(guance.LevelCritical), PerMinute: 1,
		})
		defer running(t, r)()
		accept(t, r, event(t, "1", "p", "critical"))
		accept(t, r, event(t, "2", "p", "ok")) // before anything is sent: it must not cancel that
		accept(t, r, event(t, "3", "q", "ok"))
		time.Sleep(5 * time.Minute)
		expect(t, &sink.recorder, "p critical")
		if want := []string{"p critical", "p ok"}; !slices.Equal(asked, want) {
			t.Errorf("the sink was asked of %q, want %q", asked, want)
		}
		ended := db.Settled("pager")
		if len(ended) != 2 || ended[0].Reason != "a person closes it" || !ended[0].Sticky {
			t.Errorf("the lane has the outcomes %+v", ended)
		}
		if got := r.Stats().Lanes[0]; got.Ignored != 1 || got.Superseded != 0 || got.Delivered != 1 {
			t.Errorf("figures %+v", got)
		}
	})
}

// Options.Route names the lanes of an event. It is called once for an event.
func TestRoute(t *testing.T) {
	calls := 0
	r, log := logged(t, relay.Options{Route: func(source string, e *guance.Event) []string {
		calls++
		switch e.ProblemKey() {
		case "panic":
			panic("a bug in Route")
		case "nobody":
			return []string{"nobody"}
		case "none":
			return nil
		case "of a":
			return []string{source}
		}
		return strings.Split(e.ProblemKey(), "+")
	}})
	r.Handle("a", &recorder{}, nil)
	r.Handle("b", &recorder{}, nil)
	r.Handle("matching", &recorder{}, &relay.SinkOptions{Match: func(e *guance.Event) bool {
		return strings.HasPrefix(e.ProblemKey(), "b")
	}})
	r.Handle("rest", &recorder{}, &relay.SinkOptions{Fallback: true})
	for problem, want := range map[string]string{
		"a": "map[a:accepted]", "a+b": "map[a:accepted b:accepted]",
		"b": "map[b:accepted matching:accepted]", "a+a": "map[a:accepted]",
		"nobody": "map[rest:accepted]", "none": "map[rest:accepted]",
		"a+rest": "map[a:accepted rest:accepted]", "panic": "map[a:accepted b:accepted]",
	} {
		before := calls
		got := accept(t, r, event(t, problem, problem, "critical"))[0]
		if fmt.Sprint(got.Lanes) != want || calls != before+1 {
			t.Errorf("%s: got %v with %d calls of Route, want %s with one", problem, got.Lanes,
				calls-before, want)
		}
	}
	receipts, err := r.AcceptFrom(t.Context(), "a", event(t, "of a", "of a", "critical"))
	if err != nil || fmt.Sprint(receipts[0].Lanes) != "map[a:accepted]" {
		t.Errorf("of the source a: %v, %v; Route must know the source", receipts, err)
	}
	for _, line := range []string{"Route names a lane that does not exist", "lane=nobody",
		"Route panicked"} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("the log does not say %q:\n%s", line, log)
		}
	}
}

// A lane that is full keeps its events as dead letters. The other lanes are not affected, and the
// log says what to do.
func TestFullLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		db.LimitLane(2)
		var log strings.Builder
		r, err := relay.New(db, &relay.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ok := &recorder{}
		r.Handle("stuck", relay.SinkFunc(nil), nil)
		r.Handle("ok", ok, nil)
		stop := running(t, r)
		var got []string
		for i := range 4 {
			receipt := accept(t, r, event(t, fmt.Sprint(i), fmt.Sprint("p", i), "critical"))[0]
			got = append(got, receipt.Lanes["stuck"]+" "+receipt.Lanes["ok"])
			time.Sleep(time.Minute)
		}
		stop()
		want := []string{"accepted accepted", "accepted accepted", "dead accepted", "dead accepted"}
		if !slices.Equal(got, want) {
			t.Errorf("receipts: got %q, want %q", got, want)
		}
		if len(ok.taken()) != 4 {
			t.Errorf("the other lane sent %q", ok.taken())
		}
		dead, err := r.DeadLetters(t.Context(), "stuck", 0, 10)
		if err != nil || len(dead) != 2 || dead[0].Reason != "lane full" {
			t.Errorf("dead letters %+v, %v", dead, err)
		}
		if got := r.Stats().Lanes[0]; got.Dead != 2 || got.Backlog != 2 {
			t.Errorf("figures %+v", got)
		}
		if !strings.Contains(log.String(), "as many pending entries as one lane may") {
			t.Errorf("the log does not say that the lane is full:\n%s", log.String())
		}
	})
}

// A sticky entry can end all of its problem that the lane has in memory. What comes behind it in
// the same batch must still find what the target shows.
func TestStickyEndsAllOfProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{}
		opts := &relay.SinkOptions{Match: relay.AtLeast(guance.LevelCritical), PerMinute: 1}
		r, _ := run(t, sink, opts)
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(5 * time.Minute)
		accept(t, r, event(t, "2", "p", "warning"))
		time.Sleep(5 * time.Minute)
		accept(t, r, event(t, "3", "q", "critical")) // takes the one request of this minute
		time.Sleep(time.Second)
		accept(t, r, event(t, "4", "p", "critical")) // waits
		time.Sleep(time.Second)
		accept(t, r, event(t, "5", "p", "warning"), event(t, "6", "p", "ok"))
		time.Sleep(10 * time.Minute)
		expect(t, sink, "p critical", "p warning", "q critical", "p ok")
	})
}

// Report 35: the bodies of an Issue or Incident carry no tags. They go where the problem is, and
// not to the lane for the rest, also if nothing of the problem was sent yet.
func TestReport35IssuesGoWhereTheProblemIs(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Minute} {
		t.Run(fmt.Sprint("after ", wait), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, _ := logged(t, relay.Options{})
				mine, rest := &recorder{}, &recorder{}
				r.Handle("mine", mine, &relay.SinkOptions{
					Match: relay.MatchTag("service", "pay"), PerMinute: 2,
				})
				r.Handle("rest", rest, &relay.SinkOptions{Fallback: true})
				defer running(t, r)()
				problem := &guancetest.Problem{Monitor: "m", Tags: map[string]string{"service": "pay"}}
				accept(t, r, problem.Fault(guance.LevelCritical))
				time.Sleep(wait)
				for _, status := range []string{"open", "closed"} {
					got := accept(t, r, problem.Incident(status))[0]
					if fmt.Sprint(got.Lanes) != "map[mine:sticky]" {
						t.Errorf("%s: got %+v", status, got)
					}
					time.Sleep(wait)
				}
				time.Sleep(10 * time.Minute)
				expect(t, rest)
				if got := len(mine.taken()); wait == 0 && got != 0 || wait > 0 && got != 3 {
					t.Errorf("the lane sent %q", mine.taken())
				}
			})
		})
	}
}

// An Issue that comes before the page of its problem is sent does not take the page away.
func TestIssueDoesNotCancelPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := logged(t, relay.Options{})
		mine := &recorder{}
		r.Handle("mine", mine, &relay.SinkOptions{Match: relay.MatchTag("service", "pay")})
		problem := &guancetest.Problem{Monitor: "m", Tags: map[string]string{"service": "pay"}}
		accept(t, r, problem.Fault(guance.LevelError), problem.Incident("open"))
		defer running(t, r)()
		time.Sleep(time.Minute)
		if got := mine.taken(); len(got) != 1 {
			t.Errorf("the lane sent %q, want the problem once", got)
		}
	})
}

// What is dead because the lane is full does not make late what is pending: after a restart it is
// sent.
func TestFullLaneAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		db.LimitLane(1)
		problem := guancetest.NewProblem("a monitor")
		first, repeat := problem.Fault(guance.LevelCritical), problem.Fault(guance.LevelCritical)
		accept(t, laneOver(t, db, &recorder{}), first, repeat)
		sink := &recorder{}
		defer running(t, laneOver(t, db, sink))()
		time.Sleep(time.Minute)
		if got := sink.taken(); len(got) != 1 {
			t.Errorf("sent %q, want the first event", got)
		}
	})
}
