//go:build !unix

package wasm

// reserve makes a larger memory and copies the old one.
func (m *linear) reserve(size uint64) bool {
	grown := make([]byte, size)
	copy(grown, m.backing)
	m.backing = grown
	return true
}

// Free implements experimental.LinearMemory.
func (m *linear) Free() { m.backing = nil }
