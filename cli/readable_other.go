//go:build !unix

package cli

import "os"

// readable reports whether this user may list a folder.
func readable(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	return f.Close() == nil
}
