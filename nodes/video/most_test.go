//go:build !fullsize

package video_test

// mostRandom is how many random calls of each class are made; make golden makes all.
const mostRandom = 3
