package memory

import (
	"os"
	"strconv"
	"strings"

	"github.com/shirou/gopsutil/v4/mem"
)

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
