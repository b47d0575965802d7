package boltstore_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// If the clock is set a month ahead before a start, the store was closed for a month as far as it
// knows.
func TestReport08TimeThatTheStoreWasClosedErasesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir, nil)
		l := acquire(t, s)
		dead := entry("dead", "dead")
		add(t, s, dead)
		settle(t, l, store.Dead, time.Now(), dead)
		show(t, s, l, "closed", true)
		show(t, s, l, "open", false)
		time.Sleep(23 * time.Hour)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(40 * 24 * time.Hour)
		s = open(t, dir, nil)
		l = acquire(t, s)
		ticks(t, s, 100)
		if got := deadLetters(t, s); len(got) != 1 {
			t.Errorf("closed for 40 days: got the dead letters %v, want entry 1", got)
		}
		if !has(t, l, "closed") || !has(t, l, "open") {
			t.Errorf("closed for 40 days: there are records: closed %v, open %v; want both",
				has(t, l, "closed"), has(t, l, "open"))
		}
		// One hour more completes the day.
		time.Sleep(time.Hour + 2*time.Second)
		ticks(t, s, 100)
		if has(t, l, "closed") {
			t.Error("open for 24 hours in all: the closed record is still there")
		}
	})
}

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir, nil)
		start := s.Clock()
		if start != 1 {
			t.Errorf("a new store's clock is %v, want 1ns", start)
		}
		time.Sleep(time.Hour)
		add(t, s, entry("a", "p"))
		found, err := acquire(t, s).Read(t.Context(), 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		e := found[0]
		if e.Kept != start+time.Hour {
			t.Errorf("an entry of an hour later was kept at %v", e.Kept)
		}
		// After a crash, time that was not committed is not counted, and no entry is in the future.
		time.Sleep(time.Minute)
		data, err := os.ReadFile(filepath.Join(dir, "relay.db"))
		if err != nil {
			t.Fatal(err)
		}
		crashed := open(t, storeWith(t, data), nil)
		if got := crashed.Clock(); got != e.Kept {
			t.Errorf("after a crash the clock is %v, want %v, that of the last commit", got, e.Kept)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		s = open(t, dir, nil)
		if got, want := s.Clock(), start+time.Hour+time.Minute; got != want {
			t.Errorf("after a close the clock is %v, want %v", got, want)
		}
	})
}

// A store that is opened and closed at once writes nothing.
func TestCloseSavesTheClockOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, wait := range []time.Duration{0, time.Minute} {
			s, err := boltstore.Open(t.TempDir(), nil)
			if err != nil {
				t.Fatal(err)
			}
			commits := s.CountCommits()
			time.Sleep(wait)
			for range 2 {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if n := commits(); (n == 1) != (wait > 0) || n > 1 {
				t.Errorf("closed after %v: %d commits", wait, n)
			}
		}
	})
}

// Close returns an error if the time since the last commit was not saved, or the file not closed.
func TestCloseSaysWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir(), nil)
		time.Sleep(time.Minute)
		s.FailNext(syscall.EIO, false)
		if err := s.Close(); !errors.Is(err, syscall.EIO) {
			t.Errorf("the time could not be saved: Close got %v, want EIO", err)
		}
		dir := t.TempDir()
		s = open(t, dir, nil)
		s.CloseFile(t)
		if err := s.Close(); err == nil || !strings.Contains(err.Error(),
			filepath.Join(dir, "relay.db")) {
			t.Errorf("the file was closed before: Close got %v, want an error that names it", err)
		}
	})
}
