package boltstore

import (
	"encoding/binary"

	bolt "go.etcd.io/bbolt"
)

// version is the version of the file's format. It is in the file, and a program refuses a file of
// another version. No earlier version was released.
//
// Within a version, fields may be added at the end of a header, a record or a settlement. A field
// is never removed, moved or given another meaning. A reader takes a missing field as zero, ignores
// what follows the fields that it knows, and copies headers and records that it does not change as
// they are. Outcomes, states and levels keep their numbers. Every other change needs a new version.
const version = "4"

// These are the buckets of the file:
//
//	meta     the version, and the store's clock at the last commit
//	names    each name of a lane → the number of the lane (names.go)
//	lanes    the number of a lane → its bucket, whose sequence is the last sequence number
//	sources  "s" and the name of a source → a bucket: running number → hashes of the newest event
//	         IDs, in the order of acceptance (window.go)
//
// In the bucket of a lane are its present name (names.go), the pause of an operator (pause.go), and
// buckets, the parts of the lane:
//
//	segments  seq of the first entry → a bucket with one value, a segment (segment.go). It is a
//	          bucket because bbolt rewrites the neighbours of a new value, which have megabytes.
//	progress  the same key → the progress of the segment's entries (progress.go)
//	history   running number → the newest settlements, in the order of settlement (settlement.go)
//	dead      seq → the settlement of a dead letter
//	bodies    seq → the body of a dead letter
//	records   recordKey → record (record.go)
//	closed    age key → nothing; the records of problems that are not open, by last change
//	open      the same for problems that are open
//
// Numbers of lanes, sequence numbers and running numbers are eight bytes, big-endian, so that they
// sort. In values, numbers are little-endian, or varints of encoding/binary. All values but bodies
// and the version begin with a checksum (checksum.go).
var parts = []string{
	"segments", "progress", "history", "dead", "bodies", "records", "closed", "open",
}

var (
	metaBucket    = []byte("meta")
	versionKey    = []byte("version")
	clockKey      = []byte("clock")
	namesBucket   = []byte("names")
	lanesBucket   = []byte("lanes")
	sourcesBucket = []byte("sources")
	segmentsPart  = []byte("segments")
	segmentKey    = []byte("e") // of the value in the bucket of a segment
	progressPart  = []byte("progress")
	historyPart   = []byte("history")
	deadPart      = []byte("dead")
	bodiesPart    = []byte("bodies")
	recordsPart   = []byte("records")
	closedPart    = []byte("closed")
	openPart      = []byte("open")
)

// sequentialFill is how full bbolt leaves the pages of a bucket that grows at its end.
const sequentialFill = 0.9

// seqKey is the key of what is kept by sequence number.
func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// keySeq reads what seqKey wrote, and zero for a key of another length.
func keySeq(key []byte) uint64 {
	if len(key) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}

// laneBucket returns the bucket of a lane; nil if there is none.
func laneBucket(tx *bolt.Tx, id uint64) *bolt.Bucket {
	return tx.Bucket(lanesBucket).Bucket(seqKey(id))
}
