// Package assets serves the asset API: references to files by content hash, their tags and metadata, and the scanner.
package assets

import (
	"log/slog"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/folders"
	"comfygo/server/access"
	"comfygo/server/disk"
	"comfygo/server/hub"
	"comfygo/server/reply"
	"comfygo/server/users"
)

// Service handles the routes below /api/assets and /api/tags.
type Service struct {
	Reply  *reply.Service
	Access *access.Service
	Assets *Store
	// Library is nil if the asset API is disabled.
	Library *assets.Library
	Folders *folders.Folders
	Disk    disk.Disk
	// Unrouted answers a request that no route takes.
	Unrouted func(c echo.Context, methods []string) error
}

// Store is the catalogue as other handlers and the worker use it: scanning, lookups by hash, entering uploads and outputs.
type Store struct {
	// Library is nil if the asset API is disabled; then nothing is entered or found.
	Library *assets.Library
	Users   *users.Store
	Access  *access.Service
	Hub     *hub.Hub
	Log     *slog.Logger
}
