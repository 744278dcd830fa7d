package device

import (
	"runtime"
	"sync"

	"github.com/shirou/gopsutil/v4/cpu"
)

// PhysicalCores returns how many threads a computation should use: one for each physical core that this process may
// run on. Two threads on one core only fight over its vector units.
func PhysicalCores() int { return physical() }

var physical = sync.OnceValue(func() int {
	n, err := cpu.Counts(false)
	allowed := runtime.GOMAXPROCS(0) // respects the container's quota and the process's mask
	if err != nil || n <= 0 || n > allowed {
		return allowed
	}
	return n
})
