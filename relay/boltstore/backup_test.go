package boltstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A stalled writer takes nothing until it may.
type stalled struct {
	buf        bytes.Buffer
	asked, may chan struct{}
	once       sync.Once
}

func (w *stalled) Write(b []byte) (int, error) {
	w.once.Do(func() { close(w.asked) })
	<-w.may
	return w.buf.Write(b)
}

// Under load, a backup has everything that was accepted before it. Whoever reads it slowly holds up
// nobody: no read transaction is open meanwhile.
func TestBackupUnderLoad(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	const callers = 8
	var accepted [callers]atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				e := entry(fmt.Sprint(i, "-", n), fmt.Sprint("problem-", i))
				e.Body = bytes.Repeat([]byte{'x'}, 2000)
				if err := keep(t.Context(), s, e); err != nil {
					t.Error(err)
					return
				}
				accepted[i].Store(int64(n))
			}
		})
	}
	total := func() (n int) {
		for i := range accepted {
			n += int(accepted[i].Load())
		}
		return n
	}
	for total() < 500 {
		time.Sleep(time.Millisecond)
	}
	before := total()
	w := &stalled{asked: make(chan struct{}), may: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- s.Backup(t.Context(), w) }()
	select {
	case <-w.asked:
	case err := <-done:
		t.Fatal(err)
	}
	if n := s.Readers(); n > 1 { // the committer looks at the size of the file in one
		t.Errorf("%d read transactions are open while the reader stalls", n)
	}
	left, err := filepath.Glob(filepath.Join(dir, "relay.db.*"))
	if err != nil || len(left) > 0 {
		t.Errorf("the copy has the name %q, %v", left, err)
	}
	for until := total() + 500; total() < until; {
		time.Sleep(time.Millisecond)
	}
	close(w.may)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	close(stop)
	wg.Wait()

	there := filepath.Join(t.TempDir(), "new")
	restored, err := boltstore.Restore(t.Context(), there, &w.buf, nil)
	if err != nil || restored[lane] < before || restored[lane] > total() {
		t.Fatalf("Restore: got %v, %v, want %d to %d", restored, err, before, total())
	}
	r := open(t, there, nil)
	if held, err := r.Holdings(t.Context()); err != nil ||
		held[lane] != (store.Holdings{Dead: restored[lane]}) {
		t.Errorf("Holdings: got %+v, %v", held, err)
	}
	var seq uint64
	for n := 0; n < restored[lane]; n++ {
		dead, err := r.DeadLetters(t.Context(), lane, seq, 1)
		if err != nil || len(dead) != 1 || dead[0].Seq != seq+1 ||
			dead[0].Reason != boltstore.Restored || len(dead[0].Body) != 2000 {
			t.Fatalf("after %d: got %+v, %v", seq, dead, err)
		}
		seq++
	}
	// What the backup has is known; what came later is not.
	again := eventOf(entry("0-1", "problem-0"))
	route(t, r, again)
	if !again.Duplicate {
		t.Error("an event from before the backup is no duplicate")
	}
}

// bbolt maps a growing file anew, and waits for readers before. A store has a map that is large
// enough, so that no commit waits while a backup is copied.
func TestGrowsWhileABackupIsCopied(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	done := make(chan struct{})
	s.ReadUntil(t, done)
	defer close(done)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i := range 8 {
		e := entry(fmt.Sprint(i), fmt.Sprint(i))
		e.Body = make([]byte, 1<<20)
		ended := make(chan error, 1)
		go func() { ended <- keep(ctx, s, e) }()
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
		case <-ctx.Done():
			t.Fatalf("append %d waits for a reader", i)
		}
	}
}

// What an entry had begun, its level and its problem survive; it can be revived.
func TestRestoredEntries(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	l := acquire(t, s)
	begun, waiting := entry("1", "begun"), entry("2", "waiting")
	begun.Level, waiting.Level = guance.LevelCritical, guance.LevelWarning
	begun.State, waiting.State = guance.StateProblem, guance.StateProblem
	add(t, s, begun, waiting, entry("3", "delivered"))
	settle(t, l, 0, time.Now(), begun)
	found, err := l.Read(t.Context(), 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	settle(t, l, store.Delivered, time.Now(), found[0])
	var copied bytes.Buffer
	if err := s.Backup(t.Context(), &copied); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "a", "b")
	restored, err := boltstore.Restore(t.Context(), dir, bytes.NewReader(copied.Bytes()), nil)
	if err != nil || restored[lane] != 2 {
		t.Fatalf("Restore: got %v, %v, want 2", restored, err)
	}
	_, err = boltstore.Restore(t.Context(), dir, &copied, nil)
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("Restore over a store: got %v, want ErrExist", err)
	}
	r := open(t, dir, nil)
	l = acquire(t, r)
	records, err := l.Records(t.Context(), []string{"begun", "waiting", "delivered"})
	if err != nil || !records[0].Open || !records[0].Doubt || records[1].Open || records[1].Doubt {
		t.Errorf("Records: got %+v, %v", records, err)
	}
	e, err := l.Revive(t.Context(), 1)
	if err != nil || e.Level != guance.LevelCritical || e.Problem != "begun" {
		t.Errorf("Revive: got %+v, %v", e, err)
	}
	if h, err := r.History(t.Context(), lane, "delivered"); err != nil || len(h) != 1 ||
		h[0].Outcome != store.Delivered {
		t.Errorf("History: got %+v, %v", h, err)
	}
}

// A backup that is cut short or is none makes no store, and leaves nothing behind.
func TestRestoreRefusesWhatIsNoBackup(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	add(t, s, entry("1", "1"))
	var copied bytes.Buffer
	if err := s.Backup(t.Context(), &copied); err != nil {
		t.Fatal(err)
	}
	whole := copied.Bytes()
	for name, content := range map[string]io.Reader{
		"empty": strings.NewReader(""), "text": strings.NewReader("<html>404</html>"),
		"cut":    bytes.NewReader(whole[:len(whole)-os.Getpagesize()]),
		"broken": io.MultiReader(bytes.NewReader(whole), errReader{}),
	} {
		dir := t.TempDir()
		if _, err := boltstore.Restore(t.Context(), dir, content, nil); err == nil {
			t.Errorf("%s: Restore makes a store", name)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: %v is left over, %v", name, left, err)
		}
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("the network is gone") }

// More dead letters than the options allow are kept, and the log says what the next one does.
func TestRestoreBeyondTheBounds(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	for i := range 20 {
		e := entry(fmt.Sprint(i), fmt.Sprint(i))
		e.Body = make([]byte, 1000)
		add(t, s, e)
	}
	var copied, log bytes.Buffer
	if err := s.Backup(t.Context(), &copied); err != nil {
		t.Fatal(err)
	}
	opts := &boltstore.Options{
		MaxDead: 5, MaxBytes: 10_000, DeadAge: 1, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}
	dir := t.TempDir()
	restored, err := boltstore.Restore(t.Context(), dir, &copied, opts)
	if err != nil || restored[lane] != 20 || strings.Count(log.String(), "level=WARN") != 2 {
		t.Fatalf("Restore: got %v, %v, and the log %s", restored, err, log.String())
	}
}

// A backup ends with its context and with the store, and does not fill the disk.
func TestBackupEnds(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Backup(ctx, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), io.Discard); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// On a full disk a backup leaves nothing behind, and events are taken.
func TestBackupOnAFullDisk(t *testing.T) {
	dir := os.Getenv(fullEnv)
	if dir == "" {
		elsewhere(t)
		return
	}
	s := open(t, dir, nil)
	for i := range 4 {
		e := entry(fmt.Sprint(i), fmt.Sprint(i))
		e.Body = make([]byte, 1<<20)
		add(t, s, e)
	}
	limitFiles(t, 2<<20)
	if err := s.Backup(t.Context(), io.Discard); !errors.Is(err, store.ErrFull) {
		t.Errorf("Backup: got %v, want ErrFull", err)
	}
	limitFiles(t, 1<<40)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v is left over, %v", left, err)
	}
	add(t, s, entry("again", "again"))
	t.Log("all rounds")
}
