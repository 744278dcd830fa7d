package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"comfygo/cli"
	"comfygo/frontend"
)

// releasePatience is the maximum time that the start waits for a release of the front end.
const releasePatience = 5 * time.Minute

// Frontend fetches the official front end's packages.
func (c Command) Frontend(ctx context.Context, _ cli.Config, o cli.FrontendOptions) error {
	if o.Action != "install" {
		return &cli.ExitError{Code: cli.CodeUsage, Err: fmt.Errorf("%q is no action of frontend; there is: install", o.Action)}
	}
	ctx, stop := withSignals(ctx, stopLimit, nil)
	defer stop()
	dir, err := frontend.Install(ctx, frontend.Options{
		Dir:   o.Dir,
		Media: o.Media,
		Log:   func(line string) { fmt.Fprintln(c.Stderr, line) },
	})
	if err != nil {
		return err
	}
	found := frontend.Find([]string{dir})
	fmt.Fprintf(c.Stdout, "frontend %s, %d template files, docs %s in %s\n", found.Versions["comfyui-frontend-package"],
		len(found.Templates), found.Versions["comfyui-embedded-docs"], dir)
	if o.Dir != "" {
		fmt.Fprintf(c.Stdout, "start the server with --front-end-packages %s\n", dir)
	}
	return nil
}

// findPages searches for the front end, its templates and its docs: in the folder of --front-end-root, else in the
// release of --front-end-version, else in the packages on this machine. Missing parts stay empty; the server has a page
// of its own.
func findPages(cfg cli.Config, base string, log *slog.Logger) frontend.Found {
	found := frontend.Find(frontend.Places(cfg.FrontEndPackages, os.Getenv))
	switch version := cfg.FrontEndVersion; {
	case cfg.FrontEndRoot != "":
		found.Root = cfg.FrontEndRoot
	case version != "" && version != frontend.DefaultVersion:
		ctx, cancel := context.WithTimeout(context.Background(), releasePatience)
		defer cancel()
		root, err := frontend.Releases{Dir: filepath.Join(base, "web_custom_versions")}.Get(ctx, version)
		if err != nil {
			log.Error("Failed to initialize frontend: " + err.Error())
			log.Info("Falling back to the default frontend.")
			break
		}
		found.Root = root
	}
	return found
}
