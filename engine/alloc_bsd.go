//go:build unix && !linux

package engine

// hugePages does nothing where pages cannot be asked for.
func hugePages([]byte) {}
