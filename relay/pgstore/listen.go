package pgstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// A notice tells other nodes that something changed. It is a hint: whoever waits for it looks after
// poll all the same.
type notice string

const (
	noticeArrived  notice = "arrived"  // entries, in these lanes
	noticeFreed    notice = "freed"    // lanes of a lease
	noticeAsked    notice = "asked"    // a request to an owner
	noticeAnswered notice = "answered" // a request
	noticeRenamed  notice = "renamed"  // a lane, whose lease has ended
)

func (n notice) payload(lanes []int32) string {
	var b strings.Builder
	b.WriteString(string(n))
	for _, lane := range lanes[:min(len(lanes), 500)] { // a payload has at most 8,000 bytes
		b.WriteByte(' ')
		b.WriteString(strconv.Itoa(int(lane)))
	}
	return b.String()
}

// notices are what is to be told to other nodes.
type notices struct {
	mu      sync.Mutex
	pending map[notice]map[int32]bool
	wake    chan struct{}
}

func (n *notices) add(kind notice, lane int32) {
	n.mu.Lock()
	if n.pending == nil {
		n.pending = make(map[notice]map[int32]bool)
	}
	if n.pending[kind] == nil {
		n.pending[kind] = make(map[int32]bool)
	}
	if lane != 0 {
		n.pending[kind][lane] = true
	}
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *notices) take() (payloads []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for kind, set := range n.pending {
		var lanes []int32
		for lane := range set {
			lanes = append(lanes, lane)
		}
		payloads = append(payloads, kind.payload(lanes))
	}
	n.pending = nil
	return payloads
}

// A notification takes a lock of the whole database at its commit. So it is no part of a
// transaction that writes, and its own does not wait for the disk.
const notifySQL = `select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)`

// notifyLoop sends notices, after each of them no other for a moment.
func (s *Store) notifyLoop() {
	for {
		select {
		case <-s.notices.wake:
		case <-s.ctx.Done():
			return
		}
		for _, payload := range s.notices.take() {
			_ = s.read(s.ctx, func(ctx context.Context, c *pgx.Conn) error {
				_, err := c.Exec(ctx, notifySQL, s.opts.Schema, payload)
				return err
			}) // who waits looks by itself
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-s.ctx.Done():
			return
		}
	}
}

// listenLoop takes the notices of all nodes, on a connection of its own.
func (s *Store) listenLoop() {
	for s.ctx.Err() == nil {
		_ = s.listen() // the beat reports an engine that cannot be reached
		select {
		case <-time.After(200 * time.Millisecond):
		case <-s.ctx.Done():
		}
	}
}

func (s *Store) listen() error {
	cfg := s.config.ConnConfig.Copy()
	s.identifyEngines(cfg)
	s.limitHosts(cfg)
	neverCancel(&cfg.Config)
	c, err := pgx.ConnectConfig(s.ctx, cfg)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.Close(ctx) // nothing of it is needed any more
	}()
	if err := s.connected(s.ctx, c); err != nil {
		return err
	}
	if _, err := c.Exec(s.ctx, "listen "+pgx.Identifier{s.opts.Schema}.Sanitize()); err != nil {
		return err
	}
	s.changed() // before this nothing was heard
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	defer context.AfterFunc(s.present(), cancel)()
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		s.noticed(n.Payload)
	}
}

// noticed wakes those who wait for what a notice says.
func (s *Store) noticed(payload string) {
	kind, lanes, _ := strings.Cut(payload, " ")
	switch notice(kind) {
	case noticeArrived:
		for _, field := range strings.Fields(lanes) {
			if lane, err := strconv.ParseInt(field, 10, 32); err == nil {
				s.arrived(int32(lane))
			}
		}
	case noticeFreed:
		s.freed.send()
	case noticeAsked:
		s.asked.send()
	case noticeAnswered:
		s.answers.send()
	case noticeRenamed:
		select {
		case s.beatNow <- struct{}{}:
		default:
		}
	default:
		s.log.Debug(fmt.Sprintf("pgstore: a notice of another version: %.20q", kind))
	}
}

// changed wakes all who wait.
func (s *Store) changed() {
	s.mu.Lock()
	lanes := make([]int32, 0, len(s.arrivals))
	for lane := range s.arrivals {
		lanes = append(lanes, lane)
	}
	s.mu.Unlock()
	for _, lane := range lanes {
		s.arrived(lane)
	}
	s.freed.send()
	s.asked.send()
	s.answers.send()
}

// arrival returns the signal of a lane whose entries this process reads.
func (s *Store) arrival(lane int32) *signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.arrivals[lane] == nil {
		s.arrivals[lane] = &signal{}
	}
	return s.arrivals[lane]
}

// arrived wakes the readers of a lane in this process. It reports whether this process owns the
// lane: then no other one reads it.
func (s *Store) arrived(lane int32) (own bool) {
	s.mu.Lock()
	sig := s.arrivals[lane]
	for _, l := range s.leases {
		for _, id := range l.lanes {
			own = own || id == lane
		}
	}
	s.mu.Unlock()
	if sig != nil {
		sig.send()
	}
	return own
}
