package relay

import (
	"errors"
	"fmt"
	"testing"
)

// The line about a lease that was lost has each reason once.
func TestLostLeaseIsOneLine(t *testing.T) {
	var errs []error
	for range 30 {
		errs = append(errs, errors.New("the lane has a newer owner"))
	}
	err := fmt.Errorf("%w\n%w", errors.Join(errs...), errLeaseLost)
	const want = "the lane has a newer owner; relay: the lease is lost"
	if got := eachOnce(err); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
