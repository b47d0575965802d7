package boltstore

import (
	"encoding/binary"
	"math"
	"time"
)

func appendString[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendClock writes a time of the store's clock: nanoseconds as uvarint.
func appendClock(b []byte, t time.Duration) []byte {
	return binary.AppendUvarint(b, uint64(max(t, 0)))
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// appendTime writes a zero byte for the zero time. For others it writes a one, the Unix seconds as
// varint and the nanoseconds as uvarint. The location is not kept: a reader gets UTC.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	b = append(b, 1)
	b = binary.AppendVarint(b, t.Unix())
	return binary.AppendUvarint(b, uint64(t.Nanosecond()))
}

// A decoder reads fields one after the other. A missing field is zero. A field that is cut short
// makes it bad.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	if len(d.b) == 0 {
		return 0
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	if len(d.b) == 0 {
		return 0
	}
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uint32() uint32 {
	if len(d.b) < 4 {
		d.fail()
		return 0
	}
	v := binary.LittleEndian.Uint32(d.b)
	d.b = d.b[4:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) time() time.Time {
	if d.byte() == 0 {
		return time.Time{}
	}
	sec, nsec := d.varint(), d.uvarint()
	if nsec >= 1e9 {
		d.fail()
		return time.Time{}
	}
	return time.Unix(sec, int64(nsec)).UTC()
}

func (d *decoder) clock() time.Duration {
	n := d.uvarint()
	if n > math.MaxInt64 {
		d.fail()
		return 0
	}
	return time.Duration(n)
}

// size reads a number of bytes.
func (d *decoder) size() int {
	n := d.uvarint()
	if n > math.MaxInt32 {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.size()
	if n > len(d.b) {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// string reads a string and returns it as a part of all, which is an earlier d.b as a string. So
// several strings share one allocation.
func (d *decoder) string(all string) string {
	n := len(d.bytes())
	end := len(all) - len(d.b)
	return all[end-n : end]
}

func (d *decoder) fail() { d.b, d.bad = nil, true }
