package boltstore

import bolt "go.etcd.io/bbolt"

// A window recognises the newest event IDs of a lane by their hashes.
type window struct {
	known map[hash]struct{}
	ring  []hash // in the order of acceptance, from next on once it is full
	next  int
	kept  int // hashes on disk: some more than the window has, as they are deleted a value at a time
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

// load adds the hashes that are on disk. One that was forgotten and came again stands there twice: it is forgotten again before the second.
func (w *window) load(seen *bolt.Bucket, size int) error {
	return seen.ForEach(func(k, v []byte) error {
		hashes, err := decodeHashes(k, v)
		for _, h := range hashes {
			if !w.has(h) { // unless the window has grown since
				w.add(h, size)
			}
		}
		w.kept += len(hashes)
		return err
	})
}

// save writes the hashes that a commit accepted, and deletes the oldest values that the window does not need.
func (w *window) save(seen *bolt.Bucket, first uint64, hashes []hash, size int) error {
	if len(hashes) == 0 {
		return nil
	}
	key := seqKey(first)
	if err := seen.Put(key, encodeHashes(key, hashes)); err != nil {
		return err
	}
	w.kept += len(hashes)
	c := seen.Cursor()
	for k, v := c.First(); k != nil; k, v = c.First() {
		n := (len(v) - 4) / len(hash{})
		if w.kept-n < size {
			return nil
		}
		w.kept -= n
		if err := seen.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
