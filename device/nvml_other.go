//go:build !linux || !cgo

package device

import (
	"fmt"
	"runtime"
)

// readCards finds none: the management library's binding works on Linux only.
func readCards() ([]Card, error) {
	return nil, fmt.Errorf("%w: this build cannot ask for GPUs on %s", ErrNoCards, runtime.GOOS)
}

// freeMemory knows no GPUs.
func freeMemory(string) int64 { return -1 }
