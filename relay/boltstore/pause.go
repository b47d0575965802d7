package boltstore

import (
	"context"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// pauseKey is the key of a lane's pause, beside the parts of the lane. There is none without a
// pause.
var pauseKey = []byte("pause")

// encodePause encodes the value of pauseKey.
//
//	until   clock
//	at      time
//	by      string
//	reason  string
func encodePause(p store.Pause) []byte {
	b := make([]byte, 4, 48+len(p.By)+len(p.Reason))
	b = appendClock(b, p.Until)
	b = appendTime(b, p.At)
	b = appendString(b, p.By)
	return seal(pauseKey, appendString(b, p.Reason))
}

func decodePause(value []byte) (store.Pause, error) {
	b, err := unseal("pause of a lane", pauseKey, value)
	if err != nil {
		return store.Pause{}, err
	}
	d := decoder{b: b}
	p := store.Pause{
		Until: d.clock(), At: d.time(), By: string(d.bytes()), Reason: string(d.bytes()),
	}
	if d.bad {
		return store.Pause{}, damaged("pause of a lane", pauseKey)
	}
	return p, nil
}

// SetPause implements [store.Lane].
func (l *ownedLane) SetPause(ctx context.Context, p store.Pause) error {
	return l.store.submit(ctx, &pauseOp{ownerOp{lane: l}, p})
}

// Pause implements [store.Lane].
func (l *ownedLane) Pause(ctx context.Context) (p store.Pause, err error) {
	if _, err := l.owned(ctx); err != nil {
		return p, err
	}
	err = l.store.viewLane(l.name, func(b *bolt.Bucket, _ string) (err error) {
		if v := b.Get(pauseKey); v != nil {
			p, err = decodePause(v)
		}
		return err
	})
	return p, err
}

// A pauseOp keeps a pause.
type pauseOp struct {
	ownerOp
	pause store.Pause
}

func (op *pauseOp) write(c *commit) error {
	l, err := c.laneTx(c.store.index.lane(op.lane.name))
	if err != nil {
		return err
	}
	c.changed = true
	if op.pause == (store.Pause{}) {
		return l.bucket.Delete(pauseKey)
	}
	return l.bucket.Put(pauseKey, encodePause(op.pause))
}
