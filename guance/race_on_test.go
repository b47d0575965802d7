//go:build race

package guance_test

// raceEnabled: with the race detector sync.Pool drops things at random, so allocations cannot be
// limited.
const raceEnabled = true
