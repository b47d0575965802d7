package guance

import (
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// unixTime is a time in seconds, or in milliseconds above maxSeconds.
func unixTime(name string, at func(*Event) *time.Time) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		t, ok := parseUnixTime(v)
		if ok {
			*at(e) = t
		}
		return ok
	}, encode: func(e *Event, dst []byte) []byte {
		return appendUnixTime(dst, *at(e))
	}, want: "a time in seconds or milliseconds"}
}

// duration is a number in the same units as unixTime.
func duration(name string, at func(*Event) *time.Duration) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		ms, ok := parseMillis(v)
		if !ok || ms > math.MaxInt64/int64(time.Millisecond) {
			return false
		}
		*at(e) = time.Duration(ms) * time.Millisecond
		return true
	}, encode: func(e *Event, dst []byte) []byte {
		d := *at(e)
		if d == 0 {
			return dst
		}
		return strconv.AppendFloat(dst, float64(d.Milliseconds())/1000, 'f', -1, 64)
	}, want: "a duration in seconds"}
}

// ranges is [[start, end], ...]; an open end is null (OpenAPI).
func ranges(name string, at func(*Event) *[]TimeRange) field {
	return field{name: name, decode: func(e *Event, v jsontext.Value) bool {
		if v.Kind() != '[' || !withinMaxMembers(v) {
			return false
		}
		all := emptySlice[TimeRange](v)
		for element := range elements(v).all {
			r, ok := parseRange(element)
			if !ok {
				return false
			}
			all = append(all, r)
		}
		*at(e) = all
		return true
	}, encode: func(e *Event, dst []byte) []byte {
		for i, r := range *at(e) {
			dst = append(dst, "[,"[min(i, 1)], '[')
			dst = append(orNull(dst, appendUnixTime(dst, r.Start)), ',')
			dst = append(orNull(dst, appendUnixTime(dst, r.End)), ']')
		}
		if len(*at(e)) > 0 {
			dst = append(dst, ']')
		}
		return dst
	}, want: "a list of pairs of times" + ofMaxMembers}
}

// maxSeconds is the largest number that is read as seconds; a larger one is milliseconds. The
// vendor's own on-call script uses the same limit. Seconds reach the year 2286, and milliseconds
// begin in April 1970.
const maxSeconds = 1e10

// maxMillis is the end of the year 9999, the last that RFC 3339 can write.
const maxMillis = 253402300799999

// parseMillis reads a number, or a string with one, as seconds or milliseconds.
func parseMillis(v jsontext.Value) (int64, bool) {
	if v.Kind() == '"' && len(v) == len(`""`) {
		return 0, true
	}
	if n, ok := wholeNumber(v); ok && n <= maxMillis {
		if n > maxSeconds {
			return n, true
		}
		return n * 1000, true
	}
	n, ok := Value(v).Float64()
	switch {
	case !ok || n < 0 || n > maxMillis:
		return 0, false
	case n > maxSeconds:
		return int64(n), true
	}
	return int64(math.Round(n * 1000)), true
}

// wholeNumber is a fast path for numbers of at most 18 digits.
func wholeNumber(v jsontext.Value) (n int64, ok bool) {
	if len(v) > 18 {
		return 0, false
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(v) > 0
}

func parseUnixTime(v jsontext.Value) (time.Time, bool) {
	ms, ok := parseMillis(v)
	if ms == 0 {
		return time.Time{}, ok
	}
	return time.UnixMilli(ms).UTC(), ok
}

// parseRange reads [start, end]. Each of them may be null.
func parseRange(v jsontext.Value) (r TimeRange, ok bool) {
	n := 0
	for bound := range elements(v).all {
		t, ok := time.Time{}, true
		if bound.Kind() != 'n' {
			t, ok = parseUnixTime(bound)
		}
		if n++; !ok || n > 2 {
			return r, false
		}
		r.Start, r.End = r.End, t
	}
	return r, n == 2
}

// appendUnixTime writes seconds, with decimals if needed, or milliseconds if the seconds would be
// read as milliseconds.
func appendUnixTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	if t.Unix() >= maxSeconds {
		return strconv.AppendInt(dst, t.UnixMilli(), 10)
	}
	return strconv.AppendFloat(dst, float64(t.UnixMilli())/1000, 'f', -1, 64)
}

// orNull returns after, or before with null appended if the two are the same.
func orNull(before, after []byte) []byte {
	if len(after) == len(before) {
		return append(before, "null"...)
	}
	return after
}
