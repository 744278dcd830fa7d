//go:build !linux

package disk

import (
	"io/fs"
	"time"
)

// ChangeTime falls back on the modification time where the system's structure differs.
func ChangeTime(info fs.FileInfo) time.Time { return info.ModTime() }
