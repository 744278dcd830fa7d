//go:build unix

package usage

import (
	"syscall"
	"time"
)

// CPU returns the CPU time of this process, or 0 if the system does not report it.
func CPU() time.Duration { return used(syscall.RUSAGE_SELF) }

// Children is CPU for the child processes that have ended and were waited for.
func Children() time.Duration { return used(syscall.RUSAGE_CHILDREN) }

func used(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
