//go:build !linux

package ffmpeg

// limitMemory does nothing where a process's limits cannot be set from outside.
func limitMemory(int, int64) {}
