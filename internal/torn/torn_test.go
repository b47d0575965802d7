package torn

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMain lets the test binary be the recorded program.
func TestMain(m *testing.M) {
	if path := os.Getenv("TORN_FILE"); path != "" {
		write(path)
		return
	}
	os.Exit(m.Run())
}

func write(path string) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		panic(err)
	}
	for i := range 3 {
		if _, err := f.WriteAt([]byte{byte(i), 0, '"', '\n'}, int64(i)*10); err != nil {
			panic(err)
		}
		if err := f.Sync(); err != nil {
			panic(err)
		}
		fmt.Println("synced", i)
	}
	if err := f.Truncate(100); err != nil {
		panic(err)
	}
}

func TestRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Record([]string{os.Args[0]}, []string{"TORN_FILE=" + path}, path)
	if err != nil {
		t.Fatal(err)
	}
	var want []Op
	for i := range 3 {
		want = append(want, Op{Kind: Write, Offset: int64(i) * 10, Data: []byte{byte(i), 0, '"', '\n'}},
			Op{Kind: Sync},
			Op{Kind: Output, Data: fmt.Appendf(nil, "synced %d\n", i)})
	}
	want = append(want, Op{Kind: Resize, Size: 100})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A sync that another thread interrupts counts when it has ended, and a write when it begins.
func TestParseInterrupted(t *testing.T) {
	const fd = `3<\x2f\x66>`
	trace := strings.Join([]string{
		`1 pwrite64(` + fd + `, "\x61", 1, 7 <unfinished ...>`,
		`2 fdatasync(` + fd + ` <unfinished ...>`,
		`1 <... pwrite64 resumed>) = 1`,
		`3 write(1<\x2f\x78>, "\x62", 1 <unfinished ...>`,
		`2 <... fdatasync resumed>) = 0`,
		`3 <... write resumed>) = 1`,
		`2 pwrite64(4<\x2f\x67>, "\x61", 1, 7) = 1`,
		`2 fallocate(` + fd + `, 0, 4096, 8192) = 0`,
		`2 +++ exited with 0 +++`, "",
	}, "\n")
	got, err := parse(strings.NewReader(trace), "/f")
	if err != nil {
		t.Fatal(err)
	}
	want := []Op{{Kind: Write, Offset: 7, Data: []byte("a")}, {Kind: Sync},
		{Kind: Output, Data: []byte("b")}, {Kind: Grow, Size: 12288}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := parse(strings.NewReader(`1 fsync(`+fd+`) = -1 EIO (Input/output error)`+"\n"),
		"/f"); err == nil {
		t.Error("a call that failed passes")
	}
}

func TestCrash(t *testing.T) {
	d := NewDisk([]byte("old"))
	d.Do(Op{Kind: Write, Data: []byte("new")})
	d.Do(Op{Kind: Sync})
	d.Do(Op{Kind: Write, Offset: 3, Data: bytes.Repeat([]byte("x"), 2*sector)})
	rng := rand.New(rand.NewPCG(1, 1))
	whole := append([]byte("new"), bytes.Repeat([]byte("x"), 2*sector)...)
	if got := d.Crash(DropAll, rng); string(got) != "new" {
		t.Errorf("DropAll: %.10q, want what was synced", got)
	}
	if got := d.Crash(KeepAll, rng); !bytes.Equal(got, whole) {
		t.Error("KeepAll: not everything is there")
	}
	if got := d.Crash(TearLast, rng); len(got) != len(whole) || bytes.Equal(got, whole) ||
		!bytes.HasPrefix(got, whole[:sector]) || got[sector] != 0 {
		t.Error("the last write is not torn at its second sector")
	}
	differ := make(map[string]bool)
	for range 100 {
		got := d.Crash(TearSome, rng)
		if string(got[:3]) != "new" {
			t.Fatal("what was synced is gone")
		}
		differ[string(got)] = true
	}
	if len(differ) < 4 {
		t.Errorf("a hundred crashes leave %d files, want every mixture of three sectors", len(differ))
	}
}
