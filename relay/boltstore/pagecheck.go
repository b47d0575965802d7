package boltstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// The page check is here for a bug of bbolt: it follows page numbers of a damaged file in a circle,
// until the process has no memory left (etcd-io/bbolt#701, #872 and #1257; so does v1.5.0). At Open
// it does so in a goroutine whose panics no caller can recover. Therefore the store checks all
// pages before bbolt does. It reads format version 2 of bbolt, which etcd keeps stable, in
// little-endian order: that of all machines on which Go and bbolt run in practice.
const (
	pageHeader   = 16 // id, flags, count, overflow
	elementSize  = 16 // branch: position, key size, page; leaf: flags, position, two sizes
	bucketHeader = 16 // root page, sequence
	branchPage   = 0x01
	leafPage     = 0x02
	bucketLeaf   = 0x01
	boltMagic    = 0xED0CDAED
)

// A pageCheck visits the pages of a file.
type pageCheck struct {
	file     io.ReaderAt
	pageSize uint64
	visited  []bool // by page number, up to the last page of the newest commit
}

// A keyRange is the keys that may stand below a page: from one up to but without the other. nil is
// no bound.
type keyRange struct{ from, to []byte }

// checkPages returns [store.ErrDamaged] unless each page of the newest commit is reached once, each
// page number is that of a page, and each key is where a search finds it.
func checkPages(file io.ReaderAt, pageSize int) error {
	root, pages, err := newestMeta(file, int64(pageSize))
	if err != nil {
		return err
	}
	c := &pageCheck{file: file, pageSize: uint64(pageSize), visited: make([]bool, pages)}
	return c.visit(root, keyRange{})
}

// newestMeta returns the root page and the number of pages of the newest commit.
func newestMeta(file io.ReaderAt, pageSize int64) (root, pages uint64, err error) {
	var newest uint64
	for i := range int64(2) {
		var m [64]byte
		if _, err := file.ReadAt(m[:], i*pageSize+pageHeader); err != nil {
			return 0, 0, fmt.Errorf("%w: reading the first pages: %w", store.ErrDamaged, err)
		}
		sum := fnv.New64a()
		_, _ = sum.Write(m[:56]) // never fails
		txid := binary.LittleEndian.Uint64(m[48:])
		whole := binary.LittleEndian.Uint32(m[:]) == boltMagic &&
			binary.LittleEndian.Uint64(m[56:]) == sum.Sum64()
		if whole && txid >= newest {
			newest = txid
			root, pages = binary.LittleEndian.Uint64(m[16:]), binary.LittleEndian.Uint64(m[40:])
		}
	}
	if pages == 0 || pages > 1<<40 {
		return 0, 0, fmt.Errorf("%w: neither of its last two commits is whole", store.ErrDamaged)
	}
	return root, pages, nil
}

// visit checks a page with its overflow pages, and all pages below it.
func (c *pageCheck) visit(id uint64, keys keyRange) error {
	if id < 2 || id >= uint64(len(c.visited)) {
		return fmt.Errorf("%w: there is no page %d: the file has %d pages",
			store.ErrDamaged, id, len(c.visited))
	}
	first := make([]byte, c.pageSize)
	if _, err := c.file.ReadAt(first, int64(id*c.pageSize)); err != nil {
		return fmt.Errorf("%w: page %d: %w", store.ErrDamaged, id, err)
	}
	overflow := uint64(binary.LittleEndian.Uint32(first[12:]))
	if binary.LittleEndian.Uint64(first) != id || id+overflow >= uint64(len(c.visited)) {
		return fmt.Errorf("%w: page %d has a wrong number or size", store.ErrDamaged, id)
	}
	for p := id; p <= id+overflow; p++ {
		if c.visited[p] {
			return fmt.Errorf("%w: page %d is used twice", store.ErrDamaged, p)
		}
		c.visited[p] = true
	}
	size := int64((overflow + 1) * c.pageSize)
	page := &pageReader{c.file, int64(id * c.pageSize), first}
	return c.elements(io.NewSectionReader(page, 0, size), id, keys)
}

// A pageReader reads a page, of which it has the first part in memory. So a page of a hundred
// elements takes one read of the file and not three hundred.
type pageReader struct {
	file  io.ReaderAt
	at    int64
	first []byte
}

func (p *pageReader) ReadAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) <= int64(len(p.first)) {
		return copy(b, p.first[off:]), nil
	}
	return p.file.ReadAt(b, p.at+off)
}

// elements checks the elements of a page. The page of a small bucket is within a value of another
// page; id is then the number of that page.
func (c *pageCheck) elements(r *io.SectionReader, id uint64, keys keyRange) error {
	bad := func(what string) error {
		return fmt.Errorf("%w: page %d %s", store.ErrDamaged, id, what)
	}
	var h [pageHeader]byte
	if _, err := r.ReadAt(h[:], 0); err != nil {
		return bad("is cut short")
	}
	kind, count := binary.LittleEndian.Uint16(h[8:]), int(binary.LittleEndian.Uint16(h[10:]))
	switch {
	case kind != branchPage && kind != leafPage:
		return bad("is of no known type")
	case kind == branchPage && count == 0:
		return bad("leads to no other page")
	case pageHeader+int64(count)*elementSize > r.Size():
		return bad("has more elements than fit")
	}
	if count == 0 {
		return nil // an empty bucket
	}
	list := make([]element, count)
	for i := range list {
		var err error
		if list[i], err = readElement(r, kind, i); err != nil {
			return bad("has a key or value beyond its end")
		}
		if i > 0 && bytes.Compare(list[i-1].key, list[i].key) >= 0 {
			return bad("has keys that are not in order")
		}
	}
	for i, e := range list {
		below := keys
		if i > 0 {
			below.from = e.key
		}
		if i+1 < count {
			below.to = list[i+1].key
		}
		var err error
		switch {
		case kind == branchPage:
			err = c.visit(e.child, below)
		case keys.from != nil && bytes.Compare(e.key, keys.from) < 0,
			keys.to != nil && bytes.Compare(e.key, keys.to) >= 0:
			err = bad("has a key that belongs to another page")
		case e.flags&bucketLeaf != 0:
			err = c.bucket(e.value, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// An element is a key of a page, with the page below it or its value.
type element struct {
	key   []byte
	child uint64
	flags uint32
	value *io.SectionReader
}

func readElement(r *io.SectionReader, kind uint16, i int) (e element, err error) {
	at := pageHeader + int64(i)*elementSize
	var raw [elementSize]byte
	if _, err := r.ReadAt(raw[:], at); err != nil {
		return e, err
	}
	word := func(i int) int64 { return int64(binary.LittleEndian.Uint32(raw[i:])) }
	key, keySize := at+word(0), word(4)
	if kind == leafPage {
		key, keySize = at+word(4), word(8)
		e.flags = binary.LittleEndian.Uint32(raw[:])
		if key+keySize+word(12) > r.Size() {
			return e, io.ErrUnexpectedEOF
		}
		e.value = io.NewSectionReader(r, key+keySize, word(12))
	} else {
		e.child = binary.LittleEndian.Uint64(raw[8:])
	}
	if keySize > bolt.MaxKeySize || key+keySize > r.Size() {
		return e, io.ErrUnexpectedEOF
	}
	e.key = make([]byte, keySize)
	_, err = r.ReadAt(e.key, key)
	return e, err
}

// bucket checks the pages of a bucket.
func (c *pageCheck) bucket(value *io.SectionReader, id uint64) error {
	var h [bucketHeader]byte
	if _, err := value.ReadAt(h[:], 0); err != nil {
		return fmt.Errorf("%w: page %d has a bucket that is cut short", store.ErrDamaged, id)
	}
	if root := binary.LittleEndian.Uint64(h[:]); root != 0 {
		return c.visit(root, keyRange{})
	}
	page := io.NewSectionReader(value, bucketHeader, value.Size()-bucketHeader)
	return c.elements(page, id, keyRange{})
}
