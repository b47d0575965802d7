package store

import "time"

// A Pause keeps a lane from sending until a time, because an operator said so. The zero Pause means
// that there is none. A store keeps it, and does nothing with it.
type Pause struct {
	// Until is when the pause ends, by the store's clock. So a wall clock that is set neither ends
	// nor prolongs it, and time in which the relay did not run does not count.
	Until time.Duration
	// By is who asked for it, and Reason why. A relay keeps each below 1,000 bytes.
	By     string
	Reason string
	// At is when it was asked for, by the wall clock. It is shown to people.
	At time.Time
}
