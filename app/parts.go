package app

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"

	"comfygo/assets"
	"comfygo/cli"
	"comfygo/demo"
	"comfygo/engine"
	"comfygo/engine/ort"
	"comfygo/engine/preview"
	"comfygo/executor"
	"comfygo/folders"
	"comfygo/internal/ffmpeg"
	"comfygo/internal/memory"
	"comfygo/metrics/tracing"
	"comfygo/nodes"
)

const gib = 1 << 30

// parts are the parts of every command that runs prompts.
type parts struct {
	folders  *folders.Folders
	engine   *engine.Runtime
	library  *library
	executor *executor.Executor
	machine  machine
	python   *pythonSide     // nil where there is nothing for Python to run
	tracer   *tracing.Tracer // nil when tracing is off
	assets   *assets.Library // nil without --enable-assets, and in commands that do not serve
	// late is the catalogue that was opened for the API v2 without --enable-assets.
	late     *assets.Library
	lateLock sync.Mutex
	files    folders.Remote // nil where the folders are all there is
	// frees are the goroutines of freeModels; close waits for them.
	frees sync.WaitGroup
}

// build makes the folders, the engine and the executor. It opens no model and no library.
func build(cfg cli.Config, log *slog.Logger) (*parts, error) {
	dirs, err := openFolders(cfg, log)
	if err != nil {
		return nil, err
	}
	m, err := findMachine(cfg)
	if err != nil {
		return nil, fmt.Errorf("choosing the device: %w", err)
	}
	memory.Process.SetLimit(uint64(cfg.MaxMemory * gib))
	p := &parts{folders: dirs, machine: m}
	if p.tracer, err = openTraces(cfg, log); err != nil {
		return nil, err
	}
	engineCfg := engineConfig(cfg, p.machine, dirs, log)
	engineCfg.Watch = watchNetworks(p.tracer)
	engineCfg.Others = func() { p.python.free() }
	if engineCfg.Int8 && !ort.HasInt8() {
		return nil, errors.New("--cpu-int8: this CPU has neither VNNI nor AVX2, one of which products of 8-bit integers need: start without the flag")
	}
	p.engine = engine.New(engineCfg)
	p.library = &library{cfg: cfg, cuda: m.cuda(), engine: p.engine}
	registry, err := nativeClasses(cfg, dirs)
	if err != nil {
		return nil, err
	}
	p.python = startPython(cfg, m, dirs, registry, p.engine.FreeModels, log)
	p.executor = executor.New(executor.Config{
		Registry: registry,
		Services: nodes.Services{
			Folders: dirs, Engine: p.engine, Memory: memory.Process, FFmpeg: &ffmpeg.Tool{Path: cfg.FFmpeg}, Metadata: !cfg.DisableMetadata, Int8: engineCfg.Int8,
			Elsewhere: p.python.elsewhere(),
			Preview:   preview.Settings{Method: cfg.PreviewMethod, Size: cfg.PreviewSize},
		},
		Cache:  cacheConfig(cfg),
		Enrich: p.enrich,
		Keep:   p.keep,
		Watch:  watchNodes(p.tracer),
		Log:    log,
	})
	return p, nil
}

func (p *parts) close() error {
	p.frees.Wait()
	p.executor.ClearCache()
	return errors.Join(p.python.close(), p.closeFiles(), p.closeAssets(), p.engine.Close(), p.closeTraces())
}

// freeModels unloads the models and returns the memory to the system at once.
func (p *parts) freeModels() {
	p.engine.FreeModels()
	p.frees.Go(p.python.free) // it may take its time, and the next job need not wait for it
	debug.FreeOSMemory()
}

// openFolders makes the table of folders, with the demo checkpoint if the flags enable it.
func openFolders(cfg cli.Config, log *slog.Logger) (*folders.Folders, error) {
	base := cfg.BaseDirectory
	if base == "" {
		base = "."
	}
	base, err := filepath.Abs(base)
	if err != nil {
		return nil, fmt.Errorf("finding the base folder: %w", err)
	}
	var extra []string
	if own := filepath.Join(base, "extra_model_paths.yaml"); exists(own) {
		extra = append(extra, own)
	}
	dirs, err := folders.New(folders.Config{
		Base:            base,
		Models:          cfg.ModelsDirectory,
		Input:           cfg.InputDirectory,
		Output:          cfg.OutputDirectory,
		Temp:            cfg.TempDirectory,
		User:            cfg.UserDirectory,
		ExtraModelPaths: append(extra, cfg.ExtraModelPaths...),
		Logger:          log,
	})
	if err != nil {
		return nil, fmt.Errorf("making the table of folders: %w", err)
	}
	if cfg.DemoModel {
		path, err := unpackDemo(base)
		if err != nil {
			return nil, err
		}
		dirs.AddFile("checkpoints", demo.Checkpoint, path)
	}
	return dirs, nil
}

// demoWorkflow returns the workflow that our own page shows first: the example of the built-in model, if that is listed.
func demoWorkflow(cfg cli.Config) []byte {
	if !cfg.DemoModel {
		return nil
	}
	return demo.Workflow
}

// unpackDemo puts the built-in checkpoint into the user's cache folder, or below the base folder for a service without a home:
// a folder that others may write to, as the system's temporary one, could hold another user's file.
func unpackDemo(base string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return demo.Unpack(filepath.Join(base, ".comfygo-cache"))
	}
	return demo.Unpack(filepath.Join(cache, "comfygo"))
}

// cacheConfig returns the configuration of the cache of node results.
func cacheConfig(cfg cli.Config) executor.CacheConfig {
	switch cfg.Cache {
	case cli.CacheClassic:
		return executor.CacheConfig{Kind: executor.CacheClassic}
	case cli.CacheLRU:
		return executor.CacheConfig{Kind: executor.CacheLRU, Size: cfg.CacheLRU}
	case cli.CacheNone:
		return executor.CacheConfig{Kind: executor.CacheNone}
	}
	c := executor.CacheConfig{Kind: executor.CacheRAM}
	if len(cfg.CacheRAM) > 0 {
		c.Headroom = int64(cfg.CacheRAM[0] * gib)
	}
	if len(cfg.CacheRAM) > 1 {
		c.InactiveHeadroom = int64(cfg.CacheRAM[1] * gib)
	}
	return c
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
