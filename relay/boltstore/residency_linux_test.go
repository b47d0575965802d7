package boltstore

import "testing"

// Pages are released once much was read, and not before, because each release is a system call.
func TestResidency(t *testing.T) {
	s, err := Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var r residency
	for _, test := range []struct{ touched, left int64 }{{maxTouched, maxTouched}, {1, 0}, {1, 1}} {
		r.touched(test.touched)
		if r.trim(s.db); r.segments.Load() != test.left {
			t.Errorf("%d segments more, and a trim: %d count, want %d", test.touched,
				r.segments.Load(), test.left)
		}
	}
}
