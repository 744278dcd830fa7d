package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"comfygo/assets"
	"comfygo/cli"
	"comfygo/executor"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/server/reply"
)

// openAssets opens the catalogue of files if the command line enables it; otherwise it returns nil.
func openAssets(cfg cli.Config, dirs *folders.Folders, log *slog.Logger) (*assets.Library, error) {
	if !cfg.EnableAssets {
		return nil, nil
	}
	lib, err := assets.Open(assets.Config{Folders: dirs, URL: cfg.DatabaseURL, Hash: cfg.EnableAssetHash, ContentType: reply.GuessType, Logger: log})
	if err != nil {
		return nil, fmt.Errorf("--enable-assets needs its database: %w", err)
	}
	return lib, nil
}

// assetsForV2 opens the catalogue when the first client of the API v2 needs it. Nothing is scanned then, and ComfyUI's asset
// API stays off.
func (p *parts) assetsForV2(cfg cli.Config, log *slog.Logger) func() (*assets.Library, error) {
	return func() (*assets.Library, error) {
		p.lateLock.Lock()
		defer p.lateLock.Unlock()
		if p.late != nil {
			return p.late, nil
		}
		cfg.EnableAssets = true
		lib, err := openAssets(cfg, p.folders, log)
		if err != nil {
			return nil, fmt.Errorf("opening the catalogue for the API v2: %w", err)
		}
		p.late = lib
		return lib, nil
	}
}

// enrich enters the files that a node has saved.
func (p *parts) enrich(ctx context.Context, ui *pyjson.Object) *pyjson.Object {
	if p.assets == nil {
		return ui
	}
	if dirs := executor.FoldersOf(ctx); dirs != nil {
		ctx = assets.In(ctx, dirs)
	}
	return p.assets.Enrich(ctx, ui)
}

func (p *parts) closeAssets() error {
	p.lateLock.Lock()
	defer p.lateLock.Unlock()
	var errs []error
	for _, lib := range []*assets.Library{p.assets, p.late} {
		if lib != nil {
			errs = append(errs, lib.Close())
		}
	}
	return errors.Join(errs...)
}
