package engine

import "golang.org/x/sys/unix"

// hugePages asks for large pages, which are fewer to fault in and to look up. A system that has none goes on without.
func hugePages(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
