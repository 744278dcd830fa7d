package folders

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// openAnonymous opens a new file in a folder that has no name yet; nothing of it is left if it never gets one. Not every file system can.
func openAnonymous(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_WRONLY|unix.O_TMPFILE|unix.O_CLOEXEC, 0o666)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), dir+"/(new file)"), nil
}

// nameAnonymous gives such a file its name, which must be free.
func nameAnonymous(f *os.File, path string) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var linkErr error
	err = conn.Control(func(fd uintptr) {
		linkErr = unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.FormatUint(uint64(fd), 10), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	})
	if err == nil && linkErr != nil {
		err = fmt.Errorf("naming it: %w", linkErr)
	}
	return err
}
