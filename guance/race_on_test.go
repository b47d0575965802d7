//go:build race

package guance_test

// raceEnabled: under the race detector sync.Pool drops things at random, so
// that the bound on memory is a bound on luck.
const raceEnabled = true
