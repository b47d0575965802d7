//go:build unix

package boltstore_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// fullEnv names the directory in which a child process works.
const fullEnv = "BOLTSTORE_TEST_FULL"

// TestFullDisk fills a disk. The kernel limits the size of the process's files: that fails the same
// calls as a full disk, with EFBIG in place of ENOSPC.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv(fullEnv); dir != "" {
		fillDisk(t, dir)
		return
	}
	elsewhere(t)
}

// TestFullDiskInACommit has the write of bbolt fail. That happens if the free space of the file is
// in pieces that are too small for an event.
func TestFullDiskInACommit(t *testing.T) {
	dir := os.Getenv(fullEnv)
	if dir == "" {
		elsewhere(t)
		return
	}
	s := open(t, dir, nil)
	s.PretendReserved(t)
	const size = 3 << 20
	limitFiles(t, size)
	n, err := fillUp(t, s, "first")
	if !errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrFailed) || len(n) < 100 {
		t.Fatalf("after %d appends: got %v, want ErrFull", len(n), err)
	}
	limitFiles(t, 1<<40)
	add(t, s, entry("again", "again"))
	s = reopen(t, s, dir, nil)
	if held, err := s.Holdings(t.Context()); err != nil || held[lane].Pending != len(n)+1 {
		t.Errorf("Holdings: got %+v, %v; want %d", held, err, len(n)+1)
	}
	t.Log("all rounds")
}

// TestFullDiskAtTheFirstOpen has the write of the empty store fail: its first pages, its commit.
func TestFullDiskAtTheFirstOpen(t *testing.T) {
	dir := os.Getenv(fullEnv)
	if dir == "" {
		elsewhere(t)
		return
	}
	for _, size := range []int{1, 4*os.Getpagesize() + 1} {
		limitFiles(t, uint64(size))
		_, err := boltstore.Open(dir, nil)
		if err == nil || !strings.Contains(err.Error(), "boltstore: creating "+dir) ||
			!strings.Contains(err.Error(), syscall.EFBIG.Error()) {
			t.Errorf("Open with %d bytes: %v, want why nothing can be created in %s", size, err, dir)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%d bytes: %v and %v are left over", size, left, err)
		}
	}
	limitFiles(t, 1<<40)
	open(t, dir, nil)
	t.Log("all rounds")
}

// TestNothingCanBeCreated opens a directory whose path has no room for a longer name than the
// file's.
func TestNothingCanBeCreated(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the longest path is that of Linux")
	}
	const longest = 4095
	dir := t.TempDir()
	for room := longest - len("/relay.db") - 1; len(dir) < room; {
		dir += "/" + strings.Repeat("d", max(min(room-len(dir)-1, 200), 1))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Skip(err)
	}
	_, err := boltstore.Open(dir, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "boltstore: creating "+dir) ||
		!errors.Is(err, syscall.ENAMETOOLONG) {
		t.Errorf("Open: %v, want why nothing can be created", err)
	}
}

// elsewhere runs the test in another process, whose limits it may change.
func elsewhere(t *testing.T) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), fullEnv+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "all rounds") {
		t.Fatalf("the process did not do its work:\n%s", out)
	}
}

// fillUp appends until the store refuses.
func fillUp(t *testing.T, s store.Store, name string) (kept []*store.Entry, err error) {
	for i := range 100_000 {
		e := entry(fmt.Sprint(name, "-", i), fmt.Sprint("p", i))
		e.Body = make([]byte, 1+i*i%9000)
		if err := keep(t.Context(), s, e); err != nil {
			return kept, err
		}
		kept = append(kept, e)
	}
	return kept, nil
}

func limitFiles(t *testing.T, size uint64) {
	t.Helper()
	var rl syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &rl); err != nil {
		t.Fatal(err)
	}
	rl.Cur = min(size, rl.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &rl); err != nil {
		t.Fatal(err)
	}
}

func fillDisk(t *testing.T, dir string) {
	s := open(t, dir, nil)
	l := acquire(t, s)
	for round := range 2 {
		const size = 5 << 20
		limitFiles(t, size)
		kept, err := fillUp(t, s, fmt.Sprint(round))
		if !errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrFailed) {
			t.Fatalf("round %d, after %d appends: got %v, want ErrFull", round, len(kept), err)
		}
		if len(kept) < 300 {
			t.Errorf("round %d: %d appends fit into %d bytes", round, len(kept), size)
		}
		if err := s.Check(t.Context()); !errors.Is(err, store.ErrFull) {
			t.Errorf("round %d: Check of a full disk: got %v, want ErrFull", round, err)
		}
		if held, err := s.Holdings(t.Context()); err != nil || held[lane].Pending != len(kept) {
			t.Errorf("round %d: Holdings: got %+v, %v; want %d", round, held, err, len(kept))
		}
		if round%2 == 1 { // it can be opened again on the full disk
			s = reopen(t, s, dir, nil)
			l = acquire(t, s)
			if held, err := s.Holdings(t.Context()); err != nil || held[lane].Pending != len(kept) {
				t.Errorf("round %d: Holdings, opened again: got %+v, %v; want %d", round, held, err,
					len(kept))
			}
		}
		// Lanes go on: each attempt is marked before and after, in another order than that of the
		// file.
		for i := 0; i < len(kept); {
			var some []*store.Entry
			for n := 1 + i/100; n > 0 && i < len(kept); n, i = n-1, i+1 {
				some = append(some, kept[(i*7919)%len(kept)])
			}
			settle(t, l, 0, time.Now(), some...)
			settle(t, l, store.Delivered, time.Now(), some...)
		}
		if held, err := s.Holdings(t.Context()); err != nil || held[lane].Pending != 0 {
			t.Errorf("round %d: Holdings, settled: got %+v, %v", round, held, err)
		}
		// Then the file has free space again, or the disk has.
		if round%2 == 0 {
			limitFiles(t, 1<<40)
		}
		add(t, s, entry(fmt.Sprint("again ", round), "again"))
		settle(t, l, store.Delivered, time.Now(),
			&store.Entry{Seq: kept[len(kept)-1].Seq + 1, Problem: "again"})
	}
	limitFiles(t, 1<<40)
	s = reopen(t, s, dir, nil)
	if held, err := s.Holdings(t.Context()); err != nil || len(held) != 0 {
		t.Errorf("Holdings at the end: got %+v, %v", held, err)
	}
	t.Log("all rounds")
}
