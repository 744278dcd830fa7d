//go:build !amd64

package vec

// Other CPUs go value by value.

func scaleRun(_, _ []float32, _ float32) int { return 0 }

func addScaledRun(_, _ []float32, _ float32) int { return 0 }

func divideRun(_, _ []float32, _ float32) int { return 0 }

func slopeRun(_, _, _ []float32, _ float32) int { return 0 }

func addProductsRun(_, _, _ []float32) int { return 0 }

func quotientsRun(_, _, _ []float32) int { return 0 }

func subtractFromRun(_, _ []float32, _ float32) int { return 0 }

func maxRun(_, _, _ []float32) int { return 0 }

func minRun(_, _, _ []float32) int { return 0 }

func interleave16Run(_ []float32, _, _, _ []byte, _ float32) int { return 0 }

func finiteRun(_ []float32) (int, bool) { return 0, true }

func addBothRun(_, _, _ []float32, _ float32) int { return 0 }

func productRun(_, _, _ []float32, _, _ int) int { return 0 }

func halvesRun(_ []float32, _ []byte) int { return 0 }

func filterRun(_, _, _ []float32, _, _, _ int) bool { return false }
