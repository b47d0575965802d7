package boltstore

import (
	"encoding/binary"
	"math"

	"github.com/guance-relay/guance-relay/guance"
)

// A progress is how far one entry of a segment has gone. It is not in the segment, so that a mark
// does not rewrite events. It has what the index needs of a pending entry, so that Open does not
// read events.
//
//	seq      uint32, above the first of the segment
//	problem  uint64, hashProblem of the key
//	size     uint32, of header and body
//	state    uint32: 0 new, 1+n begun after n failed attempts, all ones settled
//	kind     byte: the sum of recovery and sticky
type progress struct {
	seq     uint64
	problem uint64
	size    uint32
	state   uint32
	kind    uint8
}

const (
	progressSize = 21
	settled      = math.MaxUint32

	recovery = 1 // the event says that the problem is over
	sticky   = 2 // the lane did not want the event, and holds its problem
)

func kindOf(s guance.State, isSticky bool) (kind uint8) {
	if s == guance.StateRecovered {
		kind |= recovery
	}
	if isSticky {
		kind |= sticky
	}
	return kind
}

// begun is the state of an entry whose attempt begins after so many failed ones.
func begun(failed int) uint32 { return uint32(min(max(failed, 0), math.MaxInt32-1)) + 1 }

// encodeProgress encodes the progress of all entries of a segment.
func encodeProgress(first uint64, list []progress) []byte {
	b := make([]byte, 4, 4+progressSize*len(list))
	for _, p := range list {
		b = binary.LittleEndian.AppendUint32(b, uint32(p.seq-first))
		b = binary.LittleEndian.AppendUint64(b, p.problem)
		b = binary.LittleEndian.AppendUint32(b, p.size)
		b = binary.LittleEndian.AppendUint32(b, p.state)
		b = append(b, p.kind)
	}
	return seal(seqKey(first), b)
}

// decodeProgress appends the progress of a segment's entries to dst: at least one, in ascending
// order.
func decodeProgress(dst []progress, key, value []byte) ([]progress, error) {
	b, err := unseal("progress", key, value)
	if err != nil {
		return nil, err
	}
	if len(key) != 8 || len(b) == 0 || len(b)%progressSize != 0 {
		return nil, damaged("progress", key)
	}
	first, last := keySeq(key), uint64(0)
	for ; len(b) > 0; b = b[progressSize:] {
		p := progress{
			seq:     first + uint64(binary.LittleEndian.Uint32(b)),
			problem: binary.LittleEndian.Uint64(b[4:]),
			size:    binary.LittleEndian.Uint32(b[12:]),
			state:   binary.LittleEndian.Uint32(b[16:]),
			kind:    b[20],
		}
		if p.seq <= last {
			return nil, damaged("progress", key)
		}
		last = p.seq
		dst = append(dst, p)
	}
	return dst, nil
}
