//go:build unix

package cli

import "golang.org/x/sys/unix"

// readable reports whether this user may list a folder.
func readable(path string) bool { return unix.Access(path, unix.R_OK) == nil }
