package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"comfygo/cli"
	"comfygo/executor"
	"comfygo/folders"
	"comfygo/internal/filestore"
	"comfygo/internal/pyjson"
	"comfygo/queue/natslog"
)

const (
	// tempAge is the time that temp files stay in a store.
	tempAge = 24 * time.Hour
	// cleanEvery is the interval at which a server searches for older files.
	cleanEvery = time.Hour
)

// openFiles opens the store of files besides the folders of this machine, if there is one.
func (p *parts) openFiles(cfg cli.Config, role natslog.Role, log *slog.Logger) error {
	if !cfg.InRemote() {
		return nil
	}
	ctx, stop := context.WithTimeout(context.Background(), joinPatience)
	defer stop()
	var store folders.Remote
	var err error
	if cfg.Files == "nats" {
		store, err = openNATSFiles(ctx, cfg, role, log)
	} else {
		store, err = filestore.OpenS3(ctx, filestore.S3Config{URL: cfg.Files, Endpoint: cfg.FilesEndpoint, Region: cfg.FilesRegion})
	}
	if err != nil {
		return err
	}
	p.files = store
	p.folders.SetRemote(store)
	log.Info("Input, output and temp files are kept in " + store.Where())
	return nil
}

func openNATSFiles(ctx context.Context, cfg cli.Config, role natslog.Role, log *slog.Logger) (folders.Remote, error) {
	urls := strings.Split(cfg.Queue, ",")
	conn, err := natslog.Connect(ctx, natslog.Config{
		URLs: urls, Credentials: cfg.QueueCredentials, CA: cfg.QueueCA, Role: role, Name: workerName() + " files", Logger: log,
	})
	if err != nil {
		return nil, err
	}
	store, err := filestore.OpenNATS(ctx, filestore.NATSConfig{
		Conn: conn, Make: role == natslog.RoleServer, Replicas: cfg.QueueReplicas, Where: "NATS at " + natslog.Addresses(urls), Logger: log,
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return store, nil
}

func (p *parts) closeFiles() error {
	if p.files == nil {
		return nil
	}
	return p.files.Close()
}

// cleanFiles removes old temp files from the store, and the store's other leftovers, until ctx
// ends.
func (p *parts) cleanFiles(ctx context.Context, log *slog.Logger) {
	for p.files != nil {
		err := p.folders.CleanTemp(ctx, tempAge)
		if c, ok := p.files.(interface {
			Clean(context.Context, time.Duration) error
		}); ok {
			err = errors.Join(err, c.Clean(ctx, tempAge))
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("cleaning the file store", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(cleanEvery):
		}
	}
}

// keep puts the files that a node shows into the store, where servers and other workers find them.
func (p *parts) keep(ctx context.Context, ui *pyjson.Object) (*pyjson.Object, error) {
	if p.files == nil {
		return ui, nil
	}
	dirs := executor.FoldersOf(ctx)
	if dirs == nil {
		dirs = p.folders
	}
	out := ui.Clone()
	for key, v := range ui.All() {
		entries, ok := v.([]any)
		if !ok {
			continue
		}
		list := make([]any, len(entries))
		for i, e := range entries {
			kept, err := keepEntry(ctx, dirs, e)
			if err != nil {
				return nil, fmt.Errorf("keeping the file of a result: %w", err)
			}
			list[i] = kept
		}
		out.Set(key, list)
	}
	return out, nil
}

// keepEntry keeps the file of an entry; what names no file stays as it is.
func keepEntry(ctx context.Context, dirs *folders.Folders, entry any) (any, error) {
	o, ok := entry.(*pyjson.Object)
	if !ok {
		return entry, nil
	}
	name, kind := o.String("filename"), o.String("type")
	dir, ok := dirs.Dir(kind)
	if !ok || name == "" || kind == "input" {
		return entry, nil
	}
	file, err := folders.Join(dir, filepath.Join(o.String("subfolder"), name))
	if err != nil || !exists(file) {
		return entry, nil //nolint:nilerr // nodes may show what is no file
	}
	kept, err := dirs.KeepResult(ctx, file)
	if err != nil || kept == filepath.Base(name) {
		return entry, err
	}
	return o.Clone().Set("filename", filepath.Join(filepath.Dir(name), kept)), nil
}
