package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"text/tabwriter"

	"comfygo/cli"
	"comfygo/folders"
	"comfygo/internal/apiclient"
	"comfygo/internal/packdir"
)

// packsVenv is the folder, below the base folder, of the virtual environment for what packs require.
const packsVenv = "packs-venv"

// Packs lists, installs, updates, disables, enables and loads again node packs.
func (c Command) Packs(ctx context.Context, cfg cli.Config, o cli.PacksOptions) error {
	ctx, stop := withSignals(ctx, stopLimit, nil)
	defer stop()
	if o.Action == "reload" {
		return c.reloadPacks(ctx, cfg, o)
	}
	log, err := NewLog(cfg, LogOutputs{Stdout: c.Stderr, Stderr: c.Stderr})
	if err != nil {
		return err
	}
	dirs, err := openFolders(cfg, log.Logger)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	defer log.Close()
	d := c.packDir(cfg, dirs)
	if o.Action == "list" {
		return c.listPacks(d, o)
	}
	var done packdir.Pack
	name := o.Args[0]
	switch o.Action {
	case "install":
		done, err = d.Install(ctx, name, o.Ref, o.Requirements)
	case "update":
		done, err = d.Update(ctx, name, o.Requirements)
	case "disable", "enable":
		done.Name, err = name, d.Enable(name, o.Action == "enable")
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Stdout, "%s: %sd; a server loads it with its next start, or by comfygo packs reload\n", visible(done.Name), map[string]string{
		"install": "installe", "update": "update", "disable": "disable", "enable": "enable",
	}[o.Action])
	if done.Installer && o.Action != "update" {
		fmt.Fprintf(c.Stdout, "it has a file install.py, which is not run: look at %s\n", visible(filepath.Join(done.Path, "install.py")))
	}
	return nil
}

// packDir is the folder of the packs in a base folder.
func (c Command) packDir(cfg cli.Config, dirs *folders.Folders) *packdir.Dir {
	checkout := cfg.ComfyUI
	if checkout == "" && isCheckout(dirs.Base()) {
		checkout = dirs.Base()
	}
	d := &packdir.Dir{Roots: dirs.Roots("custom_nodes"), Venv: filepath.Join(dirs.Base(), packsVenv), Output: c.Stderr}
	if cfg.Python != noPython {
		d.Python = interpreterIn(cfg.Python, checkout, dirs.Base())
	}
	return d
}

func (c Command) listPacks(d *packdir.Dir, o cli.PacksOptions) error {
	list, err := d.List()
	if err != nil {
		return err
	}
	if o.JSON {
		if list == nil {
			list = []packdir.Pack{}
		}
		return c.print(list)
	}
	w := tabwriter.NewWriter(c.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSTATE\tVERSION\tCOMMIT\tSOURCE")
	for _, p := range list {
		state := "enabled"
		if !p.Enabled {
			state = "disabled"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%.10s\t%s\n", visible(p.Name), state, visible(p.Version), p.Commit, visible(p.Source))
	}
	return w.Flush()
}

// reloadPacks asks a running server.
func (c Command) reloadPacks(ctx context.Context, cfg cli.Config, o cli.PacksOptions) error {
	server, err := remote(cfg, cli.RemoteOptions{Server: o.Server})
	if err != nil {
		return err
	}
	if err := server.Post(ctx, "/api/v1/packs/reload", map[string]any{}, nil); err != nil {
		var status *apiclient.StatusError
		if errors.As(err, &status) && status.Code == 404 {
			return fmt.Errorf("%s runs no Python: %w", o.Server, err)
		}
		return plainly(err, o.Server)
	}
	fmt.Fprintln(c.Stdout, "the node packs are loaded again once the running job has ended")
	return nil
}
