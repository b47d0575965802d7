package boltstore

import (
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// Options are the settings of a [Store]. A nil *Options has all defaults, and so has a field that
// is zero. A negative value is an error of [Open].
type Options struct {
	// MaxEntries is how many entries of all lanes together may be pending; by default 1,000,000.
	// Above it Append returns [store.ErrFull].
	MaxEntries int
	// MaxLaneEntries is how many entries of one lane may be pending; by default a quarter of
	// MaxEntries. An event beyond it becomes a dead letter of the lane at once, with the reason
	// [store.LaneFull].
	MaxLaneEntries int
	// MaxBytes is how many bytes the pending entries of all lanes may have, with their headers;
	// by default 4 GiB. Above it Append returns [store.ErrFull]. Dead letters may have a quarter
	// of it in addition. Above that the oldest of the lane are deleted.
	MaxBytes int64
	// Remembered is how many event IDs of each source are remembered to recognise duplicates; by
	// default 100,000. Each takes 16 bytes in the file and some 55 in memory, however many lanes
	// got the event.
	Remembered int
	// History is how many outcomes of each lane History can return, the last ones; by default
	// 10,000.
	History int
	// MaxDead is how many dead letters of each lane are kept, the newest ones; by default 100,000.
	// The outcome of a deleted one stays in the history.
	MaxDead int
	// DeadAge is how long a dead letter is kept, by the store's time; by default 30 days.
	DeadAge time.Duration
	// MaxRecords is how many problems of each lane are remembered that have nothing pending and
	// no dead letter; by default 200,000. Each takes some 200 bytes of the file. Above it, records
	// of problems that are not open at the target are deleted first, and of them those that have
	// not changed for the longest time. If the record of an open problem is deleted, its recovery
	// is not sent, and the log has a line at level ERROR.
	MaxRecords int
	// Logger takes what an operator must know and no call returns; by default slog.Default().
	Logger *slog.Logger
	// MeterProvider receives the metrics relay.store.*: what is pending and the limits, the time of
	// commits, and of a file its size and the room on its disk. Default: OpenTelemetry's global one.
	MeterProvider metric.MeterProvider
}

func (o *Options) withDefaults() (d Options, err error) {
	if o != nil {
		d = *o
	}
	if n := min(int64(d.MaxEntries), int64(d.MaxLaneEntries), d.MaxBytes, int64(d.Remembered),
		int64(d.History), int64(d.MaxDead), int64(d.DeadAge), int64(d.MaxRecords)); n < 0 {
		return d, fmt.Errorf("boltstore: an option is negative (%d); zero means the default", n)
	}
	orDefault(&d.MaxEntries, 1_000_000)
	orDefault(&d.MaxLaneEntries, max(d.MaxEntries/4, 1))
	orDefault(&d.MaxBytes, 4<<30)
	orDefault(&d.Remembered, 100_000)
	orDefault(&d.History, 10_000)
	orDefault(&d.MaxDead, 100_000)
	orDefault(&d.DeadAge, 30*24*time.Hour)
	orDefault(&d.MaxRecords, 200_000)
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return d, nil
}

func orDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}
