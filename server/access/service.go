// Package access returns the principal of a request and the jobs, folders and assets that it may reach. Authentication itself is
// done by package auth and the middleware.
package access

import (
	"comfygo/auth"
	"comfygo/folders"
	"comfygo/queue"
)

// Service limits the handlers' access to that of a request's principal.
type Service struct {
	Gate  auth.Gate
	Queue queue.Queue
	// Common are the folders of the server; with owners, each owner's folders are below them.
	Common *folders.Folders
	// MaxBody bounds request bodies, in bytes.
	MaxBody int64

	held turns // base folders that uploads add to
}
