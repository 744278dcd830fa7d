//go:build !race

package server_test

// raceFactor is how much longer things may take under the race detector.
const raceFactor = 1
