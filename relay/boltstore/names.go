package boltstore

import (
	"context"
	"fmt"
	"maps"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// nameKey is the key of a lane's present name, beside the parts of the lane.
var nameKey = []byte("name")

func encodeName(name string) []byte { return seal(nameKey, append(make([]byte, 4), name...)) }

func decodeName(value []byte) (string, error) {
	b, err := unseal("name of a lane", nameKey, value)
	return string(b), err
}

// encodeLaneID encodes the value of a name: the number of the lane.
func encodeLaneID(name []byte, id uint64) []byte {
	return seal(name, append(make([]byte, 4), seqKey(id)...))
}

func decodeLaneID(name, value []byte) (uint64, error) {
	b, err := unseal("number of a lane", name, value)
	id := keySeq(b)
	if err == nil && id == 0 {
		err = damaged("number of a lane", name)
	}
	return id, err
}

// findLane returns the bucket of a lane, by any of its names, and its present name. The bucket is
// nil if there is no such lane.
func findLane(tx *bolt.Tx, name string) (b *bolt.Bucket, present string, err error) {
	v := tx.Bucket(namesBucket).Get([]byte(name))
	if v == nil {
		return nil, "", nil
	}
	id, err := decodeLaneID([]byte(name), v)
	if err != nil {
		return nil, "", err
	}
	if b = laneBucket(tx, id); b == nil {
		return nil, "", damaged("number of a lane", []byte(name))
	}
	present, err = decodeName(b.Get(nameKey))
	return b, present, err
}

// createLane makes the bucket of a lane, with all parts, and its name.
func (c *commit) createLane(l *laneIndex) error {
	lanes := c.tx.Bucket(lanesBucket)
	id, err := lanes.NextSequence()
	if err != nil {
		return err
	}
	b, err := lanes.CreateBucket(seqKey(id))
	if err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := b.CreateBucket([]byte(part)); err != nil {
			return err
		}
	}
	l.id, c.changed = id, true
	return c.putName(l, l.name)
}

// putName gives a lane a name, which is the present one from then on.
func (c *commit) putName(l *laneIndex, name string) error {
	l.renamed = l.renamed || name != l.name
	l.name = name
	if err := laneBucket(c.tx, l.id).Put(nameKey, encodeName(name)); err != nil {
		return err
	}
	return c.pointName(l, name)
}

// pointName makes a name one of the lane's.
func (c *commit) pointName(l *laneIndex, name string) error {
	c.store.index.lanes[name] = l
	l.renamed = l.renamed || name != l.name
	return c.tx.Bucket(namesBucket).Put([]byte(name), encodeLaneID([]byte(name), l.id))
}

// Rename implements [store.Store]. It writes two names, and moves no entry. A name has 1 to 255
// bytes.
func (s *Store) Rename(ctx context.Context, from, to string) error {
	for _, name := range []string{from, to} {
		if err := checkLane(name); err != nil {
			return fmt.Errorf("boltstore: %w; nothing was changed", err)
		}
	}
	return s.submit(ctx, &renameOp{from: from, to: to})
}

// Renamed implements [store.Store].
func (s *Store) Renamed(ctx context.Context) (map[string]string, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.renamed), nil
}

// A renameOp gives a lane another name.
type renameOp struct {
	noOperation
	from, to string
}

func (op *renameOp) check(c *commit) error {
	from, to := c.store.index.lanes[op.from], c.store.index.lanes[op.to]
	if from != to && from.used() && to.used() {
		return fmt.Errorf("boltstore: renaming lane %q to %q: %w", op.from, op.to, store.ErrInUse)
	}
	return nil
}

// write keeps the lane that was used. The lane gets the names of the other one, which is deleted.
func (op *renameOp) write(c *commit) error {
	x := c.store.index
	keep, gone := x.lane(op.from), x.lane(op.to)
	if keep == gone && keep.name == op.to {
		return nil
	}
	if !keep.used() {
		keep, gone = gone, keep
	}
	c.changed = true
	if c.renamed = append(c.renamed, gone.name); keep.name != op.to {
		c.renamed = append(c.renamed, keep.name)
	}
	if _, err := c.laneTx(keep); err != nil { // and publish shows it by its new name
		return err
	}
	if keep != gone {
		if err := c.mergeLane(keep, gone); err != nil {
			return err
		}
	}
	return c.putName(keep, op.to)
}

// mergeLane gives a lane the names of another one, which was not used, and deletes that one.
func (c *commit) mergeLane(keep, gone *laneIndex) error {
	x := c.store.index
	for name, l := range x.lanes {
		if l == gone {
			if err := c.pointName(keep, name); err != nil {
				return err
			}
		}
	}
	delete(c.lanes, gone)
	x.all[gone.at] = nil
	if gone.id == 0 {
		return nil
	}
	return c.tx.Bucket(lanesBucket).DeleteBucket(seqKey(gone.id))
}

// showNames ends the leases of the lanes that a commit renamed, and shows callers the names. The
// store's mu is held.
func (s *Store) showNames(renamed []string) {
	for _, name := range renamed {
		s.owner(name).lease.end()
	}
	for _, name := range renamed {
		delete(s.owners, name)
		delete(s.holdings, name)
	}
	s.renamed = make(map[string]string)
	for name, l := range s.index.lanes {
		if name != l.name && l.id != 0 {
			s.renamed[name] = l.name
		}
	}
}

// present returns the present name of a lane. The store's mu is held.
func (s *Store) present(lane string) string {
	if name, ok := s.renamed[lane]; ok {
		return name
	}
	return lane
}
