package boltstore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/internal/torn"
	"github.com/guance-relay/guance-relay/relay/store"
)

const syncsEnv = "BOLTSTORE_TEST_SYNCS"

// A commit has two syncs: one for the pages and one for the page that points to them. With fewer,
// accepted events are lost; with more, each event is slower. There is one more for each step by
// which the file grows.
func TestTwoSyncsToACommit(t *testing.T) {
	if dir := os.Getenv(syncsEnv); dir != "" {
		oneOfEach(t, dir)
		return
	}
	dir := t.TempDir()
	if err := open(t, dir, nil).Close(); err != nil {
		t.Fatal(err)
	}
	ops := record(t, []string{os.Args[0], "-test.run=^TestTwoSyncsToACommit$"},
		append(os.Environ(), syncsEnv+"="+dir), filepath.Join(dir, "relay.db"))
	syncs, counted, last := 0, 0, ""
	for _, op := range ops {
		if op.Kind == torn.Sync {
			syncs++
		}
		step, told := strings.CutPrefix(string(op.Data), "step: ")
		if op.Kind != torn.Output || !told {
			continue
		}
		if last != "" {
			counted++
			if syncs != 2 {
				t.Errorf("%d syncs for %s, want 2", syncs, strings.TrimSpace(last))
			}
		}
		syncs, last = 0, step
	}
	if counted != 3 {
		t.Errorf("%d steps were counted, want 3: %d operations", counted, len(ops))
	}
}

// oneOfEach makes one commit of each kind. Before each it prints its name.
func oneOfEach(t *testing.T, dir string) {
	s := openSynced(t, dir, nil)
	l := acquire(t, s)
	var batch []*store.Entry
	for i := range 64 {
		batch = append(batch, entry(fmt.Sprint(i), fmt.Sprint("problem-", i)))
	}
	add(t, s, entry("first", "the file grows"))
	fmt.Println("step: an append of 64 events")
	add(t, s, batch...)
	fmt.Println("step: the mark of an attempt that begins")
	settle(t, l, 0, time.Now(), batch[0])
	fmt.Println("step: the marks of 64 outcomes")
	settle(t, l, store.Superseded, time.Now(), batch...)
	fmt.Println("step: the end")
}
