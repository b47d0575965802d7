package boltstore

import (
	"crypto/sha256"

	bolt "go.etcd.io/bbolt"
)

// A hash stands for an event ID: the first half of its SHA-256. A sender must not be able to find
// collisions, because an event that is taken for another is lost.
type hash [16]byte

func hashID(id string) hash {
	sum := sha256.Sum256([]byte(id))
	return hash(sum[:16])
}

// An event is what a duplicate is recognised by.
type event struct {
	lane string
	id   hash
}

// remembers reports whether the lane remembers an event.
func (c *commit) remembers(ev event) bool {
	l := c.store.index.lanes[ev.lane]
	return l != nil && l.window.has(ev.id)
}

// A window remembers the newest event IDs of a lane.
type window struct {
	known  map[hash]struct{}
	ring   []hash // in the order of acceptance, from next on once it is full
	next   int
	onDisk int // hashes in the file: some more than in the ring, which are deleted by whole values
}

func (w *window) has(h hash) bool {
	_, ok := w.known[h]
	return ok
}

// add remembers a hash that is not known, and forgets the oldest above size.
func (w *window) add(h hash, size int) {
	w.known[h] = struct{}{}
	if len(w.ring) < size {
		w.ring = append(w.ring, h)
		return
	}
	delete(w.known, w.ring[w.next])
	w.ring[w.next] = h
	w.next = (w.next + 1) % len(w.ring)
}

// load reads the hashes from the file. A hash that was forgotten and accepted again is there twice:
// the window has forgotten the first when it reads the second.
func (w *window) load(seen *bolt.Bucket, size int) error {
	return seen.ForEach(func(k, v []byte) error {
		hashes, err := decodeHashes(k, v)
		for _, h := range hashes {
			if !w.has(h) { // it is known if Options.Remembered was raised
				w.add(h, size)
			}
		}
		w.onDisk += len(hashes)
		return err
	})
}

// save writes the hashes that a commit accepted, and deletes the oldest values above size.
func (w *window) save(seen *bolt.Bucket, seq uint64, hashes []hash, size int) error {
	if len(hashes) == 0 {
		return nil
	}
	key := seqKey(seq)
	if err := seen.Put(key, encodeHashes(key, hashes)); err != nil {
		return err
	}
	w.onDisk += len(hashes)
	c := seen.Cursor()
	for k, v := c.First(); k != nil; k, v = c.First() {
		n := (len(v) - 4) / len(hash{})
		if w.onDisk-n < size {
			return nil
		}
		w.onDisk -= n
		if err := seen.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

func encodeHashes(key []byte, hashes []hash) []byte {
	b := make([]byte, 4, 4+len(hash{})*len(hashes))
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return seal(key, b)
}

func decodeHashes(key, value []byte) ([]hash, error) {
	b, err := unseal("list of event IDs", key, value)
	if err != nil {
		return nil, err
	}
	if len(b)%len(hash{}) != 0 {
		return nil, damaged("list of event IDs", key)
	}
	hashes := make([]hash, len(b)/len(hash{}))
	for i := range hashes {
		copy(hashes[i][:], b[i*len(hash{}):])
	}
	return hashes, nil
}
