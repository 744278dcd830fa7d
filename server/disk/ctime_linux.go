package disk

import (
	"io/fs"
	"syscall"
	"time"
)

// ChangeTime returns the time when a file's entry last changed, which Python calls its creation
// time here.
func ChangeTime(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Unix())
	}
	return info.ModTime()
}
