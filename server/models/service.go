// Package models serves the lists of model files with their metadata and previews, and the descriptions of node classes, which
// hold those lists.
package models

import (
	"context"

	"comfygo/folders"
	"comfygo/nodes"
	"comfygo/server/access"
	"comfygo/server/assets"
	"comfygo/server/images"
	"comfygo/server/reply"
)

// Service handles the lists of model files.
type Service struct {
	Reply   *reply.Service
	Images  *images.Service
	Folders *folders.Folders
	// Describe describes the files at paths, all of one kind; it returns nil for an unknown kind. With nil descriptions are
	// omitted.
	Describe func(ctx context.Context, kind string, paths []string) []Description
}

// ObjectInfo handles /object_info, which describes node classes.
type ObjectInfo struct {
	Reply    *reply.Service
	Access   *access.Service
	Assets   *assets.Store
	Folders  *folders.Folders
	Registry *nodes.Registry
	// Env is the environment of descriptions if files have no owners.
	Env func() nodes.Env

	catalogue  catalogue
	catalogues catalogues
}
