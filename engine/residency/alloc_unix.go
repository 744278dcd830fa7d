//go:build unix

package residency

import "golang.org/x/sys/unix"

// allocate returns zeroed memory outside Go's heap: the collector neither scans nor counts it, and it goes back to the
// system at once when freed.
func allocate(n int) ([]byte, error) {
	return unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
}

// free unmaps what allocate returned.
func free(b []byte) {
	if err := unix.Munmap(b); err != nil {
		panic("engine: unmapping weights: " + err.Error())
	}
}
