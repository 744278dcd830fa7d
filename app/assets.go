package app

import (
	"context"
	"fmt"
	"log/slog"

	"comfygo/assets"
	"comfygo/cli"
	"comfygo/folders"
	"comfygo/nodes/pyjson"
	"comfygo/server"
)

// openAssets opens the catalogue of files when the command line asks for it; nil when it does not.
func openAssets(cfg cli.Config, dirs *folders.Folders, log *slog.Logger) (*assets.Library, error) {
	if !cfg.EnableAssets {
		return nil, nil
	}
	lib, err := assets.Open(assets.Config{Folders: dirs, URL: cfg.DatabaseURL, Hash: cfg.EnableAssetHash, ContentType: server.GuessType, Logger: log})
	if err != nil {
		return nil, fmt.Errorf("--enable-assets needs its database: %w", err)
	}
	return lib, nil
}

// enrich enters the files that a node has saved.
func (p *parts) enrich(ctx context.Context, ui *pyjson.Object) *pyjson.Object {
	if p.assets == nil {
		return ui
	}
	return p.assets.Enrich(ctx, ui)
}

func (p *parts) closeAssets() error {
	if p.assets == nil {
		return nil
	}
	return p.assets.Close()
}
