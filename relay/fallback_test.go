package relay_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
)

// The fallback takes what no other lane took, and that is all.
func TestFallback(t *testing.T) {
	mine := &relay.SinkOptions{Match: func(e *guance.Event) bool { return e.ProblemKey() == "mine" }}
	fallback := &relay.SinkOptions{Fallback: true}
	synctest.Test(t, func(t *testing.T) {
		r, _ := logged(t, relay.Options{})
		r.Handle("before", &ignoring{ignores: func(e *guance.Event) string {
			if e.State() == guance.StateRecovered {
				return "a recovery"
			}
			return ""
		}}, mine)
		r.Handle("fallback", &recorder{}, fallback)
		r.Handle("after", &recorder{}, &relay.SinkOptions{Match: func(e *guance.Event) bool {
			return strings.HasPrefix(e.ProblemKey(), "after")
		}})
		for _, step := range []struct{ id, problem, status, want string }{
			{"1", "mine", "critical", " map[before:accepted]"},
			{"1", "mine", "critical", "duplicate map[]"},
			{"2", "mine", "ok", " map[before:ignored]"},
			{"3", "after", "critical", " map[after:accepted]"},
			{"4", "other", "critical", " map[fallback:accepted]"},
			{"4", "other", "critical", "duplicate map[]"},
		} {
			got := accept(t, r, event(t, step.id, step.problem, step.status))[0]
			if fmt.Sprint(got.Fate, " ", got.Lanes) != step.want {
				t.Errorf("%+v: got %+v", step, got)
			}
		}
	})
}

// A receipt says that no lane took the event.
func TestUnroutedReceipt(t *testing.T) {
	r, _ := logged(t, relay.Options{})
	r.Handle("mine", &recorder{}, &relay.SinkOptions{Match: relay.MatchTag("service", "mine")})
	got := accept(t, r, event(t, "1", "p", "critical"))[0]
	if got.Fate != "unrouted" || len(got.Lanes) != 0 {
		t.Errorf("got %+v, want it unrouted", got)
	}
}

func TestHandleRefusesFallbacks(t *testing.T) {
	match := relay.MatchLabel("x")
	for want, second := range map[string]*relay.SinkOptions{
		`"first" and "second" are both the fallback`: {Fallback: true},
		"remove Match of lane second":                {Fallback: true, Match: match},
	} {
		r, _ := logged(t, relay.Options{})
		if !strings.Contains(want, "Match") {
			r.Handle("first", &recorder{}, &relay.SinkOptions{Fallback: true})
		}
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.Contains(p, want) {
					t.Errorf("Handle panics with %q, want %q", p, want)
				}
			}()
			r.Handle("second", &recorder{}, second)
		}()
	}
}
