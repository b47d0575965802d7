package boltstore

import (
	"crypto/sha256"
	"fmt"

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
	source string
	id     hash
}

// remembers reports whether an event was kept before.
func (x *index) remembers(ev event) bool {
	w := x.sources[ev.source]
	return w != nil && w.has(ev.id)
}

// source returns the window of a source, made on first use.
func (x *index) source(name string) *window {
	w := x.sources[name]
	if w == nil {
		w = &window{known: make(map[hash]struct{})}
		x.sources[name] = w
	}
	return w
}

// sourceKey is the key of a source's bucket. The prefix is for the source with an empty name.
func sourceKey(source string) []byte { return append([]byte("s"), source...) }

// remember adds an event that is kept to the window of its source.
func (c *commit) remember(ev event) {
	c.store.index.source(ev.source).add(ev.id, c.store.opts.Remembered)
	if c.ids == nil {
		c.ids = make(map[string][]hash)
	}
	c.ids[ev.source] = append(c.ids[ev.source], ev.id)
}

// saveWindows writes the event IDs that the commit remembers.
func (c *commit) saveWindows() error {
	for source, ids := range c.ids {
		b, err := c.tx.Bucket(sourcesBucket).CreateBucketIfNotExists(sourceKey(source))
		if err != nil {
			return err
		}
		b.FillPercent = sequentialFill
		w := c.store.index.source(source)
		if err := w.save(b, ids, c.store.opts.Remembered); err != nil {
			return err
		}
	}
	return nil
}

// loadSources reads the windows of all sources.
func (s *Store) loadSources(tx *bolt.Tx) error {
	sources := tx.Bucket(sourcesBucket)
	return sources.ForEachBucket(func(key []byte) error {
		name := string(key[min(len("s"), len(key)):])
		err := s.index.source(name).load(sources.Bucket(key), s.opts.Remembered)
		if err != nil {
			return fmt.Errorf("source %q: %w", name, err)
		}
		return nil
	})
}

// A window remembers the newest event IDs of a source.
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
func (w *window) save(seen *bolt.Bucket, hashes []hash, size int) error {
	n, err := seen.NextSequence()
	if err != nil {
		return err
	}
	key := seqKey(n)
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
