//go:build !linux

package ffmpeg

import "io"

// limitMemory does nothing where a process's limits cannot be set from outside.
func limitMemory(int, int64) {}

// widenPipe does nothing where a pipe's size cannot be set.
func widenPipe(io.Reader) {}
