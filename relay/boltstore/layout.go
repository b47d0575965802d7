package boltstore

import (
	bolt "go.etcd.io/bbolt"
)

// The file's layout. The bucket "meta" holds the version and the store's clock as of the last commit. Each lane is a bucket within "lanes", named after it; its sequence is the last
// sequence number that was given out. Within it:
//
//	segments  seq of the first → a bucket with one value, entries that were committed together: headers, then bodies. A bucket of its
//	          own, as bbolt rewrites the neighbours of a value that is put, and would do so with megabytes.
//	progress  the same keys → how far each entry of the segment has gone
//	seen      seq → hashes of the newest event IDs, in the order of acceptance
//	history   running number → the newest settlements, in the order of settlement
//	dead      seq → the settlement of a dead letter
//	bodies    seq → the body of a dead letter
//	records   "p" and the problem key → record
//	closed    turn → nothing: the records of problems that are not open, in the order in which they last changed
//	open      the same of those that are
//
// Sequence and running numbers are eight bytes, big-endian. encoding.go has the values.
var parts = []string{"segments", "progress", "seen", "history", "dead", "bodies", "records", "closed", "open"}

var (
	metaBucket     = []byte("meta")
	lanesBucket    = []byte("lanes")
	versionKey     = []byte("version")
	clockKey       = []byte("clock")
	segmentsPart   = []byte("segments")
	progressPart   = []byte("progress")
	seenPart       = []byte("seen")
	historyPart    = []byte("history")
	deadPart       = []byte("dead")
	bodiesPart     = []byte("bodies")
	recordsPart    = []byte("records")
	closedPart     = []byte("closed")
	openPart       = []byte("open")
	segmentValue   = []byte("e")
	sequentialFill = 0.9
)

// recordKey is the key of a problem's record: not empty even if the problem's key is.
func recordKey(problem string) []byte { return append([]byte("p"), problem...) }

// laneBucket returns a lane's bucket, nil if there is none.
func laneBucket(tx *bolt.Tx, lane string) *bolt.Bucket {
	return tx.Bucket(lanesBucket).Bucket([]byte(lane))
}

// makeLane returns a lane's bucket, made on first use.
func makeLane(tx *bolt.Tx, lane string) (*bolt.Bucket, error) {
	if b := laneBucket(tx, lane); b != nil {
		return b, nil
	}
	b, err := tx.Bucket(lanesBucket).CreateBucket([]byte(lane))
	if err != nil {
		return nil, err
	}
	for _, part := range parts {
		if _, err := b.CreateBucket([]byte(part)); err != nil {
			return nil, err
		}
	}
	return b, nil
}
