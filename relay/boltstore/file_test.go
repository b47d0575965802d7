package boltstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	dir := filepath.Join(t.TempDir(), "parent", "data")
	path := filepath.Join(dir, "relay.db")
	s := open(t, dir, nil)
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Dir(dir): 0o700,
		path: 0o600} {
		if got := mode(t, path); got != want {
			t.Errorf("%s has the mode %v, want %v", path, got, want)
		}
	}
	// A group shares a volume: the mode of the directory is the administrator's, that of the file
	// is not.
	for path, m := range map[string]os.FileMode{dir: 0o770, path: 0o664} {
		if err := os.Chmod(path, m); err != nil {
			t.Fatal(err)
		}
	}
	s = reopen(t, s, dir, nil)
	if got := mode(t, path); got != 0o600 {
		t.Errorf("a file that others could read has the mode %v after it was opened, want 0600",
			got)
	}
	if got := mode(t, dir); got != 0o770 {
		t.Errorf("a directory that was there has the mode %v, want it left alone", got)
	}
	s.Close()
}

// Provisioners of volumes create directories of mode 0777. The store works there, and the log
// warns.
func TestReport16DirectoryOfMode0777(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	for _, test := range []struct {
		mode os.FileMode
		warn bool
	}{{0o777, true}, {0o757, true}, {0o777 | os.ModeSticky, false}, {0o770, false},
		{0o700, false}} {
		t.Run(test.mode.String(), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "volume")
			if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, test.mode)); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			opts := &boltstore.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
			s := open(t, dir, opts)
			add(t, s, entry("a", "p"))
			s = reopen(t, s, dir, opts)
			if held, err := s.Holdings(t.Context()); err != nil || held[lane].Pending != 1 {
				t.Errorf("Holdings: got %+v, %v", held, err)
			}
			if got := mode(t, filepath.Join(dir, "relay.db")); got != 0o600 {
				t.Errorf("the file has the mode %v, want 0600", got)
			}
			if got := mode(t, dir); got != test.mode.Perm() {
				t.Errorf("the directory has the mode %v, want it left alone", got)
			}
			if warned := strings.Contains(log.String(), "level=WARN") &&
				strings.Contains(log.String(), dir); warned != test.warn {
				t.Errorf("a warning that names the directory: %v, want %v; the log says %s", warned,
					test.warn, log.String())
			}
		})
	}
}

// Whatever is at the path of the file and is not a regular file is refused. Nothing is changed:
// neither it, nor what it leads to.
func TestReport16NoRegularFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("making links takes a privilege on Windows")
	}
	elsewhere := storeWith(t, sample(t)) // a good store
	target := filepath.Join(elsewhere, "relay.db")
	if err := os.Chmod(target, 0o644); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	for name, place := range map[string]func(path string) error{
		"a link to a good store": func(path string) error { return os.Symlink(target, path) },
		"a link to nothing": func(path string) error {
			return os.Symlink(filepath.Join(elsewhere, "new"), path)
		},
		"a link to a directory": func(path string) error { return os.Symlink(elsewhere, path) },
		"a link to itself":      func(path string) error { return os.Symlink("relay.db", path) },
		"a directory":           func(path string) error { return os.Mkdir(path, 0o700) },
		"a pipe": func(path string) error {
			return exec.Command("mkfifo", path).Run()
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "relay.db")
			if err := place(path); err != nil {
				t.Fatal(err)
			}
			if _, err := boltstore.Open(dir, nil); err == nil ||
				!strings.Contains(err.Error(), path) ||
				!strings.Contains(err.Error(), "nothing was changed") {
				t.Errorf("Open: got %v, want the path, and that nothing was changed", err)
			}
			after, err := os.ReadFile(target)
			names, errDir := os.ReadDir(elsewhere)
			if err != nil || errDir != nil || !bytes.Equal(before, after) ||
				mode(t, target) != 0o644 || len(names) != 1 {
				t.Errorf("what the link leads to was changed: mode %v, %d names, %v, %v",
					mode(t, target), len(names), err, errDir)
			}
			if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
				t.Errorf("the directory has %v, %v; want what was there alone", names, err)
			}
		})
	}
}

// If the file is not in its place, the store takes no events, and still delivers those that it has.
// It takes events again when the file is put back.
func TestReport17FileMoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be moved on Windows")
	}
	for name, move := range map[string]func(dir, path string) error{
		"removed": func(_, path string) error { return os.Remove(path) },
		"replaced": func(dir, path string) error {
			return os.Rename(filepath.Join(dir, "backup"), path)
		},
		"moved away": func(dir, path string) error {
			return os.Rename(path, filepath.Join(dir, "away"))
		},
		"a link in between": func(dir, path string) error {
			return errors.Join(os.Rename(path, path+"2"), os.Symlink(path+"2", path))
		},
		"directory removed": func(dir, _ string) error { return os.RemoveAll(dir) },
		"directory moved":   func(dir, _ string) error { return os.Rename(dir, dir+"2") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			path := filepath.Join(dir, "relay.db")
			var log bytes.Buffer
			s := open(t, dir, &boltstore.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			first, second := entry("first", "p"), entry("second", "q")
			add(t, s, first, second)
			l := acquire(t, s)
			err := os.WriteFile(filepath.Join(dir, "backup"), []byte("another file"), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if err := move(dir, path); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := s.Check(t.Context()); !errors.Is(err, boltstore.ErrMoved) ||
					!strings.Contains(err.Error(), path) {
					t.Errorf("Check: got %v, want ErrMoved and the path", err)
				}
				lost := entry("lost", "p")
				err := keep(t.Context(), s, lost)
				if !errors.Is(err, boltstore.ErrMoved) || errors.Is(err, store.ErrFailed) ||
					lost.Seq != 0 {
					t.Errorf("Append: got %v, sequence number %d; want ErrMoved", err, lost.Seq)
				}
			}
			if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
				t.Errorf("the log has %d ERROR lines, want one: %s", n, log.String())
			}
			// Accepted events are still delivered.
			if e, err := l.Load(t.Context(), first.Seq); err != nil || e.ID != "first" {
				t.Errorf("Load: got %+v, %v", e, err)
			}
			settle(t, l, store.Delivered, time.Now(), first)
			if held, err := s.Holdings(t.Context()); err != nil || held[lane].Pending != 1 {
				t.Errorf("Holdings: got %+v, %v", held, err)
			}
			if name != "moved away" {
				return
			}
			if err := os.Rename(filepath.Join(dir, "away"), path); err != nil {
				t.Fatal(err)
			}
			if err := s.Check(t.Context()); err != nil {
				t.Errorf("Check after the file is back: %v", err)
			}
			add(t, s, entry("lost", "p"))
			if !strings.Contains(log.String(), "level=INFO") {
				t.Errorf("the log does not say that the file is back: %s", log.String())
			}
		})
	}
}

// The webhook's answer, the check whether the relay is ready, and the log say that nothing is kept,
// and why.
func TestReport17FileMovedOverHTTP(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be moved on Windows")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "relay.db")
	var log bytes.Buffer
	s := open(t, dir, nil)
	r, err := relay.New(s, &relay.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	r.Handle(lane, relay.SinkFunc(func(context.Context, *relay.Delivery) error { return nil }), nil)
	h, err := relay.NewHandler(r, &relay.HandlerOptions{NoAuth: true})
	if err != nil {
		t.Fatal(err)
	}
	post := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/guance",
			strings.NewReader(`{"df_event_id":"event-1","df_status":"critical"}`)))
		return w
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	w := post()
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %d, Retry-After %q, want 503 with one", w.Code, w.Header().Get("Retry-After"))
	}
	if got := w.Body.String(); !strings.Contains(got, `"reason":"unavailable"`) ||
		!strings.Contains(got, "nothing was kept") || strings.Contains(got, path) {
		t.Errorf("got %s; want the reason unavailable, that nothing was kept, and no path", got)
	}
	if !strings.Contains(log.String(), "level=ERROR") ||
		!strings.Contains(log.String(), "is not in its place") {
		t.Errorf("the log has no ERROR line that says why: %s", log.String())
	}
	if err := r.Check(t.Context()); !errors.Is(err, boltstore.ErrMoved) ||
		!strings.Contains(err.Error(), path) {
		t.Errorf("Check: got %v, want ErrMoved and the path", err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if w := post(); w.Code != http.StatusAccepted ||
		!strings.Contains(w.Body.String(), `"accepted"`) {
		t.Errorf("with the file back: got %d %s, want 202 and no duplicate", w.Code, w.Body)
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	_, err := boltstore.Open(dir, nil)
	if !errors.Is(err, boltstore.ErrLocked) ||
		!strings.Contains(err.Error(), filepath.Join(dir, "relay.db")) {
		t.Errorf("got %v, want ErrLocked with the path", err)
	}
	add(t, s, entry("a", "p")) // the first store goes on
	s.Close()

	// Open waits for a second for a store that closes: a second of the bubble, so that a slow disk
	// takes no time.
	synctest.Test(t, func(t *testing.T) {
		s := open(t, dir, nil)
		time.AfterFunc(100*time.Millisecond, func() { s.Close() })
		open(t, dir, nil)
	})
}

// If many processes start at once for the first time, one of them has the store.
func TestCreatedAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	var mu sync.Mutex
	var stores []*boltstore.Store
	inParallel(8, func(int) {
		s, err := boltstore.Open(dir, nil)
		if err != nil && !errors.Is(err, boltstore.ErrLocked) {
			t.Error(err)
		}
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			stores = append(stores, s)
		}
	})
	if len(stores) != 1 {
		t.Fatalf("%d have it open", len(stores))
	}
	defer stores[0].Close()
	add(t, stores[0], entry("a", "p"))
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 {
		t.Errorf("the directory has %v, %v; want relay.db alone", names, err)
	}
}

// sample returns the file of a store with something of each kind.
func sample(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir, nil)
	l := acquire(t, s)
	for i := range 40 {
		pair := []*store.Entry{entry(fmt.Sprint("a", i), fmt.Sprint("problem-", i)),
			entry(fmt.Sprint("b", i), fmt.Sprint("problem-", i))}
		pair[0].Body = fmt.Appendf(nil, "body-%d-%s", i, strings.Repeat("x", 3000))
		add(t, s, pair...)
		settle(t, l, 0, time.Now(), pair[0])
		settle(t, l, store.Outcome(1+i%4), time.Now(), pair[i%2])
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "relay.db"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func storeWith(t testing.TB, data []byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "relay.db"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDamagedFile(t *testing.T) {
	good := sample(t)
	used := len(bytes.TrimRight(good, "\x00")) // the rest is reserved
	foreign := func(fill func(*bolt.Tx) error) []byte {
		path := filepath.Join(t.TempDir(), "bolt")
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(fill), db.Close()); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	zeroed := bytes.Clone(good)
	clear(zeroed[8192 : len(zeroed)/2])
	for name, data := range map[string][]byte{
		"empty":             {},
		"a text":            []byte("this is not a store\n"),
		"a long text":       bytes.Repeat([]byte("this is not a store\n"), 10_000),
		"zeros":             make([]byte, 1<<20),
		"cut to one page":   good[:4096],
		"cut to two pages":  good[:8192],
		"cut to four pages": good[:4*4096],
		"cut by half":       good[:used/2],
		"pages overwritten": zeroed,
		"another program's": foreign(func(tx *bolt.Tx) error {
			_, err := tx.CreateBucket([]byte("other"))
			return err
		}),
		"both first pages broken": append(bytes.Repeat([]byte{0xa5}, 8192), good[8192:]...),
	} {
		t.Run(name, func(t *testing.T) {
			dir := storeWith(t, data)
			path := filepath.Join(dir, "relay.db")
			for range 2 { // it leaves no lock
				_, err := boltstore.Open(dir, nil)
				if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), path) ||
					!strings.Contains(err.Error(), "docs/operations.md") {
					t.Fatalf("got %v, want ErrDamaged, the path and where to read on", err)
				}
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, data) {
				t.Errorf("the damaged file was changed, %v", err)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	for _, v := range []string{"1", "2", "3", "5", ""} {
		dir := t.TempDir()
		db, err := bolt.Open(filepath.Join(dir, "relay.db"), 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bolt.Tx) error {
			if _, err := tx.CreateBucket([]byte("lanes")); err != nil {
				return err
			}
			meta, err := tx.CreateBucket([]byte("meta"))
			if err != nil {
				return err
			}
			return meta.Put([]byte("version"), []byte(v))
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		_, err = boltstore.Open(dir, nil)
		if err == nil || errors.Is(err, store.ErrDamaged) ||
			!strings.Contains(err.Error(), fmt.Sprintf("version %q", v)) {
			t.Errorf("version %q: got %v, want an error that names it", v, err)
		}
	}
}

// A damaged event or header shows when it is read. Other calls are not affected.
func TestDamagedEntry(t *testing.T) {
	build := func(t *testing.T, marker string) string {
		dir := t.TempDir()
		s := open(t, dir, nil)
		bad := entry("bad", "problem of the bad one")
		bad.Body = []byte("body of the bad one, and so on")
		add(t, s, bad)
		for i := range 3 { // in segments of their own
			add(t, s, entry(fmt.Sprint(i), fmt.Sprint("p", i)))
		}
		s.Close()
		path := filepath.Join(dir, "relay.db")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for at := 0; ; n++ { // in old pages too
			i := bytes.Index(data[at:], []byte(marker))
			if i < 0 {
				break
			}
			at += i
			data[at] ^= 1
		}
		if n == 0 {
			t.Fatal("the marker is not in the file")
		}
		return storeWith(t, data)
	}
	t.Run("body", func(t *testing.T) {
		s := open(t, build(t, "body of the bad one"), nil)
		l := acquire(t, s)
		if found, err := l.Read(t.Context(), 0, 10); err != nil || len(found) != 4 {
			t.Errorf("Read: got %d entries, %v", len(found), err)
		}
		if _, err := l.Load(t.Context(), 1); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("Load of the damaged one: got %v, want ErrDamaged", err)
		}
		if e, err := l.Load(t.Context(), 2); err != nil || e.ID != "0" {
			t.Errorf("Load of another: got %+v, %v", e, err)
		}
		// The entry can be given up. The dead letter is damaged too.
		settle(t, l, store.Dead, time.Now(), &store.Entry{Seq: 1,
			Problem: "problem of the bad one"})
		if _, err := s.DeadLetters(t.Context(), lane, 0, 10); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("DeadLetters: got %v, want ErrDamaged", err)
		}
		if err := l.Drop(t.Context(), 1); err != nil {
			t.Errorf("Drop of the damaged one: %v", err)
		}
	})
	t.Run("header", func(t *testing.T) {
		s := open(t, build(t, "problem of the bad one"), nil)
		l := acquire(t, s)
		_, err := l.Read(t.Context(), 0, 10)
		if damaged, ok := errors.AsType[*store.DamagedError](err); !ok || damaged.First != 1 ||
			damaged.Last != 1 || !errors.Is(err, store.ErrDamaged) {
			t.Errorf("Read: got %v, want that entry 1 is damaged", err)
		}
		if found, err := l.Read(t.Context(), 1, 10); err != nil || len(found) != 3 {
			t.Errorf("Read behind it: got %d entries, %v", len(found), err)
		}
		// Marks of other entries succeed, in the same commit and later.
		var wg sync.WaitGroup
		for seq := uint64(1); seq <= 4; seq++ {
			wg.Go(func() {
				err := l.Mark(t.Context(), []store.Mark{{
					Seq: seq, Problem: "p", Outcome: store.Delivered, At: time.Now(),
				}})
				if (seq == 1) != errors.Is(err, store.ErrDamaged) || seq > 1 && err != nil {
					t.Errorf("Mark of entry %d: got %v", seq, err)
				}
			})
		}
		wg.Wait()
		if held, err := s.Holdings(t.Context()); err != nil || held[lane].Pending != 1 {
			t.Errorf("Holdings: got %+v, %v; want the damaged one alone", held, err)
		}
		add(t, s, entry("next", "p"))
	})
}

// The entries of a missing segment stay pending and damaged. A mark of one of them does not remove
// the others.
func TestMissingSegment(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	add(t, s, entry("1", "p"), entry("2", "q"), entry("3", "r"))
	s.Close()
	db, err := bolt.Open(filepath.Join(dir, "relay.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		segments := laneBucket(tx).Bucket([]byte("segments"))
		name, _ := segments.Cursor().First()
		return segments.DeleteBucket(name)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, nil)
	l := acquire(t, s)
	for _, o := range []store.Outcome{store.Delivered, store.Dead} {
		marks := []store.Mark{{Seq: 1, Outcome: o}, {Seq: 2, Outcome: o}}
		if err := l.Mark(t.Context(), marks); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("Mark %v: got %v, want ErrDamaged", o, err)
		}
	}
	// These are in segments of their own, which are merged, but not with the missing one.
	for i := range 10 {
		add(t, s, entry(fmt.Sprint("more ", i), "p"))
	}
	s = reopen(t, s, dir, nil)
	l = acquire(t, s)
	if held, err := s.Holdings(t.Context()); err != nil || held[lane].Pending != 13 {
		t.Errorf("Holdings: got %+v, %v; want all 13", held, err)
	}
	_, err = l.Read(t.Context(), 0, 10)
	if damaged, ok := errors.AsType[*store.DamagedError](err); !ok || damaged.First != 1 ||
		damaged.Last != 3 {
		t.Errorf("Read: got %v, want that entries 1 to 3 are damaged", err)
	}
	if _, err := l.Load(t.Context(), 2); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("Load: got %v, want ErrDamaged", err)
	}
}

// Read returns the entries before a damaged one first.
func TestReadUpToDamage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	for i := range 3 { // in segments of their own
		add(t, s, entry(fmt.Sprint(i), fmt.Sprintf("problem %d of three", i)))
	}
	s.Close()
	data, err := os.ReadFile(filepath.Join(dir, "relay.db"))
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.ReplaceAll(data, []byte("problem 1 of three"), []byte("problem 7 of three"))
	s = open(t, storeWith(t, data), nil)
	l := acquire(t, s)
	for _, want := range []string{"1", "damaged 2 to 2", "3"} {
		after := uint64(want[len(want)-1]-'0') - 1
		found, err := l.Read(t.Context(), after, 10)
		got := fmt.Sprint(err)
		if damaged, ok := errors.AsType[*store.DamagedError](err); ok {
			got = fmt.Sprintf("damaged %d to %d", damaged.First, damaged.Last)
		} else if len(found) == 1 {
			got = fmt.Sprint(found[0].Seq)
		}
		if got != want {
			t.Errorf("above %d: got %s, want %s", after, got, want)
		}
	}
}

// If the record of a problem is damaged, the problem counts as open, and the next mark replaces the
// record.
func TestDamagedRecord(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	add(t, s, entry("1", "the key of it"), entry("2", "another"))
	l := acquire(t, s)
	for seq, problem := range []string{"the key of it", "another"} {
		settle(t, l, store.Delivered, time.Now(),
			&store.Entry{Seq: uint64(seq) + 1, Problem: problem, State: guance.StateRecovered})
	}
	add(t, s, entry("3", "the key of it"))
	s.Close()
	db, err := bolt.Open(filepath.Join(dir, "relay.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		records := laneBucket(tx).Bucket([]byte("records"))
		value := bytes.Clone(records.Get([]byte("pthe key of it")))
		value[5] ^= 1
		return records.Put([]byte("pthe key of it"), value)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, nil)
	l = acquire(t, s)
	before := s.AgeKeys(t, lane)
	_, err = l.Records(t.Context(), []string{"the key of it"})
	if !errors.Is(err, store.ErrDamaged) {
		t.Fatalf("Records: got %v, want ErrDamaged", err)
	}
	if _, err := l.Records(t.Context(), []string{"another"}); err != nil {
		t.Errorf("Records of another: %v", err)
	}
	settle(t, l, store.Superseded, time.Now(), &store.Entry{
		Seq: 3, Problem: "the key of it", State: guance.StateProblem,
	})
	records, err := l.Records(t.Context(), []string{"the key of it"})
	if err != nil || !records[0].Open || records[0].Last != 3 {
		t.Errorf("Records after a mark: got %+v, %v, want an open one, Last 3", records, err)
	}
	if after := s.AgeKeys(t, lane); after != before {
		t.Errorf("the records have %d age keys, and had %d", after, before)
	}
	for range 2 {
		s.CheckIndex(t)
		e := eventOf(entry(fmt.Sprint("next ", s.Clock()), "the key of it"))
		e.Wanted = nil
		if route(t, s, e); len(e.Placed) != 1 || !e.Placed[0].Sticky {
			t.Errorf("an event of the problem: placed as %+v, want a sticky entry", e.Placed)
		}
		s = reopen(t, s, dir, nil)
	}
}

// Whatever a disk does to the file, the store refuses it or returns what it was given. It never
// returns anything else, and it does not crash.
func TestRandomDamage(t *testing.T) {
	good := sample(t)
	used := len(bytes.TrimRight(good, "\x00")) // the rest is reserved
	seed := rand.Uint64()
	t.Log("seed", seed)
	rnd := rand.New(rand.NewPCG(seed, 4))
	refused, damaged, unharmed := 0, 0, 0
	for round := range 150 {
		data := bytes.Clone(good)
		for range 1 + rnd.IntN(3) {
			at := rnd.IntN(used)
			switch rnd.IntN(4) {
			case 0:
				data[at] ^= 1 << rnd.IntN(8)
			case 1:
				// in the header of a page
				data[at/4096*4096+rnd.IntN(64)] ^= byte(1 + rnd.IntN(255))
			case 2:
				clear(data[at/512*512 : min(at/512*512+512, len(data))])
			case 3:
				from := rnd.IntN(used) / 4096 * 4096
				// a misdirected write
				copy(data[at/4096*4096:], bytes.Clone(data[from:min(from+4096, len(data))]))
			}
		}
		s, err := boltstore.Open(storeWith(t, data), nil)
		if err != nil {
			if !errors.Is(err, store.ErrDamaged) && !strings.Contains(err.Error(), "version") {
				t.Errorf("round %d: Open: got %v, want ErrDamaged", round, err)
			}
			refused++
			continue
		}
		s.NoSync()
		whole := true
		check := func(what string, err error) {
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				whole = false
				if !errors.Is(err, store.ErrDamaged) {
					t.Errorf("round %d: %s: got %v, want ErrDamaged", round, what, err)
				}
			}
		}
		l := acquire(t, s)
		for seq := uint64(1); seq <= 80; seq++ {
			e, err := l.Load(t.Context(), seq)
			check("Load", err)
			if err == nil && !strings.Contains(string(e.Body), fmt.Sprint((seq-1)/2)) {
				t.Errorf("round %d: entry %d has the body %.40q", round, seq, e.Body)
			}
		}
		_, err = s.History(t.Context(), lane, "problem-1")
		check("History", err)
		_, err = s.DeadLetters(t.Context(), lane, 0, 100)
		check("DeadLetters", err)
		for i := range 40 {
			_, err = l.Records(t.Context(), []string{fmt.Sprint("problem-", i)})
			check("Records", err)
		}
		check("Append", keep(t.Context(), s, entry("new", "p")))
		check("Close", s.Close())
		if whole {
			unharmed++
		} else {
			damaged++
		}
	}
	t.Logf("refused when opened: %d, when read: %d, harm to what is not used: %d", refused, damaged,
		unharmed)
	if refused == 0 || damaged == 0 {
		t.Error("the damage of this test does no harm")
	}
}
