//go:build race

package main

// raceFactor is how much more memory a server with the race detector in it takes.
const raceFactor = 4
