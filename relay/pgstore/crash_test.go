package pgstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/pgstore"
	"github.com/guance-relay/guance-relay/relay/pgstore/pgtest"
	"github.com/guance-relay/guance-relay/relay/store"
)

// ownServer starts a server for a test that stops it.
func ownServer(t *testing.T) *pgtest.Server {
	t.Helper()
	if server == nil {
		t.Skip("SKIPPED: PostgreSQL is not installed")
	}
	s, err := pgtest.Start(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// A load appends and marks through two nodes until it is stopped.
type load struct {
	t        *testing.T
	appended sync.Map // acknowledged: the body, by sequence number
	nonces   atomic.Int64
	count    atomic.Int64
	failed   atomic.Int64
	stop     chan struct{}
	wg       sync.WaitGroup
}

func startLoad(t *testing.T, nodes ...*pgstore.Store) *load {
	l := &load{t: t, stop: make(chan struct{})}
	for w := range 8 {
		l.wg.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				l.append(nodes[w%len(nodes)], w)
			}
		})
	}
	return l
}

func (l *load) append(s *pgstore.Store, w int) {
	n := l.nonces.Add(1)
	b := batch(event("", fmt.Sprint("p", n%50), "lane"))
	b.Nonce, b.Events[0].Body = fmt.Sprint("nonce ", n), fmt.Append(nil, n)
	for {
		err := s.Append(context.Background(), b)
		if err == nil {
			break
		}
		if !errors.Is(err, store.ErrUnavailable) {
			l.t.Errorf("Append: %v", err)
			return
		}
		l.failed.Add(1)
		select {
		case <-l.stop: // what becomes of it is not known
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	l.count.Add(1)
	e := b.Events[0]
	if old, twice := l.appended.LoadOrStore(e.Placed[0].Seq, string(e.Body)); twice {
		l.t.Errorf("entry %d was given out for %v and for %s", b.Events[0].Placed[0].Seq, old,
			b.Events[0].Body)
	}
}

// A crash of the server under load loses nothing that was acknowledged, and calls go on after it.
func TestCrashOfTheServer(t *testing.T) {
	server := ownServer(t)
	opts := &pgstore.Options{Logger: quiet(t)}
	a, b := openAt(t, server.DSN(), opts), openAt(t, server.DSN(), opts)
	load := startLoad(t, a, b)
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	for range rounds {
		time.Sleep(400 * time.Millisecond)
		if err := server.Stop("immediate"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		if err := server.StartAgain(); err != nil {
			t.Fatal(err)
		}
		before := load.count.Load()
		for begin := time.Now(); load.count.Load() == before; time.Sleep(10 * time.Millisecond) {
			if time.Since(begin) > 10*time.Second {
				t.Fatal("nothing is appended after the server is up again")
			}
		}
	}
	close(load.stop)
	load.wg.Wait()
	l := acquire(t, b, "b", "lane").Lane("lane")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	h, err := b.Holdings(ctx)
	if err != nil {
		t.Fatal(err)
	}
	found, err := readAll(ctx, l, h["lane"].Pending)
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[uint64]bool)
	for _, e := range found {
		have[e.Seq] = true
	}
	load.appended.Range(func(seq, body any) bool {
		if !have[seq.(uint64)] {
			t.Errorf("entry %d (%v) was acknowledged and is lost", seq, body)
		}
		return true
	})
	if more := int64(len(found)) - load.count.Load(); more < 0 || more > 8 {
		t.Errorf("%d entries for %d acknowledged appends by 8 callers", len(found), load.count.Load())
	}
	t.Logf("%d appends acknowledged, %d were unavailable at first, %d entries", load.count.Load(),
		load.failed.Load(), len(found))
}

// While there is no engine, calls are unavailable, and leases end. Then everything goes on.
func TestNoEngineForSeconds(t *testing.T) {
	server := ownServer(t)
	opts := &pgstore.Options{Logger: quiet(t), Timeout: 2 * time.Second}
	s := openAt(t, server.DSN(), opts)
	appendTo(t, s, event("1", "p", "lane"))
	lease := acquire(t, s, "node", "lane")
	lane := lease.Lane("lane")
	found, err := lane.Read(t.Context(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	before := s.Clock()
	begin := time.Now()
	if err := server.Stop("fast"); err != nil {
		t.Fatal(err)
	}
	mark := []store.Mark{{Seq: found[0].Seq, Problem: "p", State: guance.StateProblem}}
	for name, call := range map[string]func(context.Context) error{
		"Append": func(ctx context.Context) error {
			return s.Append(ctx, batch(event("2", "p", "lane")))
		},
		"Holdings": func(ctx context.Context) error { _, err := s.Holdings(ctx); return err },
		"Check":    s.Check,
		"Rename":   func(ctx context.Context) error { return s.Rename(ctx, "x", "y") },
		"Acquire": func(ctx context.Context) error {
			_, err := s.Acquire(ctx, store.Group{Name: "z", Lanes: []string{"z"}})
			return err
		},
	} {
		from := time.Now()
		err := call(t.Context())
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) ||
			errors.Is(err, context.Canceled) {
			t.Errorf("%s without an engine: %v", name, err)
		}
		if took := time.Since(from); took > 3*time.Second {
			t.Errorf("%s without an engine took %v", name, took)
		}
	}
	select {
	case <-lease.Lost():
		if left := time.Until(lease.Until()); left > 10*time.Millisecond {
			t.Errorf("lost with %v left", left)
		}
	case <-time.After(4 * time.Second):
		t.Error("a lease that cannot be renewed did not end")
	}
	if err := lane.Mark(t.Context(), mark); !errors.Is(err, store.ErrFenced) {
		t.Errorf("Mark after the lease has ended: %v", err)
	}
	time.Sleep(time.Second)
	if err := server.StartAgain(); err != nil {
		t.Fatal(err)
	}
	up := time.Now()
	for s.Append(t.Context(), batch(event("3", "p", "lane"))) != nil {
		if time.Since(up) > 5*time.Second {
			t.Fatal("appends do not go on")
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Log("appended after", time.Since(up))
	if grown, real := s.Clock()-before, time.Since(begin); grown < real*9/10 || grown > real*11/10 {
		t.Errorf("Clock grew by %v in %v, of which there was no engine for some seconds", grown, real)
	}
	lane = acquire(t, s, "node", "lane").Lane("lane")
	if err := lane.Mark(t.Context(), mark); err != nil {
		t.Error(err)
	}
}

// child is what the test binary does in a process of its own: it owns the lane and reports.
const childEnv = "RELAY_PGSTORE_TEST_CHILD"

func TestChild(t *testing.T) {
	at := os.Getenv(childEnv)
	if at == "" {
		t.Skip("for TestStoppedProcess")
	}
	dsn, schema, _ := strings.Cut(at, " ")
	s, err := pgstore.Open(t.Context(), dsn, &pgstore.Options{Schema: schema, Logger: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l, err := s.Acquire(t.Context(), store.Group{Node: "child", Name: "lane", Lanes: []string{"lane"}})
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		found, err := l.Lane("lane").Read(t.Context(), 0, 1)
		if err == nil {
			err = l.Lane("lane").Mark(t.Context(), []store.Mark{{Seq: found[0].Seq,
				Problem: found[0].Problem, Failed: n, State: found[0].State, At: time.Now()}})
		}
		if err != nil {
			fmt.Printf("child: ended, fenced: %v, until in the future: %v: %v\n",
				errors.Is(err, store.ErrFenced), time.Until(l.Until()) > 0, err)
			return
		}
		fmt.Println("child: marked", n)
	}
}

// A process that is stopped in the middle of its calls holds nothing up, and is fenced when it goes
// on; one that is killed is followed within the time of the lease.
func TestStoppedProcess(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			opts := schema(t, pgstore.Options{})
			s := open(t, opts)
			appendTo(t, s, event("1", "p", "lane"))
			cmd := exec.Command(os.Args[0], "-test.run", "^TestChild$")
			cmd.Env = append(os.Environ(), childEnv+"="+server.DSN()+" "+opts.Schema)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer cmd.Process.Kill()
			lines := bufio.NewScanner(out)
			for n := 0; n < 30 && lines.Scan(); n++ { // it is in the middle of its marks
			}
			go func() {
				if signal == syscall.SIGKILL {
					for lines.Scan() {
					}
				}
			}()
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			appendTo(t, s, event("2", "q", "lane"))
			if took := time.Since(begin); took > time.Second {
				t.Errorf("an append took %v, while another process is stopped", took)
			}
			l := acquire(t, s, "parent", "lane")
			took := time.Since(begin)
			t.Log("hand-over:", took)
			if took > 3500*time.Millisecond {
				t.Errorf("the hand-over took %v", took)
			}
			if signal == syscall.SIGKILL {
				return
			}
			before, err := l.Lane("lane").Load(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			last := ""
			for lines.Scan() {
				if strings.HasPrefix(lines.Text(), "child: ended") {
					last = lines.Text()
				}
			}
			if !strings.Contains(last, "fenced: true, until in the future: false") {
				t.Errorf("the process that went on said: %q", last)
			}
			after, err := l.Lane("lane").Load(t.Context(), 1)
			if err != nil || after.Failed != before.Failed {
				t.Errorf("it marked after the hand-over: %d became %d, %v", before.Failed, after.Failed, err)
			}
		})
	}
}
