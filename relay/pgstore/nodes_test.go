package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/pgstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

func event(id, problem string, lanes ...string) *store.Event {
	e := &store.Event{
		ID: id, Problem: problem, State: guance.StateProblem, Level: guance.LevelError,
		Time: time.Now(), Accepted: time.Now(), Body: []byte(`{"id":"` + id + `"}`),
	}
	for _, l := range lanes {
		e.Wanted = append(e.Wanted, store.Offer{Lane: l})
	}
	return e
}

func batch(events ...*store.Event) *store.Batch { return &store.Batch{Events: events} }

func appendTo(t testing.TB, s store.Store, events ...*store.Event) {
	t.Helper()
	if err := s.Append(t.Context(), batch(events...)); err != nil {
		t.Fatal(err)
	}
}

func acquire(t testing.TB, s store.Store, node string, lanes ...string) store.ClusterLease {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	l, err := s.Acquire(ctx, store.Group{Node: node, Name: lanes[0], Lanes: lanes})
	if err != nil {
		t.Fatal(err)
	}
	return l.(store.ClusterLease)
}

// readAll reads with a cursor until there were n entries, and checks that none is passed over.
func readAll(ctx context.Context, l store.Lane, n int) (found []*store.Entry, err error) {
	var after uint64
	for len(found) < n {
		more, err := l.Read(ctx, after, 50)
		if err != nil {
			return found, err
		}
		for _, e := range more {
			if e.Seq <= after {
				return found, fmt.Errorf("entry %d came after %d", e.Seq, after)
			}
			after = e.Seq
		}
		found = append(found, more...)
	}
	return found, nil
}

// A cursor never passes over an entry that becomes visible later, whichever node appends it.
func TestNodesAppendInOrder(t *testing.T) {
	opts := schema(t, pgstore.Options{})
	a, b := open(t, opts), open(t, opts)
	l := acquire(t, a, "a", "lane").Lane("lane")
	const writers, each = 8, 60
	var placed sync.Map
	var wg sync.WaitGroup
	for w := range writers {
		s := []*pgstore.Store{a, b}[w%2]
		wg.Go(func() {
			for i := range each {
				events := []*store.Event{
					event(fmt.Sprint(w, "-", i), fmt.Sprint("p", i%7), "lane"),
					event(fmt.Sprint(w, "-", i, "-2"), fmt.Sprint("q", w), "lane", "other"),
				}
				if err := s.Append(t.Context(), batch(events...)); err != nil {
					t.Error(err)
					return
				}
				if w%2 == 1 { // both nodes report the same events
					again := event(fmt.Sprint(w, "-", i), "another", "lane")
					if err := a.Append(t.Context(), batch(again)); err != nil || !again.Duplicate {
						t.Errorf("an event that the other node has: duplicate %v, %v", again.Duplicate, err)
					}
				}
				for _, e := range events {
					seq := e.Placed[0].Seq
					if other, twice := placed.LoadOrStore(seq, e.ID); twice {
						t.Errorf("entry %d is %v and %v", seq, other, e.ID)
					}
				}
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	found, err := readAll(ctx, l, writers*each*2)
	wg.Wait()
	if err != nil {
		t.Fatalf("after %d entries: %v", len(found), err)
	}
	for _, e := range found {
		if id, _ := placed.Load(e.Seq); id != e.ID {
			t.Errorf("entry %d: read %v, appended %v", e.Seq, e.ID, id)
		}
	}
}

// An event that one node sends twice, and two nodes once each, is kept once.
func TestNodesRecogniseDuplicates(t *testing.T) {
	opts := schema(t, pgstore.Options{})
	nodes := []*pgstore.Store{open(t, opts), open(t, opts)}
	var kept atomic.Int64
	var wg sync.WaitGroup
	const ids = 40
	for w := range 4 {
		wg.Go(func() {
			for i := range ids {
				e := event(fmt.Sprint("id ", i), fmt.Sprint("p", i), "lane")
				if err := nodes[w%2].Append(t.Context(), batch(e)); err != nil {
					t.Error(err)
				} else if !e.Duplicate {
					kept.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if kept.Load() != ids {
		t.Errorf("%d of %d events were kept", kept.Load(), ids)
	}
}

// A lease of another node is waited for; Release and Close hand over at once.
func TestHandOver(t *testing.T) {
	opts := schema(t, pgstore.Options{})
	a, b := open(t, opts), open(t, opts)
	c, err := pgstore.Open(t.Context(), server.DSN(), opts)
	if err != nil {
		t.Fatal(err)
	}
	var took []time.Duration
	hand := func(from func(), to *pgstore.Store, lanes ...string) store.ClusterLease {
		acquired := make(chan store.ClusterLease, 1)
		go func() {
			l, err := to.Acquire(t.Context(), store.Group{Name: lanes[0], Lanes: lanes})
			if err != nil {
				t.Error(err)
				close(acquired)
				return
			}
			acquired <- l.(store.ClusterLease)
		}()
		select {
		case <-acquired:
			t.Error("Acquire did not wait for the lease of another node")
		case <-time.After(200 * time.Millisecond):
		}
		begin := time.Now()
		from()
		l := <-acquired
		took = append(took, time.Since(begin))
		return l
	}
	l := acquire(t, a, "a", "x", "y")
	for range 5 {
		old := l
		l = hand(func() { _ = old.Release() }, b, "y", "z") // one lane of the group is enough to wait
		select {
		case <-old.Lost():
		default:
			t.Error("Lost is open after Release")
		}
		old = l
		l = hand(func() { _ = old.Release() }, c, "x", "y", "z")
		old = l
		l = hand(func() { _ = old.Release() }, a, "y")
	}
	_ = l.Release()
	acquire(t, c, "c", "y")
	l = hand(func() { _ = c.Close() }, a, "y")
	slices.Sort(took)
	t.Logf("hand-over by Release: median %v, longest %v", took[len(took)/2], took[len(took)-1])
	if got := took[len(took)/2]; got > 300*time.Millisecond {
		t.Errorf("a hand-over by Release took %v", got)
	}
	e := event("1", "p", "y")
	appendTo(t, b, e)
	if found, err := l.Lane("y").Read(t.Context(), 0, 10); err != nil || len(found) != 1 {
		t.Errorf("the owner reads %d entries, %v", len(found), err)
	}
}

// An owner whose renewals do not arrive loses its lanes to another node, and can write nothing
// after that.
func TestPausedOwnerLoses(t *testing.T) {
	opts := schema(t, pgstore.Options{Timeout: 2 * time.Second})
	p := newProxy(t, fmt.Sprintf("127.0.0.1:%d", server.Port))
	a, b := openAt(t, server.DSNAt(p.address()), opts), open(t, opts)
	e := event("1", "p", "lane")
	appendTo(t, b, e)
	old := acquire(t, a, "a", "lane")
	read, err := old.Lane("lane").Read(t.Context(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		time.Sleep(time.Second)
		if left := time.Until(old.Until()); left <= 0 {
			t.Fatalf("a lease that is renewed ended %v ago", -left)
		}
	}
	p.set(func(p *proxy) { p.drop = true })
	begin := time.Now()
	l := acquire(t, b, "b", "lane")
	took := time.Since(begin)
	if took > 5*time.Second || time.Until(old.Until()) > 0 {
		t.Errorf("taken over after %v, while the old owner has %v left", took, time.Until(old.Until()))
	}
	t.Logf("hand-over from an owner that cannot be reached: %v", took)
	select {
	case <-old.Lost():
	case <-time.After(time.Second):
		t.Error("the old owner was not told")
	}
	mark := store.Mark{Seq: read[0].Seq, Problem: "p", State: guance.StateProblem, At: time.Now()}
	p.set(func(p *proxy) { p.drop = false })
	p.cut()
	err = old.Lane("lane").Mark(t.Context(), []store.Mark{mark})
	if !errors.Is(err, store.ErrFenced) {
		t.Errorf("Mark of the old owner: %v", err)
	}
	// The database itself refuses it, whatever the process takes for the time.
	pgstore.Unexpire(old)
	err = old.Lane("lane").Mark(t.Context(), []store.Mark{mark})
	if !errors.Is(err, store.ErrFenced) {
		t.Errorf("Mark of the old owner, whose clock stands still: %v", err)
	}
	mark.Outcome = store.Delivered
	if err := l.Lane("lane").Mark(t.Context(), []store.Mark{mark}); err != nil {
		t.Errorf("Mark of the new owner: %v", err)
	}
}

// Connections that fall silent, as behind a firewall that forgets them, are replaced in time: they
// cost no lease.
func TestSilentConnections(t *testing.T) {
	opts := schema(t, pgstore.Options{Lease: 6 * time.Second})
	p := newProxy(t, fmt.Sprintf("127.0.0.1:%d", server.Port))
	s := openAt(t, server.DSNAt(p.address()), opts)
	l := acquire(t, s, "node", "lane")
	p.silence()
	select {
	case <-l.Lost():
		t.Error("the lease was lost")
	case <-time.After(8 * time.Second):
	}
	appendTo(t, s, event("1", "p", "lane"))
	if _, err := l.Lane("lane").Load(t.Context(), 1); err != nil {
		t.Error(err)
	}
}

func TestOwnersAndRequests(t *testing.T) {
	opts := schema(t, pgstore.Options{})
	a, b := open(t, opts), open(t, opts)
	ctx := t.Context()
	if _, err := b.Ask(ctx, "lane", []byte("?")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Ask without an owner: %v", err)
	}
	l := acquire(t, a, "node a", "lane", "other")
	l.Publish("lane", []byte("figures"))
	deadline := time.Now().Add(10 * time.Second)
	for {
		owners, err := b.Owners(ctx)
		if err != nil {
			t.Fatal(err)
		}
		o := owners["lane"]
		if o.Node == "node a" && string(o.Figures) == "figures" && time.Since(o.At) < 5*time.Second &&
			owners["other"].Node == "node a" && len(owners) == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("Owners: %+v", owners)
		}
		time.Sleep(50 * time.Millisecond)
	}
	go func() {
		for {
			r, err := l.Next(ctx)
			if err != nil {
				return
			}
			if err := r.Answer(ctx, append([]byte(r.Lane+": "), r.Body...)); err != nil {
				t.Error(err)
			}
		}
	}()
	for i, s := range []*pgstore.Store{b, a, b} {
		begin := time.Now()
		answer, err := s.Ask(ctx, "other", fmt.Append(nil, i))
		if err != nil || string(answer) != fmt.Sprint("other: ", i) {
			t.Errorf("Ask: got %q, %v", answer, err)
		}
		t.Log("an answer took", time.Since(begin))
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	silent := acquire(t, a, "node a", "silent")
	if _, err := b.Ask(short, "silent", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ask of an owner that does not answer: %v", err)
	}
	if r, err := silent.Next(short); err == nil {
		t.Errorf("Next: got a request that was forgotten: %+v", r)
	}
	_ = l.Release()
	if _, err := l.Next(ctx); !errors.Is(err, store.ErrFenced) {
		t.Errorf("Next after Release: %v", err)
	}
	if _, err := b.Ask(ctx, "lane", []byte("?")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Ask after Release: %v", err)
	}
	appendTo(t, b, event("1", "p", "lane"), event("2", "q", "lane"), event("3", "p", "lane"))
	found, err := b.Pending(ctx, "lane", "p")
	if err != nil || len(found) != 2 || found[0].ID != "1" || found[1].ID != "3" ||
		found[0].Body != nil {
		t.Errorf("Pending: %v, %v", found, err)
	}
}

// Whatever a proxy does, an append that is repeated under its nonce until it succeeds is kept once,
// and the caller gets the sequence number of the entry that is there.
func TestNonceThroughABadProxy(t *testing.T) {
	opts := schema(t, pgstore.Options{Timeout: time.Second})
	p := newProxy(t, fmt.Sprintf("127.0.0.1:%d", server.Port))
	s, direct := openAt(t, server.DSNAt(p.address()), opts), open(t, opts)
	stop := make(chan struct{})
	var mess sync.WaitGroup
	var acts atomic.Int64
	mess.Go(func() {
		rnd := rand.New(rand.NewPCG(1, 2))
		for {
			select {
			case <-stop:
				p.set(func(p *proxy) { p.drop, p.refuse, p.answers = false, false, 0 })
				p.cut()
				return
			case <-time.After(time.Duration(rnd.IntN(150)) * time.Millisecond):
			}
			acts.Add(1)
			switch rnd.IntN(5) {
			case 0:
				p.cut()
			case 1: // the answer to what is on its way is lost
				p.set(func(p *proxy) { p.drop = true })
				time.Sleep(time.Duration(rnd.IntN(20)) * time.Millisecond)
				p.cut()
				p.set(func(p *proxy) { p.drop = false })
			case 2:
				p.set(func(p *proxy) { p.answers = time.Duration(rnd.IntN(30)) * time.Millisecond })
			case 3:
				p.set(func(p *proxy) { p.refuse = !p.refuse })
			default:
				p.set(func(p *proxy) { p.answers, p.refuse = 0, false })
			}
		}
	})
	const callers, turns = 8, 30
	var appended int
	var mu sync.Mutex
	got := make(map[uint64]string)
	var repeated atomic.Int64
	var wg sync.WaitGroup
	for w := range callers {
		wg.Go(func() {
			for i := 0; acts.Load() < turns; i++ {
				// Without an ID the nonce alone tells a repetition.
				body := fmt.Sprint(w, "/", i)
				b := batch(event("", fmt.Sprint("p", w), "lane"))
				b.Nonce, b.Events[0].Body = "nonce "+body, []byte(body)
				for {
					err := s.Append(t.Context(), b)
					if err == nil {
						break
					}
					if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) ||
						errors.Is(err, context.Canceled) {
						t.Errorf("Append: %v", err)
						return
					}
					repeated.Add(1)
					time.Sleep(10 * time.Millisecond)
				}
				mu.Lock()
				got[b.Events[0].Placed[0].Seq] = body
				appended++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	close(stop)
	mess.Wait()
	l := acquire(t, direct, "direct", "lane").Lane("lane")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	found, err := readAll(ctx, l, appended)
	if err != nil {
		t.Fatalf("after %d entries: %v", len(found), err)
	}
	for _, e := range found {
		whole, err := l.Load(ctx, e.Seq)
		if err != nil || string(whole.Body) != got[e.Seq] {
			t.Errorf("entry %d: %v; its caller got %q", e.Seq, err, got[e.Seq])
		}
	}
	if h, err := direct.Holdings(ctx); err != nil || h["lane"].Pending != appended {
		t.Errorf("%d entries are pending, want %d; %v", h["lane"].Pending, appended, err)
	}
	t.Logf("%d repetitions of %d appends", repeated.Load(), appended)
	if repeated.Load() == 0 {
		t.Error("the proxy did no harm")
	}
}

// A batch that is appended again under its nonce, by any node, is reported as the first time.
func TestNonceIsReportedAgain(t *testing.T) {
	opts := schema(t, pgstore.Options{MaxEntries: 5, MaxLaneEntries: 2})
	nodes := []*pgstore.Store{open(t, opts), open(t, opts)}
	appendTo(t, nodes[0], event("known", "p", "lane"))
	for n, events := range []func() []*store.Event{
		func() []*store.Event { // a duplicate, one for two lanes, and one for none
			return []*store.Event{event("known", "p", "lane"), event("a", "p", "other"), event("b", "q")}
		},
		func() []*store.Event { return []*store.Event{event("c", "p", "lane")} }, // the lane is full
		func() []*store.Event { return []*store.Event{event("d", "r")} },
	} {
		var want string
		for i := range 4 {
			b := batch(events()...)
			b.Nonce = fmt.Sprint("nonce ", n)
			if err := nodes[i%2].Append(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, e := range b.Events {
				got += fmt.Sprintf("%v %+v; ", e.Duplicate, e.Placed)
			}
			if i == 0 {
				want = got
			} else if got != want {
				t.Errorf("batch %d: reported %s, then %s", n, want, got)
			}
		}
	}
	// What was refused was not kept, and its nonce can be used again.
	b := batch(event("x", "x", "x"), event("y", "y", "x"), event("z", "z", "y"))
	b.Nonce = "full"
	if err := nodes[0].Append(t.Context(), b); !errors.Is(err, store.ErrFull) {
		t.Errorf("Append to a full store: %v", err)
	}
	l := acquire(t, nodes[1], "b", "lane").Lane("lane")
	found, err := l.Read(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		if err := l.Mark(t.Context(), []store.Mark{markOf(e, store.Superseded)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := nodes[0].Append(t.Context(), b); err != nil || len(b.Events[2].Placed) != 1 {
		t.Errorf("the same batch when there is room: %v, %+v", err, b.Events[2].Placed)
	}
	// Several callers with one nonce at once.
	opts = schema(t, pgstore.Options{})
	nodes = []*pgstore.Store{open(t, opts), open(t, opts)}
	var wg sync.WaitGroup
	seqs := make([]uint64, 6)
	for i := range seqs {
		wg.Go(func() {
			b := batch(event("", "one", "one"))
			b.Nonce = "one"
			if err := nodes[i%2].Append(t.Context(), b); err != nil {
				t.Error(err)
				return
			}
			seqs[i] = b.Events[0].Placed[0].Seq
		})
	}
	wg.Wait()
	for _, seq := range seqs {
		if seq != 1 {
			t.Errorf("six callers with one nonce got the entries %v", seqs)
			break
		}
	}
}
