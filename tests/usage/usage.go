// Package usage tells benchmarks what their process has used.
package usage
