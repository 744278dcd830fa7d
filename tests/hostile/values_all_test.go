//go:build fullsize

package hostile_test

const valuesEach = 1
