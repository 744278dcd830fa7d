//go:build race

package conformance_test

// buildFlags make the program under test carry the race detector when the tests do.
var buildFlags = []string{"-race"}
