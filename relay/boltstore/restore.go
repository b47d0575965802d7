package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// Restored is the reason of a dead letter that was pending in a backup.
const Restored = "restored"

// restoreBatch is how many entries Restore reads and settles at once.
const restoreBatch = 1000

// Restore makes a store in dir of what [Store.Backup] wrote. What was pending becomes a dead letter
// of its lane, with the reason [Restored]: it may be long over, so a person says whether it is
// sent. Everything else is as it was in the backup. Restore returns how many entries of each lane
// became dead letters.
//
// The store has its name only once all of it is durable. So after an error there is none, and
// Restore may be called again. A store that is there already is an error that wraps
// [fs.ErrExist], and stays as it is. An entry that cannot be read stays pending, and the log has a
// line at level ERROR.
//
// Options.MaxDead, MaxBytes and DeadAge delete nothing during Restore. If the store has more dead
// letters than they allow, the log says so: the next event that becomes a dead letter deletes the
// oldest.
func Restore(ctx context.Context, dir string, r io.Reader, opts *Options) (map[string]int, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := makeDir(dir, o.Logger); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, fileName)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fs.ErrExist
		}
		return nil, fmt.Errorf("boltstore: %s: %w; nothing was changed. Move it away, or choose "+
			"another directory", path, err)
	}
	work, err := os.MkdirTemp(dir, fileName+".restore-*")
	if err != nil {
		return nil, fmt.Errorf("boltstore: restoring %s: %w", path, err)
	}
	restored, err := restore(ctx, work, r, o)
	if err == nil {
		err = giveName(filepath.Join(work, fileName), path)
	}
	if err = errors.Join(err, os.RemoveAll(work)); err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("boltstore: restoring %s: %w", path, err)
	}
	return restored, nil
}

// restore makes a store in work, which is empty.
func restore(ctx context.Context, work string, r io.Reader, o Options) (map[string]int, error) {
	f, err := os.OpenFile(filepath.Join(work, fileName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	all := o
	all.MaxDead, all.MaxBytes, all.DeadAge = math.MaxInt, math.MaxInt64, math.MaxInt64
	s, err := Open(work, &all)
	if err != nil {
		return nil, err
	}
	restored, err := s.giveUpAll(ctx)
	if err = errors.Join(err, s.Close()); err == nil {
		s.warnOfBounds(o)
	}
	return restored, err
}

// warnOfBounds logs where a closed store has more dead letters than options allow.
func (s *Store) warnOfBounds(o Options) {
	for name, l := range s.index.lanes {
		if name == l.name && l.letters > o.MaxDead {
			s.log.Warn("boltstore: the lane has more dead letters than MaxDead; raise it before you use "+
				"the store, or the next dead letter deletes the oldest", "lane", name, "dead", l.letters,
				"max_dead", o.MaxDead)
		}
	}
	if s.index.deadBytes > o.MaxBytes/deadShare {
		s.log.Warn("boltstore: the dead letters have more than a quarter of MaxBytes; raise it before "+
			"you use the store, or the next dead letter deletes the oldest of its lane",
			"bytes", s.index.deadBytes, "max_bytes", o.MaxBytes)
	}
}

// giveUpAll makes a dead letter of each pending entry.
func (s *Store) giveUpAll(ctx context.Context) (map[string]int, error) {
	held, err := s.Holdings(ctx)
	if err != nil || len(held) == 0 {
		return nil, err
	}
	lanes := slices.Sorted(maps.Keys(held))
	l := &lease{store: s, lanes: lanes, lost: make(chan struct{})}
	if err := s.submit(ctx, acquireOp{lease: l}); err != nil {
		return nil, err
	}
	restored := make(map[string]int)
	for _, lane := range lanes {
		if restored[lane], err = (&ownedLane{l, lane}).giveUpAll(ctx); err != nil {
			return nil, err
		}
	}
	return restored, nil
}

func (l *ownedLane) giveUpAll(ctx context.Context) (n int, err error) {
	for after := uint64(0); ; {
		var found []*store.Entry
		err := l.store.viewLane(l.name, func(b *bolt.Bucket, lane string) (err error) {
			found, err = l.read(b, lane, after, restoreBatch)
			return err
		})
		if damaged, ok := errors.AsType[*store.DamagedError](err); ok {
			l.store.log.Error("boltstore: entries of the backup cannot be read; they stay pending",
				"lane", l.name, "first", damaged.First, "last", damaged.Last, "error", err.Error())
			after = damaged.Last
			continue
		}
		if err != nil || len(found) == 0 {
			return n, err
		}
		after = found[len(found)-1].Seq
		marks := make([]store.Mark, len(found))
		for i, e := range found {
			marks[i] = store.Mark{
				Seq: e.Seq, Problem: e.Problem, State: e.State, Level: e.Level, Time: e.Time,
				Failed: e.Failed, Doubt: e.Begun, Outcome: store.Dead, Reason: Restored, At: time.Now(),
			}
		}
		if err := l.Mark(ctx, marks); err != nil {
			return n, err
		}
		n += len(found)
	}
}
