package toy

import "testing"

func TestAdd(t *testing.T) {
	var c counter
	if err := c.add("a", "", "b"); err != nil || c.n != 2 {
		t.Errorf("%v, %d words", err, c.n)
	}
}
