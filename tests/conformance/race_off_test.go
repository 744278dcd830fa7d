//go:build !race

package conformance_test

// buildFlags are those of the tests themselves.
var buildFlags []string
