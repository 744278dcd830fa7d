package ffmpeg

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// limitMemory bounds the address space of a process that has just started. It is a second line of defense: callers charge the
// expected memory.
func limitMemory(pid int, bytes int64) {
	limit := unix.Rlimit{Cur: uint64(bytes), Max: uint64(bytes)}
	_ = unix.Prlimit(pid, unix.RLIMIT_AS, &limit, nil) // it may have ended already
}

// widenPipe lets a pipe hold more, so that frames take fewer turns between the processes.
func widenPipe(r io.Reader) {
	const size = 1 << 20 // what a user may take without privileges
	if f, ok := r.(*os.File); ok {
		if raw, err := f.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, size) }) // smaller pipes do as well
		}
	}
}
