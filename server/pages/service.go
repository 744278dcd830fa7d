// Package pages serves static files: our own pages, the front end, its templates and docs, and the description of the API.
package pages

import (
	"github.com/labstack/echo/v4"

	"comfygo/server/access"
	"comfygo/server/disk"
	"comfygo/server/packs"
	"comfygo/server/reply"
)

// Service handles the pages and every path that no route takes.
type Service struct {
	Reply  *reply.Service
	Access *access.Service
	Packs  *packs.Service
	Disk   disk.Disk
	// Echo holds the routes that the description of the API lists.
	Echo *echo.Echo
	// FrontEndRoot is the folder of the front end's files; "" serves our own page in its place.
	FrontEndRoot string
	// Templates are the files of the workflow templates, path by name; DocsRoot is the folder of the nodes' docs.
	Templates map[string]string
	DocsRoot  string
	// DemoWorkflow is the workflow in API form that our own page shows first, or nil.
	DemoWorkflow []byte
	AppVersion   string

	told description
}
