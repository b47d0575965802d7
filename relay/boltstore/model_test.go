package boltstore_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// Merging, rewriting and inserting of segments must not show, nor how the index routes events:
// whatever is done to it, the store answers as the memory store does. Its index is always what
// somebody counts who reads the whole file.
func TestLikeMemory(t *testing.T) {
	seeds := uint64(12)
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), inBubble(func(t *testing.T) {
			m := newModel(t, seed)
			for i := range 300 {
				m.now = m.now.Add(time.Second)
				time.Sleep(time.Second)
				if m.step(t); i%10 == 0 || !m.grouped {
					m.file.CheckIndex(t)
				}
			}
			m.restart(t)
			m.alike(t)
		}))
	}
}

// A model is two stores to which the same is done.
type model struct {
	rnd     *rand.Rand
	dir     string
	opts    boltstore.Options
	file    *boltstore.Store
	memory  *memstore.Store
	a, b    store.Lease // of all lanes, in the file and in memory
	names   []string    // of lanes, the earlier ones too
	group   []string    // one name of each lane
	last    map[string]uint64
	renames int
	grouped bool // many events come together
	now     time.Time
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{
		rnd: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir(), memory: memstore.New(),
		names: []string{lane}, last: make(map[string]uint64), grouped: seed%4 == 0,
		now: time.Now().UTC().Round(0),
	}
	if seed%4 > 0 { // otherwise one lane, in which segments are merged most
		m.names = append(m.names, "chat", "everybody", "fallback")
	}
	if seed%4 > 1 { // and both bounds are met
		m.opts = boltstore.Options{MaxEntries: 150, MaxLaneEntries: 50}
		m.memory.Limit(150)
		m.memory.LimitLane(50)
	}
	m.file = open(t, m.dir, &m.opts)
	m.acquire(t)
	return m
}

func (m *model) step(t *testing.T) {
	switch op := m.rnd.IntN(100); {
	case op < 45:
		m.append(t)
	case op < 85:
		m.mark(t)
	case op < 93:
		m.deadLetter(t, op == 92)
	case op < 95:
		m.rename(t)
	case op < 97:
		m.restart(t)
	default:
		m.alike(t)
	}
}

// both compares the errors of one call to both stores.
func both(t *testing.T, what string, a, b error) {
	t.Helper()
	for _, kind := range []error{store.ErrNotFound, store.ErrFull, store.ErrFenced,
		store.ErrDamaged, store.ErrInUse} {
		if errors.Is(a, kind) != errors.Is(b, kind) {
			t.Fatalf("%s: %v, and in memory %v", what, a, b)
		}
	}
	if (a == nil) != (b == nil) {
		t.Fatalf("%s: %v, and in memory %v", what, a, b)
	}
}

// acquire acquires all lanes, each by one of its names.
func (m *model) acquire(t *testing.T) {
	t.Helper()
	byLane := make(map[string]string)
	for _, i := range m.rnd.Perm(len(m.names)) {
		byLane[m.present(t, m.names[i])] = m.names[i]
	}
	m.group = slices.Sorted(maps.Values(byLane))
	g := store.Group{Name: "all", Lanes: m.group}
	var errA, errB error
	m.a, errA = m.file.Acquire(t.Context(), g)
	m.b, errB = m.memory.Acquire(t.Context(), g)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
}

// restart closes both stores before it opens either: bbolt may wait for the lock of the file, and
// neither clock must count that.
func (m *model) restart(t *testing.T) {
	t.Helper()
	if err := errors.Join(m.file.Close(), m.memory.Close()); err != nil {
		t.Fatal(err)
	}
	m.file = open(t, m.dir, &m.opts)
	m.memory = m.memory.Restart()
	m.acquire(t)
	m.file.CheckIndex(t)
}

func (m *model) lane() string { return m.names[m.rnd.IntN(len(m.names))] }

// present returns the present name of a lane.
func (m *model) present(t *testing.T, name string) string {
	renamed, err := m.memory.Renamed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if now, ok := renamed[name]; ok {
		return now
	}
	return name
}

// pick returns a lane of the group and the sequence number of one of its entries.
func (m *model) pick(t *testing.T) (string, uint64) {
	l := m.group[m.rnd.IntN(len(m.group))]
	return l, 1 + m.rnd.Uint64N(m.last[m.present(t, l)]+1)
}

func (m *model) offer() store.Offer {
	o := store.Offer{Lane: m.lane()}
	if m.rnd.IntN(10) == 0 {
		o.Ignored = "ignored"
	}
	return o
}

func (m *model) event(t *testing.T) *store.Event {
	e := &store.Event{
		Source: []string{"", "x", "y"}[m.rnd.IntN(3)], ID: fmt.Sprint(m.rnd.IntN(7000)),
		Problem: fmt.Sprint("p", m.rnd.IntN(50)), State: guance.State(m.rnd.IntN(3)),
		Level: guance.Level(m.rnd.IntN(7)), Time: m.now, Accepted: m.now, Trace: "trace",
		Body: bytes.Repeat([]byte{byte(m.rnd.Uint32())}, m.rnd.IntN(500)),
	}
	if m.rnd.IntN(200) == 0 {
		e.Body = make([]byte, 300_000)
	}
	if m.rnd.IntN(20) == 0 {
		e.ID = ""
	}
	for range m.rnd.IntN(min(4, 1+len(m.names))) {
		e.Wanted = append(e.Wanted, m.offer())
	}
	if m.rnd.IntN(2) == 0 {
		o := m.offer()
		e.Fallback = &o
	}
	return e
}

func (m *model) append(t *testing.T) {
	a, b := &store.Batch{}, &store.Batch{}
	for range m.rnd.IntN(3) {
		a.Served = append(a.Served, m.lane())
	}
	b.Served = a.Served
	n := 1 + m.rnd.IntN(3)
	if m.grouped {
		n = 1 + m.rnd.IntN(100)
	}
	for range n {
		e := m.event(t)
		if len(a.Events) > 0 && m.rnd.IntN(10) == 0 { // sent twice
			*e = *a.Events[0]
		}
		same := *e
		a.Events, b.Events = append(a.Events, e), append(b.Events, &same)
	}
	if m.rnd.IntN(20) == 0 {
		m.withoutRoom(t, a)
	}
	errB := m.memory.Append(t.Context(), b)
	both(t, "Append", m.file.Append(t.Context(), a), errB)
	if !reflect.DeepEqual(a, b) {
		t.Fatalf("Append, memory (-) and file (+):\n%.3000s", cmp.Diff(b, a))
	}
	if errB != nil {
		return
	}
	for _, e := range b.Events {
		for _, p := range e.Placed {
			l := m.present(t, p.Lane)
			m.last[l] = max(m.last[l], p.Seq)
		}
	}
}

// withoutRoom has the disk of the file be full for one call, which changes nothing.
func (m *model) withoutRoom(t *testing.T, b *store.Batch) {
	m.file.FailNext(&fs.PathError{Op: "write", Path: "relay.db", Err: syscall.ENOSPC}, false)
	err := m.file.Append(t.Context(), b)
	m.file.OnCommit(nil)
	if err != nil && !errors.Is(err, store.ErrFull) {
		t.Fatalf("Append to a full disk: %v", err)
	}
	m.file.CheckIndex(t)
}

func (m *model) mark(t *testing.T) {
	var marks []store.Mark
	lane, seq := m.pick(t)
	for range 1 + m.rnd.IntN(60) {
		mark := store.Mark{Seq: seq, Problem: fmt.Sprint("p", seq%50),
			State: guance.State(m.rnd.IntN(3)), Level: guance.Level(m.rnd.IntN(7)),
			Time: m.now, At: m.now, Failed: m.rnd.IntN(5), Doubt: m.rnd.IntN(5) == 0}
		if m.rnd.IntN(3) > 0 {
			mark.Outcome, mark.Reason = store.Outcome(1+m.rnd.IntN(4)), fmt.Sprint(m.now)
		}
		marks = append(marks, mark)
		if seq++; m.rnd.IntN(4) == 0 {
			seq = 1 + m.rnd.Uint64N(seq)
		}
	}
	both(t, "Mark", m.a.Lane(lane).Mark(t.Context(), marks),
		m.b.Lane(lane).Mark(t.Context(), marks))
}

// deadLetter revives or drops a dead letter.
func (m *model) deadLetter(t *testing.T, drop bool) {
	lane, seq := m.pick(t)
	dead, err := m.memory.DeadLetters(t.Context(), lane, seq, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(dead) > 0 {
		seq = dead[0].Seq
	}
	if drop {
		both(t, "Drop", m.a.Lane(lane).Drop(t.Context(), seq),
			m.b.Lane(lane).Drop(t.Context(), seq))
		return
	}
	a, errA := m.a.Lane(lane).Revive(t.Context(), seq)
	b, errB := m.b.Lane(lane).Revive(t.Context(), seq)
	both(t, "Revive", errA, errB)
	if diff := cmp.Diff(b, a); diff != "" {
		t.Fatal(diff)
	}
}

// rename renames a lane to a new name, or to that of another lane.
func (m *model) rename(t *testing.T) {
	from, to := m.lane(), m.lane()
	if m.rnd.IntN(3) > 0 {
		m.renames++
		to = fmt.Sprint("name ", m.renames)
	}
	if m.rnd.IntN(4) == 0 {
		from, to = to, from
	}
	before := max(m.last[m.present(t, from)], m.last[m.present(t, to)])
	err := m.memory.Rename(t.Context(), from, to)
	both(t, "Rename", m.file.Rename(t.Context(), from, to), err)
	if err != nil {
		return
	}
	m.last[m.present(t, to)] = before
	for _, name := range []string{from, to} {
		if !slices.Contains(m.names, name) {
			m.names = append(m.names, name)
		}
	}
	isLost := func(l store.Lease) bool {
		select {
		case <-l.Lost():
			return true
		default:
			return false
		}
	}
	if a, b := isLost(m.a), isLost(m.b); a != b {
		t.Fatalf("Rename of %q to %q: the owner has lost it: %v, and in memory %v", from, to, a, b)
	}
	m.acquire(t)
}

// inBubble runs a test in a bubble. Two stores that were opened at one time have the same clock
// there.
func inBubble(fn func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, fn) }
}

// alike compares everything that the stores answer.
func (m *model) alike(t *testing.T) {
	t.Helper()
	for _, name := range m.group {
		// a difference takes cmp minutes to see
		want, got := m.answers(t, m.memory, m.b, name), m.answers(t, m.file, m.a, name)
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("lane %q: memory (-) and file (+) differ:\n%.3000s", name,
				cmp.Diff(want, got))
		}
	}
}

type answers struct {
	Held    map[string]store.Holdings
	Renamed map[string]string
	Entries []*store.Entry
	Bodies  []string
	Records []store.Record
	History [][]store.Settlement
	Dead    []store.Settlement
}

func (m *model) answers(t *testing.T, s store.Store, lease store.Lease, lane string) answers {
	t.Helper()
	var all answers
	var err, err2 error
	all.Held, err = s.Holdings(t.Context())
	all.Renamed, err2 = s.Renamed(t.Context())
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	l, present := lease.Lane(lane), m.present(t, lane)
	for after := uint64(0); len(all.Entries) < all.Held[present].Pending; {
		found, err := l.Read(t.Context(), after, 77)
		if err != nil {
			t.Fatal(err)
		}
		all.Entries = append(all.Entries, found...)
		after = found[len(found)-1].Seq
	}
	for seq := range m.last[present] + 2 {
		e, err := l.Load(t.Context(), seq)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		if err == nil {
			all.Bodies = append(all.Bodies,
				fmt.Sprintf("%s %s %v %x", e.Lane, e.ID, e.Sticky, sha256.Sum256(e.Body)))
		}
	}
	for i := range 50 {
		problem := fmt.Sprint("p", i)
		r, err := l.Records(t.Context(), []string{problem})
		if err != nil {
			t.Fatal(err)
		}
		h, err := s.History(t.Context(), lane, problem)
		if err != nil {
			t.Fatal(err)
		}
		for i := range h {
			h[i].Begun, h[i].Failed = false, 0 // the outcome says it
		}
		all.Records, all.History = append(all.Records, r[0]), append(all.History, h)
	}
	if all.Dead, err = s.DeadLetters(t.Context(), lane, 0, 100_000); err != nil {
		t.Fatal(err)
	}
	for i := range all.Dead {
		all.Dead[i].Begun, all.Dead[i].Failed = false, 0
		all.Bodies = append(all.Bodies, fmt.Sprintf("%x", sha256.Sum256(all.Dead[i].Body)))
		all.Dead[i].Body = nil
	}
	return all
}
