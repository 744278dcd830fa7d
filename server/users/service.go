// Package users serves users, their settings and their files.
package users

import (
	"log/slog"

	"comfygo/server/access"
	"comfygo/server/disk"
	"comfygo/server/reply"
)

// Service handles /users, /settings and /userdata.
type Service struct {
	Reply  *reply.Service
	Access *access.Service
	Users  *Store
	Disk   disk.Disk
	// MultiUser keeps a folder for each user that the header comfy-user names.
	MultiUser bool
	Log       *slog.Logger
}
