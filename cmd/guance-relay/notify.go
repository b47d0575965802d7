package main

import (
	"fmt"
	"net"
	"os"
)

// notify tells systemd what a unit of Type=notify does, see sd_notify(3): READY=1 or STOPPING=1. It
// does nothing without systemd.
func notify(state string) error {
	address := os.Getenv("NOTIFY_SOCKET") // that of net, too: @ begins an abstract one
	if address == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notifying systemd: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("notifying systemd: %w", err)
	}
	return nil
}
