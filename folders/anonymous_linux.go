package folders

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// openAnonymous opens a new file in a folder that has no name yet; nothing of it is left if it never gets one. Not every file system can.
func openAnonymous(dir *os.Root) (f *os.File, err error) {
	err = within(dir, func(at int) error {
		fd, err := unix.Openat(at, ".", unix.O_WRONLY|unix.O_TMPFILE|unix.O_CLOEXEC, 0o666)
		if err != nil {
			return &os.PathError{Op: "open", Path: dir.Name(), Err: err}
		}
		f = os.NewFile(uintptr(fd), dir.Name()+"/(new file)")
		return nil
	})
	return f, err
}

// nameAnonymous gives such a file its name in a folder, or a further name to any open file. The name must be free.
func nameAnonymous(f *os.File, dir *os.Root, name string) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return within(dir, func(at int) error {
		var linkErr error
		err := conn.Control(func(fd uintptr) {
			linkErr = unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.FormatUint(uint64(fd), 10), at, name, unix.AT_SYMLINK_FOLLOW)
		})
		if err == nil && linkErr != nil {
			err = fmt.Errorf("naming it: %w", linkErr)
		}
		return err
	})
}

// within calls f with the descriptor of an open folder.
func within(dir *os.Root, f func(at int) error) error {
	handle, err := dir.Open(".")
	if err != nil {
		return err
	}
	conn, err := handle.SyscallConn()
	if err == nil {
		var inner error
		err = errors.Join(conn.Control(func(fd uintptr) { inner = f(int(fd)) }), inner)
	}
	return errors.Join(err, handle.Close())
}
