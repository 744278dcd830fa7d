//go:build !race

package testprogram

// Race are the flags that make a program carry the race detector when the tests do.
var Race []string
