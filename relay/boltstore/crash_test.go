package boltstore_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/internal/torn"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

var (
	crashSeed  = flag.Uint64("crash-seed", 1, "what the script does, and what a crash keeps")
	crashSteps = flag.Int("crash-steps", 25, "how many calls the script makes")
	crashEvery = flag.Int("crash-every", 7,
		"a crash at one in so many points of the script; 1 is all of them")
	crashTorn = flag.Int("crash-torn", 2,
		"how many random crashes at each point, beside the extremes")
)

// A said is one line of the script's output: either a call on an entry is about to begin, or a call
// has returned, and what it changed is durable.
type said struct {
	About    uint64       `json:"about,omitempty"`
	Appended []entryName  `json:"appended,omitempty"`
	Marked   []store.Mark `json:"marked,omitempty"`
	Revived  uint64       `json:"revived,omitempty"`
	Dropped  uint64       `json:"dropped,omitempty"`
	// The lane that is renamed has no other calls: Sent is how many entries it has, and Names how
	// many names.
	Sent  int `json:"sent,omitempty"`
	Names int `json:"names,omitempty"`
}

// nameOf is a name of the lane that is renamed.
func nameOf(n int) string { return fmt.Sprint("name ", n) }

// renames has events accepted for a lane by any of its names, and gives it further names. A crash
// between shows the state before a call or after it.
func renames(s *boltstore.Store, rng *rand.Rand, steps int, tell func(said) error) error {
	names := 1
	for sent := 1; sent <= steps; sent++ {
		e := &store.Entry{Lane: nameOf(rng.IntN(names)), ID: fmt.Sprint("renamed-", sent),
			Problem: "of the renamed lane", Accepted: time.Now(), Body: []byte("x")}
		if err := keep(context.Background(), s, e); err != nil {
			return err
		}
		if e.Seq != uint64(sent) {
			return fmt.Errorf("the renamed lane has entry %d, want %d", e.Seq, sent)
		}
		if err := tell(said{Sent: sent}); err != nil {
			return err
		}
		if rng.IntN(2) > 0 {
			continue
		}
		if err := s.Rename(context.Background(), nameOf(rng.IntN(names)), nameOf(names)); err != nil {
			return err
		}
		names++
		if err := tell(said{Names: names}); err != nil {
			return err
		}
	}
	return nil
}

type entryName struct {
	Seq     uint64 `json:"seq"`
	ID      string `json:"id"`
	Problem string `json:"problem"`
}

// script calls a store, and says after each call what is durable. The calls come from several
// goroutines, so that some share a commit.
func script(dir string, seed uint64, steps int) error {
	s, err := boltstore.Open(dir, &boltstore.Options{Remembered: 40})
	if err != nil {
		return err
	}
	lease, err := s.Acquire(context.Background(),
		store.Group{Name: "lane", Lanes: []string{"lane"}})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	tell := func(what said) error {
		b, err := json.Marshal(what)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		_, err = os.Stdout.Write(append(b, '\n'))
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, 4)
	wg.Go(func() { errs[3] = renames(s, rand.New(rand.NewPCG(seed, 3)), steps, tell) })
	for i := range errs[:3] {
		wg.Go(func() {
			w := &worker{store: s, lane: lease.Lane("lane"),
				rng: rand.New(rand.NewPCG(seed, uint64(i))), id: i, tell: tell}
			for n := 0; n < steps && errs[i] == nil; n++ {
				errs[i] = w.step()
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return s.Close()
}

// A worker is one of the goroutines. It has entries of its own.
type worker struct {
	store *boltstore.Store
	lane  store.Lane
	rng   *rand.Rand
	id, n int
	tell  func(said) error
	mine  []*store.Entry
	dead  []uint64
}

func (w *worker) step() error {
	ctx := context.Background()
	switch at := time.Now(); {
	case len(w.mine) == 0 || w.rng.IntN(2) == 0:
		var batch []*store.Entry
		for range 1 + w.rng.IntN(3) {
			w.n++
			batch = append(batch, &store.Entry{
				Lane: "lane", ID: fmt.Sprintf("event-%d-%d", w.id, w.n),
				Problem: fmt.Sprintf("problem-%d-%d", w.id, w.rng.IntN(5)),
				State:   guance.StateProblem, Level: guance.LevelError, Accepted: at,
				Body: bytes.Repeat([]byte{byte(w.n)}, w.rng.IntN(6000)),
			})
		}
		if err := keep(ctx, w.store, batch...); err != nil {
			return err
		}
		var names []entryName
		for _, e := range batch {
			names = append(names, entryName{e.Seq, e.ID, e.Problem})
		}
		w.mine = append(w.mine, batch...)
		return w.tell(said{Appended: names})
	case len(w.dead) > 0 && w.rng.IntN(4) == 0:
		seq := w.dead[0]
		w.dead = w.dead[1:]
		if err := w.tell(said{About: seq}); err != nil {
			return err
		}
		if w.rng.IntN(2) == 0 {
			if err := w.lane.Drop(ctx, seq); err != nil {
				return err
			}
			return w.tell(said{Dropped: seq})
		}
		if _, err := w.lane.Revive(ctx, seq); err != nil {
			return err
		}
		return w.tell(said{Revived: seq})
	default:
		i := w.rng.IntN(len(w.mine))
		e := w.mine[i]
		m := store.Mark{Seq: e.Seq, Problem: e.Problem, State: e.State, Level: e.Level, At: at}
		if w.rng.IntN(3) > 0 {
			m.Outcome = store.Outcome(1 + w.rng.IntN(4))
			m.Reason = "because"
			w.mine = slices.Delete(w.mine, i, i+1)
			if m.Outcome == store.Dead {
				w.dead = append(w.dead, e.Seq)
			}
		}
		if err := w.tell(said{About: e.Seq}); err != nil {
			return err
		}
		if err := w.lane.Mark(ctx, []store.Mark{m}); err != nil {
			return err
		}
		return w.tell(said{Marked: []store.Mark{m}})
	}
}

// durable is what a store must have, according to the script.
type durable struct {
	pending map[uint64]entryName
	begun   map[uint64]bool
	dead    map[uint64]bool
	ended   map[uint64]bool // settled or dropped; never pending again
	unsure  map[uint64]bool // a call on it has begun and not succeeded
	sent    int             // entries of the renamed lane
	names   int             // that it has, beside the first
}

func (d *durable) hear(line []byte, t *testing.T) {
	var s said
	if err := json.Unmarshal(line, &s); err != nil {
		t.Fatalf("the script says %q: %v", line, err)
	}
	if s.About != 0 {
		d.unsure[s.About] = true
	}
	d.sent, d.names = max(d.sent, s.Sent), max(d.names, s.Names)
	for _, e := range s.Appended {
		d.pending[e.Seq] = e
	}
	for _, m := range s.Marked {
		delete(d.unsure, m.Seq)
		if m.Outcome == 0 {
			d.begun[m.Seq] = true
			continue
		}
		delete(d.pending, m.Seq)
		if m.Outcome == store.Dead {
			d.dead[m.Seq] = true
		} else {
			d.ended[m.Seq] = true
		}
	}
	delete(d.unsure, s.Dropped)
	delete(d.unsure, s.Revived)
	if s.Dropped != 0 {
		delete(d.dead, s.Dropped)
		d.ended[s.Dropped] = true
	}
	if s.Revived != 0 {
		delete(d.dead, s.Revived)
		d.pending[s.Revived] = entryName{Seq: s.Revived}
	}
}

// record returns the operations of a program on a file.
func record(t *testing.T, command, env []string, path string) []torn.Op {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil && os.Getenv("CI") == "" {
		t.Skip("strace is not installed; CI has it")
	}
	ops, err := torn.Record(command, env, path)
	if err != nil {
		t.Fatal(err)
	}
	return ops
}

// Promise 1, through a power cut: after a crash at any point of its writing, the file opens, and
// has everything that the store reported as durable.
func TestCrashAtEveryWrite(t *testing.T) {
	dir := t.TempDir()
	s, err := boltstore.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "relay.db")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "BOLTSTORE_CRASH_DIR="+dir,
		fmt.Sprint("BOLTSTORE_CRASH_SEED=", *crashSeed),
		fmt.Sprint("BOLTSTORE_CRASH_STEPS=", *crashSteps))
	ops := record(t, []string{os.Args[0]}, env, path)

	know := durable{
		pending: map[uint64]entryName{}, begun: map[uint64]bool{}, dead: map[uint64]bool{},
		ended: map[uint64]bool{}, unsure: map[uint64]bool{},
	}
	rng := rand.New(rand.NewPCG(*crashSeed, 99))
	disk := torn.NewDisk(before)
	crashes, commits := 0, 0
	for i, op := range ops {
		disk.Do(op)
		switch op.Kind {
		case torn.Output:
			for lines := bufio.NewScanner(bytes.NewReader(op.Data)); lines.Scan(); {
				know.hear(lines.Bytes(), t)
			}
			continue
		case torn.Sync:
			commits++
		}
		if i%*crashEvery != 0 {
			continue
		}
		modes := []torn.Mode{torn.DropAll, torn.KeepAll, torn.TearLast}
		for range *crashTorn {
			modes = append(modes, torn.TearSome)
		}
		for _, mode := range modes {
			image := filepath.Join(t.TempDir(), "relay.db")
			if err := os.WriteFile(image, disk.Crash(mode, rng), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := know.holds(filepath.Dir(image)); err != nil {
				t.Fatalf("a crash at operation %d of %d, with mode %d (seed %d): %v", i, len(ops),
					mode, *crashSeed, err)
			}
			crashes++
			if err := os.RemoveAll(filepath.Dir(image)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if commits < *crashSteps/2 || crashes == 0 {
		t.Errorf("%d syncs and %d crashes: the script proves nothing", commits, crashes)
	}
	t.Logf("%d operations, %d of them syncs; %d crashes", len(ops), commits, crashes)
}

// holds opens the file that a crash left, and compares.
func (d *durable) holds(dir string) error {
	ctx := context.Background()
	s, err := boltstore.Open(dir, nil)
	if err != nil {
		return fmt.Errorf("it does not open: %w", err)
	}
	defer s.Close()
	s.NoSync() // there is no second crash
	lease, err := s.Acquire(ctx, store.Group{Name: "lane", Lanes: []string{"lane"}})
	if err != nil {
		return err
	}
	held, err := s.Holdings(ctx)
	if err != nil {
		return err
	}
	pending := make(map[uint64]*store.Entry)
	if held["lane"].Pending > 0 {
		entries, err := lease.Lane("lane").Read(ctx, 0, 1<<20)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if pending[e.Seq], err = lease.Lane("lane").Load(ctx, e.Seq); err != nil {
				return fmt.Errorf("entry %d is listed and cannot be loaded: %w", e.Seq, err)
			}
			for _, b := range pending[e.Seq].Body {
				if b != pending[e.Seq].Body[0] {
					return fmt.Errorf("entry %d has the bytes of another one", e.Seq)
				}
			}
		}
	}
	if len(pending) != held["lane"].Pending {
		return fmt.Errorf("%d entries are pending, and %d are listed", held["lane"].Pending,
			len(pending))
	}
	dead := make(map[uint64]bool)
	letters, err := s.DeadLetters(ctx, "lane", 0, 1<<20)
	if err != nil {
		return err
	}
	for _, l := range letters {
		dead[l.Seq] = true
	}
	for seq, name := range d.pending {
		e := pending[seq]
		if e == nil && d.unsure[seq] {
			continue
		}
		if e == nil {
			return fmt.Errorf("entry %d (%s) was kept and is gone", seq, name.ID)
		}
		if name.ID != "" && (e.ID != name.ID || e.Problem != name.Problem) {
			return fmt.Errorf("entry %d is %s of %s, want %s of %s", seq, e.ID, e.Problem, name.ID,
				name.Problem)
		}
		if d.begun[seq] && !e.Begun {
			return fmt.Errorf("entry %d was begun, and that is forgotten", seq)
		}
	}
	for seq := range d.ended {
		if pending[seq] != nil || dead[seq] {
			return fmt.Errorf("entry %d had ended and is there again", seq)
		}
	}
	for seq := range d.dead {
		if !dead[seq] && !d.unsure[seq] {
			return fmt.Errorf("dead letter %d is gone", seq)
		}
	}
	if err := d.holdsNames(ctx, s, held); err != nil {
		return err
	}
	// The store takes events again.
	e := &store.Entry{Lane: "lane", ID: "after the crash", Problem: "p", Accepted: time.Now(),
		Body: []byte("x")}
	if err := keep(ctx, s, e); err != nil {
		return fmt.Errorf("it takes nothing: %w", err)
	}
	for seq := range pending {
		if e.Seq <= seq {
			return fmt.Errorf("sequence number %d comes after %d", e.Seq, seq)
		}
	}
	return nil
}

// holdsNames compares the lane that is renamed. Of it, one call more than the script said may be
// durable.
func (d *durable) holdsNames(
	ctx context.Context, s *boltstore.Store, held map[string]store.Holdings,
) error {
	renamed, err := s.Renamed(ctx)
	if err != nil || d.sent == 0 {
		return err
	}
	last := max(d.names-1, 0)
	if next := nameOf(last + 1); held[next].Pending > 0 {
		last++
	}
	if n := held[nameOf(last)].Pending; n < d.sent || n > d.sent+1 {
		return fmt.Errorf("lane %q has %d entries, want %d or one more", nameOf(last), n, d.sent)
	}
	if len(renamed) != last {
		return fmt.Errorf("the names are %v, want %d earlier ones", renamed, last)
	}
	for i := range last {
		if renamed[nameOf(i)] != nameOf(last) {
			return fmt.Errorf("the names are %v, want each to mean %q", renamed, nameOf(last))
		}
	}
	return nil
}

// TestMain makes the test binary the program that crashes.
func TestMain(m *testing.M) {
	flag.Parse()
	if dir := os.Getenv("BOLTSTORE_CRASH_DIR"); dir != "" {
		var seed uint64
		var steps int
		args := os.Getenv("BOLTSTORE_CRASH_SEED") + " " + os.Getenv("BOLTSTORE_CRASH_STEPS")
		_, err := fmt.Sscan(args, &seed, &steps)
		if err == nil {
			err = script(dir, seed, steps)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}
