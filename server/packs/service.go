// Package packs serves what packs of custom nodes hold for browsers: scripts, example workflows, translations, subgraphs.
// Their Python is read for the name of a folder and never run.
package packs

import (
	"log/slog"

	"comfygo/folders"
	"comfygo/server/reply"
)

// Service handles the routes that look into the folders of custom nodes.
type Service struct {
	Reply   *reply.Service
	Folders *folders.Folders
	// FrontEndRoot is the folder of the front end, whose extensions are listed first; "" for none.
	FrontEndRoot string
	// DisableCustomNodes leaves all packs alone but those named in WhitelistCustomNodes.
	DisableCustomNodes   bool
	WhitelistCustomNodes []string
	Log                  *slog.Logger
}
