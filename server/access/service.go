// Package access answers who makes a request and which jobs, folders and assets that user may reach. Authentication itself is
// done by package auth and the middleware.
package access

import (
	"comfygo/auth"
	"comfygo/folders"
	"comfygo/queue"
)

// Service narrows what handlers reach to what the principal of a request may reach.
type Service struct {
	Gate  auth.Gate
	Queue queue.Queue
	// Common are the folders of the server; where jobs and files have owners, those of an owner lie below them.
	Common *folders.Folders
	// MaxBody bounds request bodies, in bytes.
	MaxBody int64

	held turns // base folders that uploads add to
}
