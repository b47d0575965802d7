package main

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// A group is the least that makes puts durable together: one goroutine that commits whatever has
// queued up, as one.
type group struct {
	puts  chan put
	ended chan struct{}
	close func() error
}

type put struct {
	body []byte
	done chan error
}

// maxGroup puts are committed together, as many as boltstore would.
const maxGroup = 512

func newGroup(commit func([]put) error, closing func() error) *group {
	g := &group{make(chan put, maxGroup), make(chan struct{}), closing}
	go func() {
		defer close(g.ended)
		for p := range g.puts {
			batch := []put{p}
			for len(g.puts) > 0 && len(batch) < maxGroup {
				batch = append(batch, <-g.puts)
			}
			err := commit(batch)
			for _, p := range batch {
				p.done <- err
			}
		}
	}()
	return g
}

func (g *group) put(body []byte) error {
	done := make(chan error, 1)
	g.puts <- put{body, done}
	return <-done
}

func (g *group) end() error {
	close(g.puts)
	<-g.ended
	return g.close()
}

// newFloor is the least that a durable put costs: a file that only grows, one write and one sync
// for each group: size, checksum, event. Its index is a map; it has no lanes, knows no duplicates
// and has no end.
func newFloor(dir string) (*group, error) {
	f, err := os.Create(filepath.Join(dir, "floor"))
	if err != nil {
		return nil, err
	}
	var buf []byte
	var offset int64
	index := make(map[uint64]int64)
	commit := func(batch []put) error {
		buf = buf[:0]
		for _, p := range batch {
			index[uint64(len(index))] = offset + int64(len(buf))
			buf = binary.LittleEndian.AppendUint32(buf, uint32(len(p.body)))
			buf = binary.LittleEndian.AppendUint32(buf, crc32.ChecksumIEEE(p.body))
			buf = append(buf, p.body...)
		}
		offset += int64(len(buf))
		if _, err := f.Write(buf); err != nil {
			return err
		}
		return datasync(f)
	}
	return newGroup(commit, f.Close), nil
}

// newPlain is what a store of boltstore's kind costs that does nothing else: a bbolt bucket of
// bodies by number.
func newPlain(dir string) (*group, error) {
	db, err := bolt.Open(filepath.Join(dir, "plain"), 0o600,
		&bolt.Options{NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	commit := func(batch []put) error {
		return db.Update(func(tx *bolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists([]byte("bucket"))
			if err != nil {
				return err
			}
			for _, p := range batch {
				n, err := bucket.NextSequence()
				if err != nil {
					return err
				}
				if err := bucket.Put(binary.BigEndian.AppendUint64(nil, n), p.body); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return newGroup(commit, db.Close), nil
}
