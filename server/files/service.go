// Package files serves inputs, outputs and temporary files: viewing, uploads and masks.
package files

import (
	"comfygo/folders"
	"comfygo/queue"
	"comfygo/server/access"
	"comfygo/server/assets"
	"comfygo/server/disk"
	"comfygo/server/images"
	"comfygo/server/reply"
)

// Service handles /view, /upload and the listings of files.
type Service struct {
	Reply   *reply.Service
	Access  *access.Service
	Assets  *assets.Store
	Images  *images.Service
	Disk    disk.Disk
	Folders *folders.Folders
	Queue   queue.Queue
	// Turns is taken while an upload looks for a free name and takes it.
	Turns *disk.Turns
}
