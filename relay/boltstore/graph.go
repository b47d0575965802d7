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

// bbolt follows whatever its pages say: one that points back at its parent has it go round until memory is used up, and nobody can stop that. So
// the graph of pages is looked at before bbolt sees it. The layout is bbolt's file format, version 2, which etcd keeps stable: little-endian as
// on every machine that Go and bbolt run on together in practice.
const (
	pageHeader   = 16 // id, flags, count, overflow
	elementSize  = 16 // branch: position, key size, page; leaf: flags, position, key size, value size
	bucketHeader = 16 // root page, sequence
	branchPage   = 0x01
	leafPage     = 0x02
	bucketLeaf   = 0x01
	boltMagic    = 0xED0CDAED
)

// A graph is the pages of a file, as far as they were visited.
type graph struct {
	file io.ReaderAt
	page uint64 // size of one
	seen []bool // by page number, up to the newest commit's last
}

// A span is the keys that may stand below a page: from the one up to and without the other; nil is no bound.
type span struct{ from, to []byte }

// checkGraph returns relay.ErrDamaged unless every page of the newest commit is reached once and points only at what there is, and every key
// stands where it is looked for.
func checkGraph(file io.ReaderAt, pageSize int) error {
	root, pages, err := newestMeta(file, int64(pageSize))
	if err != nil {
		return err
	}
	g := &graph{file: file, page: uint64(pageSize), seen: make([]bool, pages)}
	return g.node(root, span{})
}

// newestMeta returns the root page and the number of pages of the newest commit. bbolt has made sure that there is one.
func newestMeta(file io.ReaderAt, pageSize int64) (root, pages uint64, err error) {
	var newest uint64
	for i := range int64(2) {
		var m [64]byte
		if _, err := file.ReadAt(m[:], i*pageSize+pageHeader); err != nil {
			return 0, 0, fmt.Errorf("%w: reading the first pages: %w", store.ErrDamaged, err)
		}
		sum := fnv.New64a()
		_, _ = sum.Write(m[:56]) // a hash does not fail
		txid := binary.LittleEndian.Uint64(m[48:])
		if binary.LittleEndian.Uint32(m[:]) == boltMagic && binary.LittleEndian.Uint64(m[56:]) == sum.Sum64() && txid >= newest {
			newest, root, pages = txid, binary.LittleEndian.Uint64(m[16:]), binary.LittleEndian.Uint64(m[40:])
		}
	}
	if pages == 0 || pages > 1<<40 {
		return 0, 0, fmt.Errorf("%w: no commit is whole", store.ErrDamaged)
	}
	return root, pages, nil
}

// node visits a page with those that belong to it, and all below it.
func (g *graph) node(id uint64, keys span) error {
	if id < 2 || id >= uint64(len(g.seen)) {
		return fmt.Errorf("%w: a page that does not exist is pointed at: %d of %d", store.ErrDamaged, id, len(g.seen))
	}
	first := make([]byte, g.page)
	if _, err := g.file.ReadAt(first, int64(id*g.page)); err != nil {
		return fmt.Errorf("%w: page %d: %w", store.ErrDamaged, id, err)
	}
	overflow := uint64(binary.LittleEndian.Uint32(first[12:]))
	if binary.LittleEndian.Uint64(first) != id || id+overflow >= uint64(len(g.seen)) {
		return fmt.Errorf("%w: page %d is not itself", store.ErrDamaged, id)
	}
	for p := id; p <= id+overflow; p++ {
		if g.seen[p] {
			return fmt.Errorf("%w: page %d is pointed at twice", store.ErrDamaged, p)
		}
		g.seen[p] = true
	}
	size := int64((overflow + 1) * g.page)
	return g.elements(io.NewSectionReader(&page{g.file, int64(id * g.page), first}, 0, size), id, keys)
}

// A page has its first part in memory, so that a page of a hundred elements is one read and not three hundred.
type page struct {
	file  io.ReaderAt
	at    int64
	first []byte
}

func (p *page) ReadAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) <= int64(len(p.first)) {
		return copy(b, p.first[off:]), nil
	}
	return p.file.ReadAt(b, p.at+off)
}

// elements visits what a page holds. The page of a small bucket stands within a value of another one, and goes by its number.
func (g *graph) elements(r *io.SectionReader, id uint64, keys span) error {
	bad := func(what string) error { return fmt.Errorf("%w: page %d %s", store.ErrDamaged, id, what) }
	var h [pageHeader]byte
	if _, err := r.ReadAt(h[:], 0); err != nil {
		return bad("is cut short")
	}
	kind, count := binary.LittleEndian.Uint16(h[8:]), int(binary.LittleEndian.Uint16(h[10:]))
	if kind != branchPage && kind != leafPage || kind == branchPage && count == 0 || pageHeader+int64(count)*elementSize > r.Size() {
		return bad("makes no sense")
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
			return bad("has keys in no order")
		}
	}
	for i, e := range list {
		below := span{keys.from, keys.to}
		if i > 0 {
			below.from = e.key
		}
		if i+1 < count {
			below.to = list[i+1].key
		}
		var err error
		switch {
		case kind == branchPage:
			err = g.node(e.child, below)
		case keys.from != nil && bytes.Compare(e.key, keys.from) < 0, keys.to != nil && bytes.Compare(e.key, keys.to) >= 0:
			err = bad("has a key that is looked for elsewhere")
		case e.flags&bucketLeaf != 0:
			err = g.bucket(e.value, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// An element is a key of a page with what it leads to: a page below, or a value.
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

func (g *graph) bucket(value *io.SectionReader, id uint64) error {
	var h [bucketHeader]byte
	if _, err := value.ReadAt(h[:], 0); err != nil {
		return fmt.Errorf("%w: page %d has half a bucket", store.ErrDamaged, id)
	}
	if root := binary.LittleEndian.Uint64(h[:]); root != 0 {
		return g.node(root, span{})
	}
	return g.elements(io.NewSectionReader(value, bucketHeader, value.Size()-bucketHeader), id, span{})
}
