package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A brokenNode is a handle of a cluster with one bug.
type brokenNode struct {
	*memstore.Handle
	*brokenCluster
	name string
}

// A brokenCluster is what the nodes with one bug have in common: a field that is set replaces the
// method of that name.
type brokenCluster struct {
	mu     sync.Mutex
	owners map[string]store.Lease // the newest of each lane

	append   func(n *brokenNode, ctx context.Context, b *store.Batch) error
	acquire  func(n *brokenNode, ctx context.Context, g store.Group) (store.Lease, error)
	ownersOf func(n *brokenNode, ctx context.Context) (map[string]store.Owner, error)
	pending  func(n *brokenNode, ctx context.Context, lane, problem string) ([]*store.Entry, error)
	ask      func(n *brokenNode, ctx context.Context, lane string, body []byte) ([]byte, error)

	lost    func(l store.ClusterLease) <-chan struct{}
	until   func(l store.ClusterLease) time.Time
	release func(l *brokenClusterLease) error
	publish func(l store.ClusterLease, lane string, figures []byte)
	next    func(l store.ClusterLease, ctx context.Context) (*store.Request, error)

	read func(l store.Lane, ctx context.Context, after uint64, limit int) ([]*store.Entry, error)
	load func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error)
	mark func(l store.Lane, ctx context.Context, marks []store.Mark) error

	pause func(l store.Lane, ctx context.Context) (store.Pause, error)
}

func (n *brokenNode) Append(ctx context.Context, b *store.Batch) error {
	if n.append != nil {
		return n.append(n, ctx, b)
	}
	return n.Handle.Append(ctx, b)
}

func (n *brokenNode) Acquire(ctx context.Context, g store.Group) (store.Lease, error) {
	acquire := n.acquire
	if acquire == nil {
		acquire = acquireOf
	}
	l, err := acquire(n, ctx, g)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range g.Lanes {
		n.brokenCluster.owners[name] = l
	}
	return &brokenClusterLease{l.(store.ClusterLease), n.brokenCluster, g.Lanes}, nil
}

func acquireOf(n *brokenNode, ctx context.Context, g store.Group) (store.Lease, error) {
	return n.Handle.Acquire(ctx, g)
}

func (n *brokenNode) Owners(ctx context.Context) (map[string]store.Owner, error) {
	if n.ownersOf != nil {
		return n.ownersOf(n, ctx)
	}
	return n.Handle.Owners(ctx)
}

func (n *brokenNode) Pending(
	ctx context.Context, lane, problem string,
) ([]*store.Entry, error) {
	if n.pending != nil {
		return n.pending(n, ctx, lane, problem)
	}
	return n.Handle.Pending(ctx, lane, problem)
}

func (n *brokenNode) Ask(ctx context.Context, lane string, body []byte) ([]byte, error) {
	if n.ask != nil {
		return n.ask(n, ctx, lane, body)
	}
	return n.Handle.Ask(ctx, lane, body)
}

type brokenClusterLease struct {
	store.ClusterLease
	*brokenCluster
	lanes []string
}

func (l *brokenClusterLease) Lost() <-chan struct{} {
	if l.lost != nil {
		return l.lost(l.ClusterLease)
	}
	return l.ClusterLease.Lost()
}

func (l *brokenClusterLease) Until() time.Time {
	if l.until != nil {
		return l.until(l.ClusterLease)
	}
	return l.ClusterLease.Until()
}

func (l *brokenClusterLease) Release() error {
	if l.release != nil {
		return l.release(l)
	}
	return l.ClusterLease.Release()
}

func (l *brokenClusterLease) Publish(lane string, figures []byte) {
	if l.publish != nil {
		l.publish(l.ClusterLease, lane, figures)
		return
	}
	l.ClusterLease.Publish(lane, figures)
}

func (l *brokenClusterLease) Next(ctx context.Context) (*store.Request, error) {
	if l.next != nil {
		return l.next(l.ClusterLease, ctx)
	}
	return l.ClusterLease.Next(ctx)
}

func (l *brokenClusterLease) Lane(name string) store.Lane {
	return &brokenClusterLane{l.ClusterLease.Lane(name), l.brokenCluster}
}

type brokenClusterLane struct {
	store.Lane
	bug *brokenCluster
}

func (l *brokenClusterLane) Read(
	ctx context.Context, after uint64, limit int,
) ([]*store.Entry, error) {
	if l.bug.read != nil {
		return l.bug.read(l.Lane, ctx, after, limit)
	}
	return l.Lane.Read(ctx, after, limit)
}

func (l *brokenClusterLane) Load(ctx context.Context, seq uint64) (*store.Entry, error) {
	if l.bug.load != nil {
		return l.bug.load(l.Lane, ctx, seq)
	}
	return l.Lane.Load(ctx, seq)
}

func (l *brokenClusterLane) Mark(ctx context.Context, marks []store.Mark) error {
	if l.bug.mark != nil {
		return l.bug.mark(l.Lane, ctx, marks)
	}
	return l.Lane.Mark(ctx, marks)
}

func (l *brokenClusterLane) Pause(ctx context.Context) (store.Pause, error) {
	if l.bug.pause != nil {
		return l.bug.pause(l.Lane, ctx)
	}
	return l.Lane.Pause(ctx)
}

// steal ends the ownership of lanes, whoever has it.
func (b *brokenCluster) steal(lanes []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range lanes {
		if l := b.owners[name]; l != nil {
			_ = l.Release() // its node is not cut off
		}
	}
}

// never is Lost of a lease whose end is not told.
func never(store.ClusterLease) <-chan struct{} { return make(chan struct{}) }

// later is Lost of a lease whose end is told late.
func later(d time.Duration) func(store.ClusterLease) <-chan struct{} {
	return func(l store.ClusterLease) <-chan struct{} {
		late := make(chan struct{})
		go func() {
			<-l.Lost()
			time.Sleep(d)
			close(late)
		}()
		return late
	}
}

var clusterBugs = []bug[brokenCluster]{
	{"a pause is of one node", func(b *brokenCluster) {
		b.pause = func(l store.Lane, ctx context.Context) (store.Pause, error) {
			_, err := l.Pause(ctx)
			return store.Pause{}, err
		}
	}, pauseAcrossCheck},
	{"entries are numbered by a sequence", func(b *brokenCluster) { numberBySequence(b, "b") },
		"Append of several nodes becomes visible in order"},
	{"each node remembers its own events", func(b *brokenCluster) {
		b.append = func(n *brokenNode, ctx context.Context, batch *store.Batch) error {
			for _, e := range batch.Events {
				e.Source += n.name
			}
			return n.Handle.Append(ctx, batch)
		}
	}, "Append recognises the duplicates of other nodes"},
	{"duplicates are looked up outside the transaction", func(b *brokenCluster) {
		seen := make(map[string]bool)
		b.append = func(n *brokenNode, ctx context.Context, batch *store.Batch) error {
			e := batch.Events[0]
			b.mu.Lock()
			known := seen[e.ID]
			b.mu.Unlock()
			if e.Duplicate = known; known {
				return nil
			}
			time.Sleep(time.Millisecond)
			b.mu.Lock()
			defer b.mu.Unlock()
			seen[e.ID] = true
			e.Source += n.name
			return n.Handle.Append(ctx, batch)
		}
	}, "Append recognises the duplicates of other nodes"},
	{"a nonce is ignored", func(b *brokenCluster) {
		b.append = func(n *brokenNode, ctx context.Context, batch *store.Batch) error {
			c := *batch
			c.Nonce = ""
			return n.Handle.Append(ctx, &c)
		}
	}, "Append under a nonce is repeated"},
	{"a nonce is ignored where the answer was lost", func(b *brokenCluster) {
		b.append = func(n *brokenNode, ctx context.Context, batch *store.Batch) error {
			c := *batch
			c.Nonce = ""
			return n.Handle.Append(ctx, &c)
		}
	}, "Append under a nonce outlives a lost answer"},
	{"what is repeated under a nonce has no place", func(b *brokenCluster) {
		seen := make(map[string]bool)
		b.append = func(n *brokenNode, ctx context.Context, batch *store.Batch) error {
			err := n.Handle.Append(ctx, batch)
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, e := range batch.Events {
				if seen[batch.Nonce] {
					e.Placed = nil
				}
			}
			seen[batch.Nonce] = batch.Nonce != ""
			return err
		}
	}, "Append under a nonce is repeated"},
	{"a nonce is remembered before the events are kept", func(b *brokenCluster) {
		seen := make(map[string]bool)
		b.append = func(n *brokenNode, ctx context.Context, batch *store.Batch) error {
			b.mu.Lock()
			known := seen[batch.Nonce]
			seen[batch.Nonce] = true
			b.mu.Unlock()
			if known {
				return nil
			}
			return n.Handle.Append(ctx, batch)
		}
	}, "Append under a nonce outlives a lost answer"},
	{"an unknown outcome is the error of a context", func(b *brokenCluster) {
		b.append = func(n *brokenNode, ctx context.Context, batch *store.Batch) error {
			err := n.Handle.Append(ctx, batch)
			if errors.Is(err, store.ErrUnavailable) {
				err = errors.Join(err, context.DeadlineExceeded)
			}
			return err
		}
	}, "Append under a nonce outlives a lost answer"},
	{"Acquire takes the lanes of another node", func(b *brokenCluster) {
		b.acquire = func(n *brokenNode, ctx context.Context, g store.Group) (store.Lease, error) {
			b.steal(g.Lanes)
			return n.Handle.Acquire(ctx, g)
		}
	}, "Acquire waits for an owner in another node"},
	{"Acquire waits for the first lane alone", func(b *brokenCluster) {
		b.acquire = func(n *brokenNode, ctx context.Context, g store.Group) (store.Lease, error) {
			b.steal(g.Lanes[1:])
			return n.Handle.Acquire(ctx, g)
		}
	}, "Acquire waits for each lane of its group"},
	{"Acquire is not woken by Release", func(b *brokenCluster) {
		acquireByPolling(b, 3*time.Second)
	}, "Acquire waits for an owner in another node"},
	{"leases are not renewed", func(b *brokenCluster) {
		b.acquire = func(n *brokenNode, ctx context.Context, g store.Group) (store.Lease, error) {
			l, err := n.Handle.Acquire(ctx, g)
			if err == nil {
				time.AfterFunc(time.Until(l.Until()), func() { _ = l.Release() })
			}
			return l, err
		}
	}, "Acquire waits for an owner in another node"},
	{"Until is not renewed", func(b *brokenCluster) {
		untils := make(map[store.ClusterLease]time.Time)
		b.until = func(l store.ClusterLease) time.Time {
			b.mu.Lock()
			defer b.mu.Unlock()
			if untils[l].IsZero() {
				untils[l] = l.Until()
			}
			return untils[l]
		}
	}, "Acquire waits for an owner in another node"},
	{"an owner is not fenced when another node acquires", func(b *brokenCluster) {
		b.load = func(l store.Lane, ctx context.Context, seq uint64) (*store.Entry, error) {
			e, err := l.Load(ctx, seq)
			if errors.Is(err, store.ErrFenced) {
				return &store.Entry{Seq: seq}, nil
			}
			return e, err
		}
	}, "Release fences the owner for other nodes"},
	{"a mark of a paused owner takes effect", func(b *brokenCluster) {
		b.mark = func(l store.Lane, ctx context.Context, marks []store.Mark) error {
			err := l.Mark(ctx, marks)
			if errors.Is(err, store.ErrFenced) {
				b.mu.Lock()
				defer b.mu.Unlock()
				return b.owners[lane].Lane(lane).Mark(ctx, marks)
			}
			return err
		}
	}, "a paused owner loses its lease"},
	{"a paused owner is not told", func(b *brokenCluster) { b.lost = never },
		"a paused owner loses its lease"},
	{"a lease ends before its Until", func(b *brokenCluster) {
		b.until = func(l store.ClusterLease) time.Time { return l.Until().Add(time.Second) }
	}, "a paused owner loses its lease"},
	{"Acquire is not woken by the end of a lease", func(b *brokenCluster) {
		acquireByPolling(b, 10*time.Second)
	}, "a paused owner loses its lease"},
	{"Release of a paused owner ends the lease of another", func(b *brokenCluster) {
		b.release = func(l *brokenClusterLease) error {
			b.steal(l.lanes)
			return nil
		}
	}, "a paused owner loses its lease"},
	{"an owner that is cut off is told late", func(b *brokenCluster) { b.lost = later(time.Second) },
		"an owner that is cut off loses its lease in time"},
	{"a lease that is not renewed ends before its Until", func(b *brokenCluster) {
		b.until = func(l store.ClusterLease) time.Time { return l.Until().Add(time.Second) }
	}, "an owner that is cut off loses its lease in time"},
	{"a lease goes on after a write without an answer", func(b *brokenCluster) {
		b.lost = later(time.Second)
	}, "a write without an answer ends the lease"},
	{"a mark without an answer is taken for one that failed", func(b *brokenCluster) {
		b.mark = func(l store.Lane, ctx context.Context, marks []store.Mark) error {
			err := l.Mark(ctx, marks)
			if errors.Is(err, store.ErrUnavailable) {
				return context.DeadlineExceeded
			}
			return err
		}
	}, "a write without an answer ends the lease"},
	{"a store that is cut off shows no owners", func(b *brokenCluster) {
		b.ownersOf = func(n *brokenNode, ctx context.Context) (map[string]store.Owner, error) {
			owners, err := n.Handle.Owners(ctx)
			if errors.Is(err, store.ErrUnavailable) {
				err = nil
			}
			return owners, err
		}
	}, "a store that is cut off answers ErrUnavailable"},
	{"a read that waits does not notice that the store is cut off", func(b *brokenCluster) {
		b.read = func(l store.Lane, ctx context.Context, after uint64, limit int) ([]*store.Entry,
			error) {
			found, err := l.Read(ctx, after, limit)
			if errors.Is(err, store.ErrUnavailable) {
				<-ctx.Done()
			}
			return found, err
		}
	}, "a store that is cut off answers ErrUnavailable"},
	{"a roll-back ends no lease", func(b *brokenCluster) { b.lost = never },
		"a roll-back ends the leases"},
	{"a cursor outlives a roll-back", func(b *brokenCluster) {
		b.read = func(l store.Lane, ctx context.Context, after uint64, limit int) ([]*store.Entry,
			error) {
			found, err := l.Read(ctx, after, limit)
			if errors.Is(err, store.ErrFenced) {
				<-ctx.Done() // for an entry above after, which does not come
			}
			return found, err
		}
	}, "a roll-back ends the leases"},
	{"a lease has the token of one that a roll-back has lost", func(b *brokenCluster) {
		b.mark = func(l store.Lane, ctx context.Context, marks []store.Mark) error {
			if err := l.Mark(ctx, marks); !errors.Is(err, store.ErrFenced) {
				return err
			}
			return nil
		}
	}, "a roll-back ends the leases"},
	{"duplicates outlive a roll-back", func(b *brokenCluster) {
		seen := make(map[string]bool)
		b.append = func(n *brokenNode, ctx context.Context, batch *store.Batch) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, e := range batch.Events {
				if seen[e.ID] {
					e.Duplicate, e.Placed = true, nil
					return nil
				}
				seen[e.ID] = true
			}
			return n.Handle.Append(ctx, batch)
		}
	}, "a roll-back ends the leases"},
	{"Owners shows the node itself", func(b *brokenCluster) {
		b.ownersOf = func(n *brokenNode, ctx context.Context) (map[string]store.Owner, error) {
			owners, err := n.Handle.Owners(ctx)
			maps.DeleteFunc(owners, func(_ string, o store.Owner) bool {
				return !strings.HasSuffix(o.Node, n.name)
			})
			return owners, err
		}
	}, "Owners shows who owns and what was published"},
	{"Owners shows who has released a lane", func(b *brokenCluster) {
		last := make(map[string]store.Owner)
		b.ownersOf = func(n *brokenNode, ctx context.Context) (map[string]store.Owner, error) {
			owners, err := n.Handle.Owners(ctx)
			b.mu.Lock()
			defer b.mu.Unlock()
			maps.Copy(last, owners)
			return maps.Clone(last), err
		}
	}, "Owners shows who owns and what was published"},
	{"figures are written once", func(b *brokenCluster) {
		written := make(map[string]bool)
		b.publish = func(l store.ClusterLease, lane string, figures []byte) {
			if !written[lane] {
				l.Publish(lane, figures)
			}
			written[lane] = true
		}
	}, "Owners shows who owns and what was published"},
	{"figures have no time", func(b *brokenCluster) {
		b.ownersOf = func(n *brokenNode, ctx context.Context) (map[string]store.Owner, error) {
			owners, err := n.Handle.Owners(ctx)
			for name, o := range owners {
				o.At = time.Time{}
				owners[name] = o
			}
			return owners, err
		}
	}, "Owners shows who owns and what was published"},
	{"figures of the last owner stay", func(b *brokenCluster) {
		last := make(map[string][]byte)
		b.ownersOf = func(n *brokenNode, ctx context.Context) (map[string]store.Owner, error) {
			owners, err := n.Handle.Owners(ctx)
			b.mu.Lock()
			defer b.mu.Unlock()
			for name, o := range owners {
				if o.Figures == nil {
					o.Figures = last[name]
				}
				owners[name], last[name] = o, o.Figures
			}
			return owners, err
		}
	}, "Owners shows who owns and what was published"},
	{"Pending leaves out what has begun", func(b *brokenCluster) {
		onPending(b, func(found []*store.Entry) []*store.Entry {
			return slices.DeleteFunc(found, func(e *store.Entry) bool { return e.Begun })
		})
	}, "Pending shows what Read returns"},
	{"Pending returns bodies", func(b *brokenCluster) {
		onPending(b, func(found []*store.Entry) []*store.Entry {
			for _, e := range found {
				e.Body = []byte("body")
			}
			return found
		})
	}, "Pending shows what Read returns"},
	{"Pending returns what is newest first", func(b *brokenCluster) {
		onPending(b, func(found []*store.Entry) []*store.Entry {
			slices.Reverse(found)
			return found
		})
	}, "Pending shows what Read returns"},
	{"Pending takes the lane from its owner", func(b *brokenCluster) {
		b.pending = func(n *brokenNode, ctx context.Context, lane, problem string) ([]*store.Entry,
			error) {
			found, err := n.Handle.Pending(ctx, lane, problem)
			b.steal([]string{lane})
			return found, err
		}
	}, "Pending shows what Read returns"},
	{"Ask without an owner waits for one", func(b *brokenCluster) {
		b.ask = func(n *brokenNode, ctx context.Context, lane string, body []byte) ([]byte, error) {
			answer, err := n.Handle.Ask(ctx, lane, body)
			if errors.Is(err, store.ErrNotFound) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return answer, err
		}
	}, "Ask brings a request to the owner"},
	{"Ask gets the answer to another request", func(b *brokenCluster) {
		var last []byte
		b.ask = func(n *brokenNode, ctx context.Context, lane string, body []byte) ([]byte, error) {
			answer, err := n.Handle.Ask(ctx, lane, body)
			b.mu.Lock()
			defer b.mu.Unlock()
			answer, last = last, answer
			return answer, err
		}
	}, "Ask brings a request to the owner"},
	{"a request comes twice", func(b *brokenCluster) {
		var last *store.Request
		b.next = func(l store.ClusterLease, ctx context.Context) (q *store.Request, err error) {
			if last != nil {
				q, last = last, nil
				return q, nil
			}
			last, err = l.Next(ctx)
			return last, err
		}
	}, "Ask brings a request to the owner"},
	{"a request goes on to the next owner", func(b *brokenCluster) {
		b.ask = func(n *brokenNode, ctx context.Context, lane string, body []byte) ([]byte, error) {
			answer, err := n.Handle.Ask(ctx, lane, body)
			for errors.Is(err, store.ErrUnavailable) {
				answer, err = n.Handle.Ask(ctx, lane, body)
			}
			return answer, err
		}
	}, "Ask brings a request to the owner"},
	{"Next outlives its lease", func(b *brokenCluster) {
		b.next = func(l store.ClusterLease, ctx context.Context) (*store.Request, error) {
			q, err := l.Next(ctx)
			if errors.Is(err, store.ErrFenced) {
				<-ctx.Done()
			}
			return q, err
		}
	}, "Ask brings a request to the owner"},
	{"a request outlives its caller", func(b *brokenCluster) {
		b.ask = func(n *brokenNode, ctx context.Context, lane string, body []byte) ([]byte, error) {
			var answer []byte
			done := make(chan error, 1)
			go func() {
				var err error
				answer, err = n.Handle.Ask(context.WithoutCancel(ctx), lane, body)
				done <- err
			}()
			select {
			case err := <-done:
				return answer, err
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}, "Ask is forgotten with its context"},
}

// numberBySequence has the entries of one node become visible after entries with a higher number,
// as a sequence of a database does: it gives the number out before the transaction commits.
func numberBySequence(b *brokenCluster, slow string) {
	began := make(map[string]time.Time)
	b.append = func(n *brokenNode, ctx context.Context, batch *store.Batch) error {
		b.mu.Lock()
		for _, e := range batch.Events {
			if n.name == slow {
				began[e.ID] = time.Now()
			}
		}
		b.mu.Unlock()
		return n.Handle.Append(ctx, batch)
	}
	b.read = func(l store.Lane, ctx context.Context, after uint64, limit int) ([]*store.Entry,
		error) {
		for {
			found, err := l.Read(ctx, after, limit)
			if err != nil {
				return nil, err
			}
			b.mu.Lock()
			found = slices.DeleteFunc(found, func(e *store.Entry) bool {
				return time.Since(began[e.ID]) < 20*time.Millisecond
			})
			b.mu.Unlock()
			if len(found) > 0 {
				return found, nil
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// acquireByPolling has Acquire look again after a time, whatever happens meanwhile.
func acquireByPolling(b *brokenCluster, every time.Duration) {
	b.acquire = func(n *brokenNode, ctx context.Context, g store.Group) (store.Lease, error) {
		for {
			try, cancel := context.WithTimeout(ctx, time.Millisecond)
			l, err := n.Handle.Acquire(try, g)
			cancel()
			if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
				return l, err
			}
			select {
			case <-time.After(every):
			case <-ctx.Done():
			}
		}
	}
}

// onPending changes what Pending returns.
func onPending(b *brokenCluster, change func([]*store.Entry) []*store.Entry) {
	b.pending = func(n *brokenNode, ctx context.Context, lane, problem string) ([]*store.Entry,
		error) {
		found, err := n.Handle.Pending(ctx, lane, problem)
		return change(found), err
	}
}

// clusterHarness opens nodes of a cluster with a bug.
func clusterHarness(plant func(*brokenCluster)) Harness {
	place := memstore.NewCluster()
	b := &brokenCluster{owners: make(map[string]store.Lease)}
	plant(b)
	names := []string{"a", "b", "c", "d"}
	open := func() (store.Store, error) {
		n := &brokenNode{place.Open(names[0]), b, names[0]}
		names = names[1:]
		return n, nil
	}
	return Harness{
		Open:    open,
		Another: open,
		Close:   func(s store.Store) error { return s.(*brokenNode).Close() },
		Pause: func(s store.Store, d time.Duration) {
			s.(*brokenNode).Pause()
			time.AfterFunc(d, s.(*brokenNode).Resume)
		},
		Cut: func(s store.Store, landed bool) func() {
			h, cut := s.(*brokenNode), memstore.RequestsLost
			if landed {
				cut = memstore.AnswersLost
			}
			h.Cut(cut)
			return func() { h.Cut(memstore.Connected) }
		},
		Replicate: func() func() {
			place.Replicate()
			return place.Promote
		},
	}
}

// The suite finds each bug of a cluster.
func TestSuiteFindsBugsOfClusters(t *testing.T) {
	findsBugs(t, several, clusterBugs, inClusterBubble)
}

func inClusterBubble(t *testing.T, c *check, plant func(*brokenCluster)) (err error) {
	synctest.Test(t, func(t *testing.T) {
		err = c.run(t.Context(), clusterHarness(plant))
		time.Sleep(time.Minute) // a bug may tell late
	})
	return err
}
