package imaging

import (
	"fmt"
	"math/bits"
	"os"
	"strconv"
	"strings"

	"github.com/shirou/gopsutil/v4/mem"
)

// SizeError says that something is too big for the memory that is free.
type SizeError struct {
	// What was to be made, such as "an image of 16384x16384".
	What string
	// Need and Free are bytes; Need is the largest number when it does not fit one.
	Need, Free uint64
}

// Error names what was to be made, what it needs and what there is.
func (e *SizeError) Error() string {
	return fmt.Sprintf("allocating %s: it needs %s of memory, %s are free", e.What, gib(e.Need), gib(e.Free))
}

// ExceptionType is the name that clients see.
func (e *SizeError) ExceptionType() string { return "MemoryError" }

func gib(n uint64) string { return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30)) }

// CheckSize fails with a *SizeError when a float32 array of these dimensions does not fit into the memory that is free
// now. Call it before making anything whose size a request decides. what describes it for the message.
func CheckSize(what string, dims ...int) error {
	return checkSize(what, freeMemory, dims)
}

// reserve is kept free for everything else that the program does.
const reserve = 64 << 20

func checkSize(what string, freeNow func() uint64, dims []int) error {
	need := uint64(4)
	for _, d := range dims {
		if d < 0 {
			return fmt.Errorf("allocating %s: negative size in %v", what, dims)
		}
		hi, lo := bits.Mul64(need, uint64(d))
		if hi != 0 {
			lo = ^uint64(0)
		}
		if need = lo; d == 0 {
			return nil
		}
	}
	const small = 1 << 20
	if need <= small {
		return nil
	}
	if free := freeNow(); free < reserve || need > free-reserve {
		return &SizeError{What: what, Need: need, Free: free}
	}
	return nil
}

// freeMemory returns the bytes that can still be had: those of the machine or of the control group, whichever is less.
func freeMemory() uint64 {
	free := ^uint64(0)
	if m, err := mem.VirtualMemory(); err == nil {
		free = m.Available
	}
	for _, group := range []struct{ limit, used, stat, cache string }{
		{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat", "inactive_file"},
		{"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory/memory.stat", "total_inactive_file"},
	} {
		limit, ok := readCount(group.limit)
		used, okUsed := readCount(group.used)
		if !ok || !okUsed {
			continue
		}
		used -= min(used, readStat(group.stat, group.cache)) // page cache that goes when it is needed
		free = min(free, limit-min(limit, used))
	}
	return free
}

func readCount(path string) (uint64, bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
	return n, err == nil
}

func readStat(path, key string) uint64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, key+" "); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64)
			if err == nil {
				return n
			}
		}
	}
	return 0
}
