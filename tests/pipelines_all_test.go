//go:build fullsize

package tests_test

// repeats are left out in `make test`.
var repeats []string
