//go:build !linux || !cgo

package device

import (
	"fmt"
	"runtime"
)

// readGPUs finds none: the management library's binding works on Linux only.
func readGPUs() ([]GPU, error) {
	return nil, fmt.Errorf("%w: this build cannot ask for GPUs on %s", ErrNoGPU, runtime.GOOS)
}

// freeMemory knows no GPUs.
func freeMemory(string) int64 { return -1 }
