package frontend

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"comfygo/internal/download"
)

// Options select what Install fetches and where it puts it.
type Options struct {
	// Dir is the folder the packages go to; DefaultDir when empty.
	Dir string
	// Media fetches the images and videos of the templates too, another 430 MB.
	Media bool
	// Log receives one line for each step; nil drops them.
	Log func(line string)

	// The seams below are for tests; the zero values are the real packages and clients.

	Packages []Package
	Clients  []download.Client
}

// DefaultDir returns the folder in which Install puts packages and Find searches for them: comfygo/frontend in the
// user's cache folder.
func DefaultDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder for the front end: %w", err)
	}
	return filepath.Join(base, "comfygo", "frontend"), nil
}

func (o Options) complete() (Options, error) {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Packages == nil {
		o.Packages = Pinned(o.Media)
	}
	if o.Clients == nil {
		o.Clients = download.Clients()
	}
	if o.Dir == "" {
		dir, err := DefaultDir()
		if err != nil {
			return o, err
		}
		o.Dir = dir
	}
	return o, nil
}

// Install fetches the packages that are not there yet in their pinned version. Each appears whole or not at all; what
// could not be fetched is named in the error, and the others are installed all the same. It returns the folder.
func Install(ctx context.Context, o Options) (string, error) {
	o, err := o.complete()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return "", fmt.Errorf("making the folder of the front end: %w", err)
	}
	unlock, err := download.Lock(ctx, filepath.Join(o.Dir, ".lock"))
	if err != nil {
		return "", fmt.Errorf("waiting for another installation of the front end: %w", err)
	}
	defer unlock()
	var failed []error
	for _, p := range o.Packages {
		if version(o.Dir, p.Module) == p.Version {
			o.Log(fmt.Sprintf("%s %s is there", p.Project, p.Version))
			continue
		}
		if err := install(ctx, o, p); err != nil {
			if ctx.Err() != nil {
				return "", fmt.Errorf("fetching %s: %w", p.Project, context.Cause(ctx))
			}
			failed = append(failed, fmt.Errorf("fetching %s %s: %w", p.Project, p.Version, err))
		}
	}
	return o.Dir, errors.Join(failed...)
}

// install downloads and unpacks one package.
func install(ctx context.Context, o Options, p Package) error {
	work, err := os.MkdirTemp(o.Dir, ".fetch-")
	if err != nil {
		return fmt.Errorf("making a folder for the download: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	o.Log(fmt.Sprintf("fetching %s %s (%.1f MB)", p.Project, p.Version, float64(p.Size)/1e6))
	archive, err := fetch(ctx, o, p, work)
	if err != nil {
		return err
	}
	files := filepath.Join(work, "files")
	if err := unpack(archive, files, p.Unpacked); err != nil {
		return err
	}
	if version(files, p.Module) != p.Version {
		return fmt.Errorf("unpacking %s: it does not hold %s %s", filepath.Base(archive), p.Module, p.Version)
	}
	return place(files, o.Dir, p)
}

// fetch downloads the wheel with the first client that can.
func fetch(ctx context.Context, o Options, p Package, work string) (string, error) {
	err := errors.New("no client for wheels; install Python with pip")
	for _, c := range o.Clients {
		if c.Kind != download.Wheel {
			continue
		}
		var archive string
		if archive, err = download.Fetch(ctx, c, p.item(), work); err == nil {
			return archive, nil
		}
	}
	return "", err
}

// place moves a package's folders over those of an older version. The one with the version goes first away and comes
// last, so that an interrupted move looks like no package.
func place(from, to string, p Package) error {
	old, err := filepath.Glob(filepath.Join(to, p.Module+"-*.dist-info"))
	if err != nil {
		return fmt.Errorf("replacing %s: %w", p.Module, err)
	}
	for _, dir := range append(old, filepath.Join(to, p.Module)) {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("replacing %s: %w", dir, err)
		}
	}
	for _, name := range []string{p.Module, p.Module + "-" + p.Version + ".dist-info"} {
		if err := os.Rename(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return fmt.Errorf("installing %s: %w", p.Project, err)
		}
	}
	return nil
}
