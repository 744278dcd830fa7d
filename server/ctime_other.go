//go:build !linux

package server

import (
	"io/fs"
	"time"
)

// changeTime falls back on the modification time where the system's structure differs.
func changeTime(info fs.FileInfo) time.Time { return info.ModTime() }
