package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"comfygo/auth"
	"comfygo/cli"
	"comfygo/folders"
	"comfygo/internal/backup"
	"comfygo/queue"
)

// Names in a backup. Files of the user folder (the queue, the asset catalogue, settings and workflows of users) are below userPrefix;
// files that flags put elsewhere have names of their own.
const (
	userPrefix  = "user/"
	authEntry   = "comfygo-auth.db"
	queueEntry  = "comfygo-queue.db"
	assetsEntry = "comfyui.db"
)

// Backup packs the queue, the key store, the asset catalogue and the users' files into an archive. A server may be at work.
func (c Command) Backup(ctx context.Context, cfg cli.Config, file string) error {
	ctx, stop := withSignals(ctx, stopLimit, nil)
	defer stop()
	dirs, err := openFolders(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	sources, err := backupSources(cfg, dirs)
	if err != nil {
		return err
	}
	m, err := backup.Write(ctx, file, "comfygo "+Version, sources)
	if err != nil {
		return err
	}
	if len(m.Files) == 0 {
		return errors.Join(fmt.Errorf("there is nothing to back up below %s: is --base-directory right?", dirs.Base()), os.Remove(file))
	}
	_, err = fmt.Fprintf(c.Stdout, "%s: %s\n", file, plural(len(m.Files), "file"))
	return err
}

// backupSources lists the contents of a backup: not the models, inputs and outputs, which are files that any tool copies, nor locks,
// logs and the files that SQLite keeps beside its databases.
func backupSources(cfg cli.Config, dirs *folders.Folders) ([]backup.Source, error) {
	sources := []backup.Source{{Name: authEntry, Path: storePath(cfg, dirs)}}
	if cfg.QueueFile != "" {
		sources = append(sources, backup.Source{Name: queueEntry, Path: cfg.QueueFile})
	}
	if path, ok := strings.CutPrefix(cfg.DatabaseURL, "sqlite:///"); ok && path != ":memory:" {
		sources = append(sources, backup.Source{Name: assetsEntry, Path: path})
	}
	err := filepath.WalkDir(dirs.User(), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() || transient(d.Name()) {
			return err
		}
		rel, err := filepath.Rel(dirs.User(), path)
		if err != nil {
			return err
		}
		sources = append(sources, backup.Source{Name: userPrefix + filepath.ToSlash(rel), Path: path})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the user folder: %w", err)
	}
	return sources, nil
}

// transient reports whether a file of the user folder is made anew by a server.
func transient(name string) bool {
	for _, end := range []string{"-wal", "-shm", "-journal", ".lock", ".log"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return strings.Contains(name, ".before-restore-") || strings.HasPrefix(name, ".comfygo-")
}

// Restore puts the files of a backup into place. No server may use them meanwhile; replaced files are kept beside the new ones.
func (c Command) Restore(ctx context.Context, cfg cli.Config, file string) (err error) {
	ctx, stop := withSignals(ctx, stopLimit, nil)
	defer stop()
	dirs, err := openFolders(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if used, err := dirs.InUse(); err != nil || used {
		return errors.Join(err, fmt.Errorf("a server is at work in %s: stop it first", dirs.Base()))
	}
	if err := os.MkdirAll(dirs.Base(), 0o755); err != nil {
		return fmt.Errorf("making the base directory: %w", err)
	}
	u, err := backup.Unpack(ctx, file, dirs.Base())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.Close()) }()
	targets := make([]string, len(u.Files))
	for i, e := range u.Files {
		if targets[i], err = restoreTarget(cfg, dirs, e); err != nil {
			return err
		}
	}
	suffix := backup.Suffix(time.Now())
	for i, to := range targets {
		if err := u.Place(i, to, suffix); err != nil {
			return fmt.Errorf("restoring %s: %w; what was there is kept in files that end in %s", to, err, suffix)
		}
	}
	fmt.Fprintf(c.Stderr, "the backup is of %s, written by %s; replaced files are kept, ending in %s\n", u.Time.Format(time.RFC3339), u.Program, suffix)
	_, err = fmt.Fprintf(c.Stdout, "%s restored below %s\n", plural(len(u.Files), "file"), dirs.Base())
	return err
}

// restoreTarget returns the path of a backup's file under these flags. A database of a newer comfygo is refused before anything is
// replaced.
func restoreTarget(cfg cli.Config, dirs *folders.Folders, e backup.Entry) (string, error) {
	base := filepath.Base(filepath.FromSlash(e.Name))
	newest := int64(-1)
	switch {
	case e.Name == authEntry:
		newest = auth.SchemaVersion
	case strings.HasPrefix(base, "comfygo-queue") && e.SQLite:
		newest = queue.SchemaVersion
	}
	if newest >= 0 && e.Schema > newest {
		return "", fmt.Errorf("%s has version %d of its schema and this program knows %d: it was written by a newer comfygo", e.Name, e.Schema, newest)
	}
	rel, inUser := strings.CutPrefix(e.Name, userPrefix)
	switch {
	case inUser:
		return filepath.Join(dirs.User(), filepath.FromSlash(rel)), nil
	case e.Name == authEntry:
		return storePath(cfg, dirs), nil
	case e.Name == queueEntry && cfg.QueueFile != "":
		return cfg.QueueFile, nil
	case e.Name == queueEntry:
		return filepath.Join(dirs.User(), queueFile), nil
	case e.Name == assetsEntry:
		if path, ok := strings.CutPrefix(cfg.DatabaseURL, "sqlite:///"); ok && path != ":memory:" {
			return path, nil
		}
		return filepath.Join(dirs.User(), assetsEntry), nil
	}
	return "", fmt.Errorf("the backup holds %q, which this program does not know", e.Name)
}
