//go:build !fullsize

package hostile_test

// valuesEach thins parameters times values, and fields of JSON bodies times values: a route gets one of valuesEach pairs, and each pair goes to
// one of valuesEach routes. make golden sets the build tag with which every route gets all pairs.
const valuesEach = 12
