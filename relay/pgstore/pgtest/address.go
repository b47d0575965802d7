package pgtest

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// FreeAddress returns an address of 127.0.0.1 that nobody listens on, for a server that is started
// later. Its port is below those that systems choose for listeners and connections without a port
// (32768 and above on Linux): so none of them takes it meanwhile.
func FreeAddress() (string, error) {
	var err error
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", fmt.Errorf("pgtest: no free port: %w", err)
}
