package pagerduty

import (
	"testing"
	"time"
)

func TestFact31ParseTimestamp(t *testing.T) {
	day := time.Date(2011, 5, 6, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		text string
		want time.Time
	}{
		{"2011-05-06T17:00Z", day.Add(17 * time.Hour)},
		{"2011-05-06T03:30-07", day.Add(10*time.Hour + 30*time.Minute)},
		{"2011-05-06", day},
		{"2011-05-06T17:00:01.250Z", day.Add(17*time.Hour + 1250*time.Millisecond)},
		{"2015-07-17T08:42:58.315+0000", time.Date(2015, 7, 17, 8, 42, 58, 315_000_000, time.UTC)},
		{"2011-05-06T17:00:00+08:00", day.Add(9 * time.Hour)},
		{" 2011-05-06T17:00:00 ", day.Add(17 * time.Hour)},
		{"", time.Time{}},
		{"   ", time.Time{}},
	}
	for _, test := range tests {
		if got, err := ParseTimestamp(test.text); err != nil || !got.Equal(test.want) {
			t.Errorf("ParseTimestamp(%q) = %v, %v; want %v", test.text, got, err, test.want)
		}
	}
	for _, text := range []string{
		"1963-09-55 90:23:45", "2021-10-22 5:01:32", "2021-10-22T5:01:32Z", "2021-10-22 05:01:32",
		"yesterday", "1634878892", "2021-13-01", "2021-10-22T25:00Z",
	} {
		if got, err := ParseTimestamp(text); err == nil {
			t.Errorf("ParseTimestamp(%q) = %v; want an error", text, got)
		}
	}
}
