//go:build unix

package usage

import (
	"syscall"
	"time"
)

// Processor returns for how long processors have worked for this process, 0 where the system does not say.
func Processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
