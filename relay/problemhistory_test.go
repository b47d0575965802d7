package relay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/store"
)

// explain returns the history of p, each entry as "event; outcome; reason".
func explain(t *testing.T, r *relay.Relay) []string {
	t.Helper()
	histories, err := r.Explain(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	if len(histories) != 1 || histories[0].Lane != "lane" || histories[0].Problem != "p" {
		t.Fatalf("got %+v, want the history of one lane", histories)
	}
	var lines []string
	for _, e := range histories[0].Entries {
		lines = append(lines, e.Says+"; "+e.Ended+"; "+e.Reason)
		if !strings.Contains(histories[0].String(), e.Ended) {
			t.Errorf("the text lacks %q:\n%s", e.Ended, histories[0])
		}
	}
	return lines
}

func wantHistory(t *testing.T, r *relay.Relay, want ...string) {
	t.Helper()
	got := explain(t, r)
	if len(got) != len(want) {
		t.Fatalf("the history is %q, want %q", got, want)
	}
	for i := range got {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("entry %d is %q, want %q", i+1, got[i], want[i])
		}
	}
}

func TestExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := make(chan error)
		sink := &recorder{answer: func(ctx context.Context, d *relay.Delivery) error {
			if d.Problem != "p" {
				return nil
			}
			select {
			case err := <-answers:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		r, _ := run(t, sink, nil)
		if histories, err := r.Explain(t.Context(), "p"); err != nil || len(histories) != 0 {
			t.Errorf("an unknown problem: %+v, %v; want no history", histories, err)
		}
		accept(t, r, event(t, "1", "p", "error"))
		synctest.Wait()
		wantHistory(t, r, "problem, error; pending; waits for its turn")
		time.Sleep(time.Second)
		accept(t, r, event(t, "2", "p", "critical"), event(t, "3", "p", "ok"))
		synctest.Wait()
		wantHistory(t, r, "problem, error; pending; in flight", "problem, critical; superseded; entry 3 ",
			"recovered; pending; waits for entry 1")
		answers <- errors.New("503")
		synctest.Wait()
		wantHistory(t, r, "problem, error; pending; tried before", "problem, critical; superseded",
			"recovered; pending; waits for entry 1")
		answers <- relay.RetryAfter(errors.New("429"), time.Minute)
		synctest.Wait()
		wantHistory(t, r, "problem, error; pending; the target asked", "problem, critical; superseded",
			"recovered; pending; waits")
		answers <- nil
		answers <- relay.Permanent(errors.New("400"))
		synctest.Wait()
		wantHistory(t, r, "problem, error; delivered", "problem, critical; superseded",
			"recovered; dead; 400")
		time.Sleep(time.Second)
		if err := r.Replay(t.Context(), "lane", 3); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantHistory(t, r, "problem, error; delivered", "problem, critical; superseded",
			"recovered; dead; 400", "recovered; pending")
		answers <- nil
		synctest.Wait()
		wantHistory(t, r, "problem, error; delivered", "problem, critical; superseded",
			"recovered; dead; 400", "recovered; delivered")
	})
}

// The text of a history has a line for each entry and no other, whatever the target and the sender
// wrote.
func TestHistoryTextHasNoForgedLines(t *testing.T) {
	for _, forged := range []string{
		"x\n  2  accepted 2026-11-27T00:00:00Z  recovered  delivered", "x\r  2  accepted",
		"x\x1b[2K\x1b[1A", "x\u0085 2 accepted", "x\u2028 2", "x\u2029 2",
		"x\u202e detpecca 2", "x\u2067 2", "x\u200f 2", "x\u061c 2", "x" + strings.Repeat(" ", 200) +
			"2  accepted", "x" + strings.Repeat("\u3000", 100) + "2",
		"x" + strings.Repeat("\u2800", 100) + "2", "x" + strings.Repeat("\u3164", 100) + "2",
		"x" + strings.Repeat("\u115f", 100) + "2", "x" + strings.Repeat("\u1160", 100) + "2", "x" +
			strings.Repeat("\uffa0", 100) + "2", "x\v2\f3\t4", "x\xff\xfe\x9b2J", "x\u200b2\ufeff",
		"x\x002\x7f\b\b",
	} {
		history := relay.ProblemHistory{Lane: "lane " + forged, Problem: "key " + forged,
			Entries: []relay.EntryStatus{
				{Seq: 1, Says: "problem, critical", Ended: "dead", Outcome: store.Dead,
					Reason: "磁盘告警 é " + forged},
			}}
		text := history.String()
		if n := strings.Count(text, "\n"); n != 2 {
			t.Errorf("%q has %d lines, want two:\n%q", forged, n, text)
		}
		if !strings.Contains(text, "磁盘告警 é x") {
			t.Errorf("what can be printed is lost: %q", text)
		}
		for line := range strings.Lines(text) {
			line = strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "  ")
			for _, r := range line {
				if !unicode.IsPrint(r) || strings.ContainsRune("\u2800\u3164\u115f\u1160\uffa0", r) {
					t.Errorf("%q leaves %U in %q", forged, r, line)
				}
			}
			if strings.Contains(line, "   ") {
				t.Errorf("%q leaves a run of spaces: %q", forged, line)
			}
		}
	}
}

// While the target is down, a new problem has not failed. What it waits for is the next probe.
func TestExplainWhileTheTargetIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{answer: func(context.Context, *relay.Delivery) error {
			return errors.New("connection refused")
		}}
		r, _ := run(t, sink, nil)
		time.Sleep(time.Minute)
		for i := range 6 {
			accept(t, r, event(t, fmt.Sprint(i), fmt.Sprint("problem ", i), "critical"))
		}
		time.Sleep(10 * time.Second)
		if s := r.Stats().Lanes[0]; s.State != relay.Probing {
			t.Fatalf("the lane is %s, want it to probe", s.State)
		}
		before := time.Now()
		accept(t, r, event(t, "new", "p", "warning")) // the others are worse and are probed first
		synctest.Wait()
		wantHistory(t, r, "problem, warning; pending; the target is down")
		histories, err := r.Explain(t.Context(), "p")
		if err != nil {
			t.Fatal(err)
		}
		e := histories[0].Entries[0]
		if !e.At.After(time.Now()) || e.At.After(time.Now().Add(15*time.Second)) {
			t.Errorf("it may be sent at %v, want within 15 s of %v", e.At, time.Now())
		}
		if !e.Accepted.Equal(before) {
			t.Errorf("it was accepted at %v, want %v", e.Accepted, before)
		}
	})
}
