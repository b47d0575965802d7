package boltstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A value begins with four bytes of CRC-32C over its key and the rest of the value. So a reader
// finds a damaged value, and a value under the key of another one.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal writes the checksum of a value into its first four bytes.
func seal(key, value []byte) []byte {
	binary.LittleEndian.PutUint32(value, checksum(key, value[4:]))
	return value
}

// unseal returns a value without its checksum.
func unseal(what string, key, value []byte) ([]byte, error) {
	if len(value) < 4 || binary.LittleEndian.Uint32(value) != checksum(key, value[4:]) {
		return nil, damaged(what, key)
	}
	return value[4:], nil
}

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// damaged is the error for a value that is not what the store wrote.
func damaged(what string, key []byte) error {
	return fmt.Errorf("boltstore: the %s at %x: %w; keep the file for repair and see "+
		"docs/operations.md", what, key, store.ErrDamaged)
}
