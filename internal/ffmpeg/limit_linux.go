package ffmpeg

import "golang.org/x/sys/unix"

// limitMemory bounds the address space of a process that has just started. It is a second line: callers charge what they expect.
func limitMemory(pid int, bytes int64) {
	limit := unix.Rlimit{Cur: uint64(bytes), Max: uint64(bytes)}
	_ = unix.Prlimit(pid, unix.RLIMIT_AS, &limit, nil) // it may have ended already
}
