//go:build race

package browser

// buildFlags make the program under test carry the race detector when the tests do.
var buildFlags = []string{"-race"}
