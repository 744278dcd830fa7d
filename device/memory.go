package device

import (
	"bufio"
	"bytes"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/shirou/gopsutil/v4/mem"
)

// Memory is the main memory that this process can have, in bytes.
type Memory struct {
	Total int64
	Free  int64 // what can be had without swapping, reclaimable caches included
}

// ReadMemory returns the machine's memory, or the container's where that is less. Zeros mean unknown.
func ReadMemory() Memory { return memoryReader{host: hostMemory, read: os.ReadFile}.memory() }

// TotalMemory returns how many bytes of main memory there are for this process; 0 when unknown.
func TotalMemory() int64 { return ReadMemory().Total }

// FreeMemory returns how many bytes of main memory can be had now; 0 when unknown.
func FreeMemory() int64 { return ReadMemory().Free }

func hostMemory() (Memory, error) {
	v, err := mem.VirtualMemory()
	if err != nil {
		return Memory{}, err
	}
	return Memory{Total: int64(v.Total), Free: int64(v.Available)}, nil
}

// memoryReader reads figures; tests replace where they come from.
type memoryReader struct {
	host func() (Memory, error)
	read func(path string) ([]byte, error)
}

func (r memoryReader) memory() Memory {
	m, err := r.host()
	if err != nil {
		m = Memory{}
	}
	for _, g := range r.groups() {
		limit, ok := r.number(path.Join(g.dir, g.limit))
		if !ok || limit <= 0 || (m.Total > 0 && limit >= m.Total) {
			continue // version 1 writes "no limit" as a number larger than any memory
		}
		m.Total = limit
		if used, ok := r.number(path.Join(g.dir, g.usage)); ok {
			used -= r.reclaimable(path.Join(g.dir, "memory.stat"), g.inactive)
			m.Free = min(m.Free, limit-used)
		}
		m.Free = max(0, min(m.Free, limit))
	}
	return m
}

// group is one level of the memory controller's tree, with the names its version gives to things.
type group struct{ dir, limit, usage, inactive string }

// groups lists the process's own group and all above it, as any of them may set the limit. Inside a container the path
// that the process reads may not exist below the mount, which then is the container's own group.
func (r memoryReader) groups() []group {
	text, err := r.read("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	var out []group
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		id, rest, _ := strings.Cut(lines.Text(), ":")
		controllers, dir, ok := strings.Cut(rest, ":")
		if !ok {
			continue
		}
		g := group{"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"}
		if id != "0" {
			if controllers != "memory" {
				continue
			}
			g = group{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}
		}
		root := g.dir
		for dir = path.Clean("/" + dir); ; dir = path.Dir(dir) {
			g.dir = path.Join(root, dir)
			out = append(out, g)
			if dir == "/" {
				break
			}
		}
	}
	return out
}

func (r memoryReader) number(file string) (int64, bool) {
	b, err := r.read(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil // version 2 writes "max" for no limit
}

// reclaimable reads how much of a group's usage is file pages that can be dropped.
func (r memoryReader) reclaimable(file, key string) int64 {
	b, err := r.read(file)
	if err != nil {
		return 0
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		if k, v, ok := strings.Cut(lines.Text(), " "); ok && k == key {
			n, _ := strconv.ParseInt(v, 10, 64) // 0 when the kernel writes something else
			return n
		}
	}
	return 0
}
