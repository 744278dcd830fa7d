//go:build unix

package filemap

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// load maps size bytes of h. Mapping is shared and read-only, so the pages are the page cache's own.
func load(h *os.File, size int) ([]byte, bool, error) {
	data, err := unix.Mmap(int(h.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	return data, true, err
}

func unload(data []byte) error { return unix.Munmap(data) }

// release advises the kernel on the pages that lie wholly inside part. Failing advice costs memory only.
func release(whole, part []byte) {
	page := uintptr(os.Getpagesize())
	base := uintptr(unsafe.Pointer(unsafe.SliceData(whole)))
	from := uintptr(unsafe.Pointer(unsafe.SliceData(part))) - base
	to := from + uintptr(len(part))
	if from > uintptr(len(whole)) || to > uintptr(len(whole)) {
		return
	}
	if to < uintptr(len(whole)) { // the last page of the file may be dropped whole
		to &^= page - 1
	}
	from = (from + page - 1) &^ (page - 1)
	if from < to {
		_ = unix.Madvise(whole[from:to], unix.MADV_DONTNEED)
	}
}
