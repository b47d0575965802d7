package relay

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// MemStore is a Store for tests. It is NOT durable: everything is gone when the process ends, and so is promise 1. Nothing bounds it but
// [MemStore.Limit], and it remembers all event IDs, outcomes and records for ever. boltstore is the store for everything else.
type MemStore struct {
	opened time.Time     // with the monotonic clock
	before time.Duration // what Clock said when it was opened

	mu     sync.Mutex
	lanes  map[string]*memLane // guarded by mu
	limit  int                 // guarded by mu
	closed bool                // guarded by mu
	end    time.Duration       // what Clock said when it was closed; guarded by mu
	next   *failure            // guarded by mu: what becomes of the next write
	failed error               // guarded by mu
}

type failure struct {
	err    error
	landed bool
}

type memLane struct {
	seq     uint64
	epoch   uint64
	entries map[uint64]*Entry
	order   []uint64 // of entries
	seen    map[string]bool
	records map[string]Record
	settled []Settlement
	dead    map[uint64]Settlement
	grown   chan struct{} // closed and replaced when an entry is appended or the owner changes
}

// NewMemStore returns an empty store.
func NewMemStore() *MemStore {
	return &MemStore{opened: time.Now(), before: 1, lanes: make(map[string]*memLane)} // 0 is a Kept that nobody has set
}

var _ Store = (*MemStore)(nil)

// Clock implements [Store].
func (s *MemStore) Clock() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock()
}

// clock is called with mu held.
func (s *MemStore) clock() time.Duration {
	if s.closed {
		return s.end
	}
	return s.before + time.Since(s.opened)
}

// Limit bounds the unsettled entries of all lanes together; zero lifts the bound.
func (s *MemStore) Limit(entries int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = entries
}

// Fail has the next write fail as if a disk refused it, and every call answer [ErrFailed] with err from then on. landed says that what
// was written is there all the same, as a disk may have it: [MemStore.Restart] shows it.
func (s *MemStore) Fail(err error, landed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = &failure{err, landed}
}

// write makes a change, or fails as Fail said. mu is held.
func (s *MemStore) write(change func()) error {
	if s.next == nil || s.next.landed {
		change()
	}
	if s.next == nil {
		return nil
	}
	s.failed = s.next.err
	s.wakeAll()
	return s.usable(context.Background())
}

// Close has every call answer [ErrClosed] from now on. Closing twice is no error.
func (s *MemStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end, s.closed = s.clock(), true
	s.wakeAll()
	return nil
}

// Restart returns the store as it would be after the process had ended and begun again, if it were durable: a new one with all that
// was kept. The old one is closed.
func (s *MemStore) Restart() *MemStore {
	_ = s.Close() // never fails
	s.mu.Lock()
	defer s.mu.Unlock()
	restarted := NewMemStore()
	restarted.before = s.end
	restarted.lanes, restarted.limit = s.lanes, s.limit
	s.lanes = make(map[string]*memLane)
	return restarted
}

// usable answers why nothing can be asked of the store. mu is held.
func (s *MemStore) usable(ctx context.Context) error {
	switch {
	case s.closed:
		return fmt.Errorf("relay: memory store: %w", ErrClosed)
	case s.failed != nil:
		return fmt.Errorf("relay: memory store: %w: %w", ErrFailed, s.failed)
	}
	return ctx.Err()
}

// lane returns a lane, made on first use. mu is held.
func (s *MemStore) lane(name string) *memLane {
	l := s.lanes[name]
	if l == nil {
		l = &memLane{
			entries: make(map[uint64]*Entry), seen: make(map[string]bool), records: make(map[string]Record),
			dead: make(map[uint64]Settlement), grown: make(chan struct{}),
		}
		s.lanes[name] = l
	}
	return l
}

// wakeAll has all readers look again. mu is held.
func (s *MemStore) wakeAll() {
	for _, l := range s.lanes {
		l.wake()
	}
}

// full answers ErrFull if n entries more would pass the limit. mu is held.
func (s *MemStore) full(n int) error {
	held := 0
	for _, l := range s.lanes {
		held += len(l.entries)
	}
	if s.limit > 0 && held+n > s.limit {
		return fmt.Errorf("relay: memory store: %d entries are pending: %w", held, ErrFull)
	}
	return nil
}

// Append implements [Store].
func (s *MemStore) Append(ctx context.Context, entries []*Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	type event struct{ lane, id string }
	var fresh []*Entry
	pending, here := 0, make(map[event]bool)
	for _, e := range entries {
		ev := event{e.Lane, e.ID}
		if e.ID != "" && (here[ev] || s.lane(e.Lane).seen[e.ID]) {
			continue
		}
		here[ev] = true
		fresh = append(fresh, e)
		if e.Ignored == "" {
			pending++
		}
	}
	if pending > 0 {
		if err := s.full(pending); err != nil {
			return err
		}
	}
	for _, e := range entries {
		e.Seq = 0
	}
	if len(fresh) == 0 {
		return nil
	}
	return s.write(func() {
		for _, e := range fresh {
			e.Kept = s.clock()
			s.lane(e.Lane).append(e)
		}
	})
}

func (l *memLane) append(e *Entry) {
	l.seq++
	e.Seq = l.seq
	if e.ID != "" {
		l.seen[e.ID] = true
	}
	if e.Ignored != "" {
		l.settle(*e, Ignored, e.Ignored, e.Accepted)
		return
	}
	kept := *e
	kept.Body = slices.Clone(e.Body)
	l.insert(&kept)
	l.wake()
}

// Acquire implements [Store].
func (s *MemStore) Acquire(ctx context.Context, lane string) (Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	l := s.lane(lane)
	l.epoch++
	l.wake()
	return &memLease{s, l, l.epoch}, nil
}

// Check implements [Store].
func (s *MemStore) Check(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	return s.full(1)
}

// Holdings implements [Store].
func (s *MemStore) Holdings(ctx context.Context) (map[string]Holdings, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	holdings := make(map[string]Holdings)
	for name, l := range s.lanes {
		if h := (Holdings{Pending: len(l.entries), Dead: len(l.dead)}); h != (Holdings{}) {
			holdings[name] = h
		}
	}
	return holdings, nil
}

// History implements [Store].
func (s *MemStore) History(ctx context.Context, lane, problem string) ([]Settlement, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var found []Settlement
	for _, st := range s.lane(lane).settled {
		if st.Problem == problem {
			found = append(found, st)
		}
	}
	slices.SortStableFunc(found, func(a, b Settlement) int { return cmp.Compare(a.Seq, b.Seq) })
	return found, nil
}

// Settled returns how the entries of a lane ended, in the order in which they did.
func (s *MemStore) Settled(lane string) []Settlement {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lane(lane).settled)
}

// DeadLetters implements [Store].
func (s *MemStore) DeadLetters(ctx context.Context, lane string, after uint64, limit int) ([]Settlement, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var found []Settlement
	dead := s.lane(lane).dead
	for _, seq := range slices.Sorted(maps.Keys(dead)) {
		if seq > after && len(found) < limit {
			st := dead[seq]
			st.Body = slices.Clone(st.Body)
			found = append(found, st)
		}
	}
	return found, nil
}

// wake has readers look again.
func (l *memLane) wake() {
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *memLane) insert(e *Entry) {
	l.entries[e.Seq] = e
	i, _ := slices.BinarySearch(l.order, e.Seq)
	l.order = slices.Insert(l.order, i, e.Seq)
}

// settle records an outcome, without the body.
func (l *memLane) settle(e Entry, o Outcome, reason string, at time.Time) {
	e.Body = nil
	l.settled = append(l.settled, Settlement{Entry: e, Outcome: o, Reason: reason, At: at})
}

// mark records how far an entry has gone; nothing if it is settled.
func (l *memLane) mark(m Mark) {
	e := l.entries[m.Seq]
	if e == nil {
		return
	}
	l.records[m.Problem] = l.records[m.Problem].Apply(m)
	if m.Outcome == 0 {
		e.Begun, e.Failed = true, m.Failed
		return
	}
	if m.Outcome == Dead {
		l.dead[m.Seq] = Settlement{Entry: *e, Outcome: Dead, Reason: m.Reason, At: m.At}
	}
	l.settle(*e, m.Outcome, m.Reason, m.At)
	delete(l.entries, m.Seq)
	i, _ := slices.BinarySearch(l.order, m.Seq)
	l.order = slices.Delete(l.order, i, i+1)
}

type memLease struct {
	store *MemStore
	lane  *memLane
	epoch uint64
}

// lock takes the store's mutex if the store and the lease are still good.
func (l *memLease) lock(ctx context.Context) error {
	l.store.mu.Lock()
	err := l.store.usable(ctx)
	if err == nil && l.lane.epoch != l.epoch {
		err = fmt.Errorf("relay: memory store: %w", ErrFenced)
	}
	if err != nil {
		l.store.mu.Unlock()
	}
	return err
}

func (l *memLease) Read(ctx context.Context, after uint64, limit int) ([]*Entry, error) {
	for {
		if err := l.lock(ctx); err != nil {
			return nil, err
		}
		var found []*Entry
		from, _ := slices.BinarySearch(l.lane.order, after+1)
		for _, seq := range l.lane.order[from:min(from+limit, len(l.lane.order))] {
			header := *l.lane.entries[seq]
			header.Body = nil
			found = append(found, &header)
		}
		grown := l.lane.grown
		l.store.mu.Unlock()
		if len(found) > 0 {
			return found, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-grown:
		}
	}
}

func (l *memLease) Load(ctx context.Context, seq uint64) (*Entry, error) {
	if err := l.lock(ctx); err != nil {
		return nil, err
	}
	defer l.store.mu.Unlock()
	e := l.lane.entries[seq]
	if e == nil {
		return nil, fmt.Errorf("relay: entry %d: %w", seq, ErrNotFound)
	}
	loaded := *e
	loaded.Body = slices.Clone(e.Body)
	return &loaded, nil
}

func (l *memLease) Records(ctx context.Context, problems []string) ([]Record, error) {
	if err := l.lock(ctx); err != nil {
		return nil, err
	}
	defer l.store.mu.Unlock()
	records := make([]Record, len(problems))
	for i, problem := range problems {
		records[i] = l.lane.records[problem]
	}
	return records, nil
}

func (l *memLease) Mark(ctx context.Context, marks []Mark) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.store.mu.Unlock()
	return l.store.write(func() {
		for _, m := range marks {
			l.lane.mark(m)
		}
	})
}

func (l *memLease) Revive(ctx context.Context, seq uint64) (*Entry, error) {
	var e Entry
	err := l.exhume(ctx, seq, func(st Settlement) {
		e = st.Entry
		e.Begun, e.Failed, e.Kept = true, 0, l.store.clock()
		kept := e
		l.lane.insert(&kept)
		l.lane.wake()
	})
	if err != nil {
		return nil, err
	}
	e.Body = nil
	return &e, nil
}

func (l *memLease) Drop(ctx context.Context, seq uint64) error {
	return l.exhume(ctx, seq, func(Settlement) {})
}

// exhume takes a dead letter out of the store, for what fn makes of it.
func (l *memLease) exhume(ctx context.Context, seq uint64, fn func(Settlement)) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.store.mu.Unlock()
	st, ok := l.lane.dead[seq]
	if !ok {
		return fmt.Errorf("relay: dead letter %d: %w", seq, ErrNotFound)
	}
	return l.store.write(func() {
		delete(l.lane.dead, seq)
		fn(st)
	})
}

func (l *memLease) Release() error {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if !l.store.closed && l.lane.epoch == l.epoch { // the lanes of a closed store may be another's
		l.lane.epoch++
		l.lane.wake()
	}
	return nil
}
