//go:build unix

package wasm

import "golang.org/x/sys/unix"

// reserve maps the whole limit at once: only what is written to takes memory, and nothing is copied when it grows.
func (m *linear) reserve(uint64) bool {
	var err error
	m.backing, err = unix.Mmap(-1, 0, int(m.limit), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE) //nolint:gosec // at most 4 GiB
	return err == nil
}

// Free implements experimental.LinearMemory.
func (m *linear) Free() {
	if m.backing != nil {
		unix.Munmap(m.backing) //nolint:errcheck // it was mapped
		m.backing = nil
	}
}
