//go:build !fullsize

package hostile_test

// valuesEach thins parameters times values: a route gets one of so many pairs, each pair goes to one of so many routes. make golden sets the
// build tag with which every route gets all pairs.
const valuesEach = 4
