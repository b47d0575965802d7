package pgstore

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A commit takes at most maxBatch requests, and stops at maxBatchBytes of events.
const (
	maxBatch      = 512
	maxBatchBytes = 4 << 20
)

// An operation is what one call does in a transaction: one statement, and its result. Appends are
// different: all of a transaction are one statement.
type operation interface {
	// ready returns why the operation is not sent.
	ready() error
	// queue adds the statement, and scan reads its result. An error of scan is one of the connection.
	queue(*pgx.Batch)
	scan(pgx.BatchResults) error
	// committed returns the result of the call, once the transaction is committed.
	committed() error
	// where returns the lane that the statement locks.
	where() int32
}

// A request is an operation in the queue of the committer.
type request struct {
	operation           // nil for an append
	append    *appendOp // nil for others
	result    chan error
	taken     atomic.Bool // by the committer, or by the caller who gives up
}

// submit gives a request to the committer and waits until it is durable.
func (s *Store) submit(ctx context.Context, r *request) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if r.append == nil {
		if err := r.ready(); err != nil {
			return err
		}
	}
	r.result = make(chan error, 1)
	select {
	case s.requests <- r:
	case <-s.ctx.Done():
		return fmt.Errorf("pgstore: %w", store.ErrClosed)
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.result:
		return err
	case <-s.done:
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		select {
		case err := <-r.result:
			return err
		default:
			// The commit goes on. It is not cancelled: that could make it visible before it is
			// replicated.
			return fmt.Errorf("pgstore: the caller did not wait for the commit: %w",
				store.ErrUnavailable)
		}
	}
	select {
	case err := <-r.result:
		return err
	default:
		return fmt.Errorf("pgstore: %w", store.ErrClosed)
	}
}

// commitLoop is the committer. A request waits for the transaction before it and for nothing else.
func (s *Store) commitLoop() {
	var batch []*request
	answered, took := 0, time.Duration(0) // of the last commit
	for {
		select {
		case r := <-s.requests:
			batch = append(batch[:0], r)
		case <-s.ctx.Done():
			return
		}
		s.letCallersIn(answered, min(took/8, maxWait))
		bytes := batch[0].append.bytes()
	more:
		for len(batch) < maxBatch && bytes < maxBatchBytes {
			select {
			case r := <-s.requests:
				batch = append(batch, r)
				bytes += r.append.bytes()
			default:
				break more
			}
		}
		live, again := batch[:0], []*request(nil)
		nonces := make(map[string]bool)
		for _, r := range batch {
			if !r.taken.CompareAndSwap(false, true) {
				continue
			}
			if r.append != nil && r.append.batch.Nonce != "" {
				if nonces[r.append.batch.Nonce] {
					again = append(again, r) // reported as it was kept by the transaction before
					continue
				}
				nonces[r.append.batch.Nonce] = true
			}
			live = append(live, r)
		}
		begin := time.Now()
		s.commit(live)
		for i := range again {
			s.commit(again[i : i+1])
		}
		answered, took = len(live)+len(again), time.Since(begin)
		clear(batch)
	}
}

// maxWait is how long a commit waits for callers, at most.
const maxWait = 2 * time.Millisecond

// letCallersIn lets the callers of the last commit queue their next request, so that it is part of
// this commit: each commit has a cost of its own, and on a busy machine two halves of the callers
// would take turns for ever. It waits until there are as many as were answered, for a time that is
// small beside a commit.
func (s *Store) letCallersIn(answered int, atMost time.Duration) {
	end := time.Now().Add(atMost)
	for n := -1; len(s.requests) < maxBatch; {
		if n == len(s.requests) { // a turn of the scheduler brought no request
			if n+1 >= answered || !time.Now().Before(end) {
				return
			}
			time.Sleep(atMost / 8)
		}
		n = len(s.requests)
		runtime.Gosched()
	}
}

// commit commits the requests and sends each its result. If the engine refuses the transaction
// because of one request, each is tried alone.
func (s *Store) commit(batch []*request) {
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Timeout)
	defer cancel()
	var err error
	for range 3 {
		err = s.use(ctx, s.commits, func(ctx context.Context, c *pgx.Conn) (err error) {
			batch, err = s.send(ctx, c, batch)
			return err
		})
		if c := code(err); c != stateDeadlock && c != stateConflict {
			break
		}
	}
	switch {
	case err == nil:
		return
	case oneIsRefused(err) && len(batch) > 1:
		for i := range batch {
			s.commit(batch[i : i+1])
		}
		return
	}
	for _, r := range batch {
		r.result <- s.failure(err)
	}
}

// send makes one transaction of the requests, and sends each its result. It returns those that have
// none because of the error. The statements are sent together, with one Sync behind them, and so
// are one transaction.
func (s *Store) send(ctx context.Context, c *pgx.Conn, batch []*request) ([]*request, error) {
	ready := make([]*request, 0, len(batch))
	var appends []*appendOp
	var lanes []int32
	var statements pgx.Batch
	for _, r := range batch {
		if r.append != nil {
			appends = append(appends, r.append)
		} else if err := r.ready(); err != nil {
			r.result <- err
			continue
		} else {
			lanes = append(lanes, r.where())
		}
		ready = append(ready, r)
	}
	if len(ready) == 0 {
		return nil, nil
	}
	if err := s.makeLanes(ctx, c, appends); err != nil {
		return ready, err
	}
	var a *appended
	lock := len(appends) == 0 && len(lanes) > 1
	switch {
	case len(appends) > 0: // which locks the lanes
		a = s.encode(appends, lanes)
		statements.Queue(appendSQL, a.args...)
	case lock:
		statements.Queue("select lock_lanes($1)", lanes)
	}
	for _, r := range ready {
		if r.append == nil {
			r.queue(&statements)
		}
	}
	sent := time.Now()
	results := c.SendBatch(ctx, &statements)
	err := scanAll(results, a, lock, ready)
	// Close waits for the commit.
	if closing := results.Close(); err == nil {
		err = closing
	}
	s.metrics.Commit(time.Since(sent))
	if err != nil {
		return ready, err
	}
	if a != nil {
		s.publish(a, sent)
	}
	for _, r := range ready {
		if r.append != nil {
			r.result <- nil
		} else {
			r.result <- r.committed()
		}
	}
	return nil, nil
}

func scanAll(results pgx.BatchResults, a *appended, lock bool, ready []*request) error {
	if lock {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	if a != nil {
		if err := a.scan(results); err != nil {
			return err
		}
	}
	for _, r := range ready {
		if r.append == nil {
			if err := r.scan(results); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeLanes makes the lanes that the database may not have yet.
func (s *Store) makeLanes(ctx context.Context, c *pgx.Conn, appends []*appendOp) error {
	var names []string
	for _, op := range appends {
		names = append(names, op.lanes...)
	}
	return s.makeNames(ctx, c, names)
}

func (s *Store) makeNames(ctx context.Context, c *pgx.Conn, names []string) error {
	var missing []string
	s.mu.Lock()
	for _, name := range names {
		if !s.lanes[name] {
			missing = append(missing, name)
		}
	}
	s.mu.Unlock()
	if len(missing) == 0 {
		return nil
	}
	if _, err := c.Exec(ctx, "select make_lanes($1)", missing); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range missing {
		s.lanes[name] = true // a name stays, see Rename
	}
	return nil
}
