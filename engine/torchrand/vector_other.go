//go:build !amd64

package torchrand

// Other CPUs go value by value.

func twistRun(_, _ []uint32) int { return 0 }

func uniformRun(_ []float32, _ []uint32) int { return 0 }

func boxMuller(values []float32) { boxMullerPlain(values) }
