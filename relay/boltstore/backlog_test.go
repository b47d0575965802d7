package boltstore_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

// The figures of a large backlog take a minute and two gigabytes of disk, so that they are asked for by name:
//
//	go test ./relay/boltstore -run TestBacklog -backlog 1000000 -v
//
// Without the flag the test runs with a small backlog, and holds the store to the same bounds.
var backlog = flag.Int("backlog", 20_000, "entries in TestBacklog")

// reopenEnv names the directory that a child process of TestBacklog opens.
const reopenEnv = "BOLTSTORE_TEST_REOPEN"

// TestBacklog fills a store, has another process open and list it, and drains it, three times. The file
// may grow by two steps of 16 MiB after the first time, as records and history come to stand between what was free, and then no more.
func TestBacklog(t *testing.T) {
	if dir := os.Getenv(reopenEnv); dir != "" {
		listBacklog(t, dir)
		return
	}
	dir := t.TempDir()
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "relay.db"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	var sizes [3]int64
	for round := range sizes {
		s := open(t, dir, nil)
		start := time.Now()
		const callers = 64
		each := *backlog / callers
		inParallel(callers, func(c int) {
			body := []byte(strings.Repeat("b", 2000))
			for i := range each {
				e := benchEntry(fmt.Sprintf("event-%d-%d-%d/critical/", round, c, i), fmt.Sprintf("0f8e5a1c9d3b4e7f8a6c2d1b-%d", (i*callers+c)%(*backlog/4)), body)
				if err := s.Append(context.Background(), []*relay.Entry{e}); err != nil {
					t.Error(err)
				}
			}
		})
		filled := time.Since(start)
		sizes[round] = size()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, line := range listElsewhere(t, dir) {
			t.Log(line)
		}

		s = open(t, dir, nil)
		lease, err := s.Acquire(t.Context(), "pagerduty")
		if err != nil {
			t.Fatal(err)
		}
		start = time.Now()
		drained := 0
		for after := uint64(0); drained < each*callers; {
			entries, err := lease.Read(t.Context(), after, 1000)
			if err != nil {
				t.Fatal(err)
			}
			var marks []relay.Mark
			for _, e := range entries {
				marks = append(marks, relay.Mark{Seq: e.Seq, Problem: e.Problem, State: e.State, Level: e.Level, Time: e.Time, Outcome: relay.Superseded, At: time.Now()})
				after = e.Seq
			}
			if err := lease.Mark(t.Context(), marks); err != nil {
				t.Fatal(err)
			}
			drained += len(entries)
		}
		t.Logf("%d entries: filled in %v, %d MB; drained in %v, %d MB", drained, filled.Round(time.Millisecond), sizes[round]>>20, time.Since(start).Round(time.Millisecond), size()>>20)
		if held, err := s.Holdings(t.Context()); err != nil || len(held) != 0 {
			t.Errorf("Holdings of a drained store: %v, %v", held, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if perEntry := sizes[0] / int64(*backlog); perEntry > 3000 {
		t.Errorf("an event of 2,000 bytes takes %d bytes of the file", perEntry)
	}
	if step := int64(33 << 20); sizes[2] > sizes[0]+max(step, sizes[0]/20) {
		t.Errorf("the file grew from %d to %d and %d bytes when it was filled again", sizes[0], sizes[1], sizes[2])
	}
}

// listElsewhere lists the backlog in a process of its own and returns what it says.
func listElsewhere(t *testing.T, dir string) (lines []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestBacklog$", fmt.Sprint("-backlog=", *backlog))
	cmd.Env = append(os.Environ(), reopenEnv+"="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the process that opens the backlog: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if _, text, ok := strings.Cut(line, "backlog: "); ok {
			lines = append(lines, strings.TrimSpace(text))
		}
	}
	return lines
}

func listBacklog(t *testing.T, dir string) {
	runtime.GC()
	before := memory(t)
	start := time.Now()
	s := open(t, dir, nil)
	opened := time.Since(start)
	afterOpen := memory(t)
	lease, err := s.Acquire(t.Context(), "pagerduty")
	if err != nil {
		t.Fatal(err)
	}
	held, err := s.Holdings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	n, most := 0, 0
	for after := uint64(0); n < held["pagerduty"].Pending; {
		entries, err := lease.Read(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		after = entries[len(entries)-1].Seq
		if n += len(entries); n%50_000 == 0 {
			most = max(most, memory(t)["VmRSS"])
		}
	}
	read := time.Since(start)
	after := memory(t)
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Printf("backlog: %d entries opened in %v and listed in %v\n", n, opened.Round(time.Millisecond), read.Round(time.Millisecond))
	fmt.Printf("backlog: resident before %d MiB, opened %d MiB, while listing up to %d MiB, listed %d MiB, peak %d MiB; heap %d MiB\n",
		before["VmRSS"]>>10, afterOpen["VmRSS"]>>10, most>>10, after["VmRSS"]>>10, after["VmHWM"]>>10, stats.HeapAlloc>>20)
	if rss := max(afterOpen["VmRSS"], most, after["VmRSS"]); rss > 200<<10 {
		t.Errorf("%d KiB resident, and 200 MiB are allowed", rss)
	}
}

// memory returns the kernel's figures of this process in KiB; none where there are none.
func memory(t *testing.T) map[string]int {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return nil
	}
	defer f.Close()
	figures := make(map[string]int)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		var n int
		if _, err := fmt.Sscanf(strings.TrimSpace(rest), "%d kB", &n); err == nil {
			figures[name] = n
		}
	}
	return figures
}
