//go:build !race

package guance_test

const raceEnabled = false
