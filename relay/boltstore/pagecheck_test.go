package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A pages is a bbolt file that the test reads by itself. Its pages have 4,096 bytes, and the first
// two are metas.
type pages []byte

const testPage = 4096

func (p pages) page(id uint64) []byte { return p[id*testPage:][:testPage] }

func u16(b []byte) uint16              { return binary.LittleEndian.Uint16(b) }
func u32(b []byte) uint32              { return binary.LittleEndian.Uint32(b) }
func u64(b []byte) uint64              { return binary.LittleEndian.Uint64(b) }
func put16(b []byte, v uint16)         { binary.LittleEndian.PutUint16(b, v) }
func put32(b []byte, v uint32)         { binary.LittleEndian.PutUint32(b, v) }
func put64(b []byte, v uint64)         { binary.LittleEndian.PutUint64(b, v) }
func element16(p []byte, i int) []byte { return p[16+16*i:][:16] }

// metas returns the metas of the last commit and of the one before.
func (p pages) metas() (newest, older []byte) {
	newest, older = p.page(0)[16:80], p.page(1)[16:80]
	if u64(newest[48:]) < u64(older[48:]) {
		newest, older = older, newest
	}
	return newest, older
}

// tree returns the branch page of the large bucket and its first two leaves.
func (p pages) tree(t *testing.T) (branch, left, right []byte) {
	t.Helper()
	newest, _ := p.metas()
	for id := uint64(2); id < u64(newest[40:]); id++ {
		if b := p.page(id); u64(b) == id && u16(b[8:]) == 0x01 {
			return b, p.page(u64(element16(b, 0)[8:])), p.page(u64(element16(b, 1)[8:]))
		}
	}
	t.Fatal("the file has no branch page")
	return nil, nil, nil
}

// leafKey returns a key of a leaf, to be changed in place.
func leafKey(leaf []byte, i int) []byte {
	e := element16(leaf, i)
	return leaf[16+16*i+int(u32(e[4:])):][:u32(e[8:])]
}

// pageFile makes a file with a bucket of many pages, a bucket within a bucket, and a value of many
// pages.
func pageFile(t *testing.T) pages {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bolt")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: testPage, NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("large"))
		for i := range 400 {
			err = errors.Join(err, b.Put(fmt.Appendf(nil, "key %04d", i), make([]byte, 40)))
		}
		outer, err2 := tx.CreateBucket([]byte("outer"))
		if err = errors.Join(err, err2); err != nil {
			return err
		}
		inner, err := outer.CreateBucket([]byte("inner"))
		return errors.Join(err, inner.Put([]byte("k"), []byte("v")),
			outer.Put([]byte("value"), make([]byte, 3*testPage)))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Each kind of damage is found before bbolt reads the pages.
func TestCheckPages(t *testing.T) {
	good := pageFile(t)
	if err := checkPages(bytes.NewReader(good), testPage); err != nil {
		t.Fatalf("a good file: %v", err)
	}
	for name, harm := range map[string]func(branch, left, right []byte){
		"a page points at itself": func(branch, _, _ []byte) {
			put64(element16(branch, 0)[8:], u64(branch))
		},
		"two point at one": func(branch, _, right []byte) {
			put64(element16(branch, 0)[8:], u64(right))
		},
		"a page that does not exist": func(branch, _, _ []byte) {
			put64(element16(branch, 0)[8:], 1<<30)
		},
		"a meta as a page": func(branch, _, _ []byte) {
			put64(element16(branch, 0)[8:], 1)
		},
		"a page is another one": func(_, left, right []byte) {
			copy(left, bytes.Clone(right))
		},
		"a page goes on beyond the end": func(_, left, _ []byte) { put32(left[12:], 1<<20) },
		"a page of no kind":             func(_, left, _ []byte) { put16(left[8:], 0x10) },
		"a branch to nothing":           func(branch, _, _ []byte) { put16(branch[10:], 0) },
		"more elements than fit":        func(_, left, _ []byte) { put16(left[10:], 0xffff) },
		"keys in no order": func(_, left, _ []byte) {
			copy(leafKey(left, 3), "key 0000")
		},
		"one key twice": func(_, left, _ []byte) {
			copy(leafKey(left, 3), bytes.Clone(leafKey(left, 2)))
		},
		"a key below those of its page": func(_, _, right []byte) {
			copy(leafKey(right, 0), "key 0000")
		},
		"a key above those of its page": func(_, left, _ []byte) {
			copy(leafKey(left, int(u16(left[10:]))-1), "key 9999")
		},
		"a key beyond the end": func(_, left, _ []byte) {
			put32(element16(left, 0)[4:], 1<<20)
		},
		"a key that is too long": func(_, left, _ []byte) {
			put32(element16(left, 0)[8:], 1<<30)
		},
		"a value beyond the end": func(_, left, _ []byte) {
			put32(element16(left, 0)[12:], 1<<20)
		},
		"half a bucket": func(_, left, _ []byte) {
			put32(element16(left, 0), 1)
			put32(element16(left, 0)[12:], 8)
		},
		"a bucket of no page": func(_, left, _ []byte) {
			put32(element16(left, 0), 1)
			put64(leafKey(left, 0)[8:16], 1<<30) // the value follows its key of eight bytes
		},
	} {
		t.Run(name, func(t *testing.T) {
			data := pages(bytes.Clone(good))
			harm(data.tree(t))
			err := checkPages(bytes.NewReader(data), testPage)
			if !errors.Is(err, store.ErrDamaged) {
				t.Errorf("got %v, want ErrDamaged", err)
			}
		})
	}
	t.Run("a page that cannot be read", func(t *testing.T) {
		_, left, _ := good.tree(t)
		short := good[:u64(left)*testPage+100]
		if err := checkPages(bytes.NewReader(short), testPage); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("got %v, want ErrDamaged", err)
		}
	})
}

// The newest commit is the last one if its meta is whole, and otherwise the one before.
func TestNewestMeta(t *testing.T) {
	data := pageFile(t)
	newest, older := data.metas()
	for _, test := range []struct {
		name string
		harm func()
		want []byte
	}{
		{"whole", func() {}, newest},
		{"the last is torn", func() { newest[20] ^= 1 }, older},
		{"both are torn", func() { older[20] ^= 1 }, nil},
	} {
		test.harm()
		root, count, err := newestMeta(bytes.NewReader(data), testPage)
		switch {
		case test.want == nil:
			if !errors.Is(err, store.ErrDamaged) {
				t.Errorf("%s: got %v, want ErrDamaged", test.name, err)
			}
		case err != nil || root != u64(test.want[16:]) || count != u64(test.want[40:]):
			t.Errorf("%s: got the root %d of %d pages, %v; want %d of %d", test.name, root, count,
				err, u64(test.want[16:]), u64(test.want[40:]))
		}
	}
}
