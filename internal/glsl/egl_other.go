//go:build !linux

package glsl

import (
	"fmt"
	"runtime"
)

func limitWorker(*Job) {}

func compile(*Job) (program, error) {
	return nil, fmt.Errorf("%w on %s yet", ErrUnavailable, runtime.GOOS)
}
