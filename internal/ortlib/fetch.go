package ortlib

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"comfygo/internal/download"
)

// fetch downloads the best asset that some client on this machine can get, and installs it in the cache.
func fetch(ctx context.Context, o Options) (string, error) {
	all := assets(o.Platform, o.CUDA)
	if len(all) == 0 {
		kind := "CPU"
		if o.CUDA {
			kind = "CUDA"
		}
		return "", fmt.Errorf("%w: no %s build is pinned for %s; build or install one and name it with --onnxruntime or $%s",
			ErrNotFound, kind, o.Platform, EnvLibrary)
	}
	if err := os.MkdirAll(o.Cache, 0o755); err != nil {
		return "", fmt.Errorf("making the cache for ONNX Runtime: %w", err)
	}
	unlock, err := download.Lock(ctx, filepath.Join(o.Cache, ".lock"))
	if err != nil {
		return "", fmt.Errorf("waiting for another fetch of ONNX Runtime: %w", err)
	}
	defer unlock()
	if p := cached(o); p != "" { // another process fetched it while we waited
		return p, nil
	}
	var failed []string
	for _, a := range all {
		for _, c := range o.Clients {
			if c.Kind != a.Kind {
				continue
			}
			path, err := fetchWith(ctx, c, o, a)
			if err == nil {
				return path, nil
			}
			if ctx.Err() != nil {
				return "", fmt.Errorf("fetching ONNX Runtime: %w", context.Cause(ctx))
			}
			o.Log(fmt.Sprintf("onnxruntime: %v", err))
			failed = append(failed, err.Error())
		}
	}
	first := all[0]
	dir := filepath.Join(o.Cache, folder(o))
	return "", fmt.Errorf("%w and no way to fetch one (%s): get %s %s (%s) by hand and put %s into %s",
		ErrNotFound, strings.Join(failed, "; "), first.Project, first.Version, first.Platform, members(first), dir)
}

func members(a Asset) string {
	var names []string
	for _, f := range a.Files {
		names = append(names, filepath.Base(f.Member))
	}
	return strings.Join(names, ", ")
}

// fetchWith downloads one asset with one client, checks it, and installs its files.
func fetchWith(ctx context.Context, c download.Client, o Options, a Asset) (string, error) {
	if c.Find() == "" {
		return "", fmt.Errorf("%s is not on this machine", c.Name)
	}
	if a.SHA256 == "" {
		if o.ReleaseSHA256 == "" {
			return "", fmt.Errorf("%s could fetch %s %s for %s from the release page, but needs its checksum (--release-sha256)", c.Name, a.Project, a.Version, a.Platform)
		}
		a.SHA256 = strings.ToLower(o.ReleaseSHA256)
	}
	work, err := os.MkdirTemp(o.Cache, ".fetch-")
	if err != nil {
		return "", fmt.Errorf("making a folder for the download: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	o.Log(fmt.Sprintf("onnxruntime: fetching %s %s (%s) with %s", a.Project, a.Version, a.Platform, c.Name))
	archive, err := download.Fetch(ctx, c, a.item(o), work)
	if err != nil {
		return "", err
	}
	return install(o, a, archive, filepath.Join(work, "files"))
}

// install unpacks an asset's files, checks them, and moves the whole folder into place in one rename.
func install(o Options, a Asset, archive, stage string) (string, error) {
	if err := os.Mkdir(stage, 0o755); err != nil {
		return "", fmt.Errorf("unpacking %s: %w", filepath.Base(archive), err)
	}
	if err := extract(archive, a.Files, stage); err != nil {
		return "", err
	}
	for _, f := range a.Files {
		if f.SHA256 == "" {
			continue
		}
		if err := download.Check(filepath.Join(stage, filepath.Base(f.Member)), f.SHA256); err != nil {
			return "", err
		}
	}
	dir := filepath.Join(o.Cache, folder(o))
	if err := os.RemoveAll(dir); err != nil { // what lies there holds no usable library, or cached would have found it
		return "", fmt.Errorf("replacing %s: %w", dir, err)
	}
	if err := os.Rename(stage, dir); err != nil {
		return "", fmt.Errorf("installing ONNX Runtime: %w", err)
	}
	path := filepath.Join(dir, filepath.Base(a.Files[0].Member))
	o.Log("onnxruntime: installed " + path)
	return path, nil
}
