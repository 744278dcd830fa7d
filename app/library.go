package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"comfygo/cli"
	"comfygo/device"
	"comfygo/engine"
	"comfygo/internal/ortlib"
)

// errNoModels is the error of everything that needs a model with --no-models.
var errNoModels = errors.New("this server was started with --no-models and runs no models")

// findLibrary returns the path of the ONNX Runtime library.
func findLibrary(cfg cli.Config, cuda bool) (string, error) {
	if cfg.NoModels {
		return "", errNoModels
	}
	return ortlib.Find(ortlib.Options{Path: cfg.ONNXRuntime, CUDA: cuda})
}

// library describes the ONNX Runtime library before a model opens it.
type library struct {
	cfg    cli.Config
	cuda   bool
	engine *engine.Runtime

	mu     sync.Mutex
	path   string // of the file that was probed last
	change time.Time
	probed error
}

// check returns why models cannot run: the library is not found, its headers do not fit this machine, or opening it has
// failed. It loads nothing, and looks into a file again only when that has changed. With --no-models nothing is amiss.
func (l *library) check() error {
	if l.cfg.NoModels {
		return nil
	}
	open, failed := l.engine.Library()
	if open {
		return nil
	}
	path, err := findLibrary(l.cfg, l.cuda)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("finding the ONNX Runtime library: %w", err)
	}
	if failed != nil && failed.Path == path && !info.ModTime().After(failed.At) {
		return failed
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path != path || !l.change.Equal(info.ModTime()) {
		l.path, l.change, l.probed = path, info.ModTime(), ortlib.Probe(path)
	}
	return l.probed
}

// Setup fetches the pinned ONNX Runtime library for the CPU or for NVIDIA GPUs and prints its path.
func (c Command) Setup(ctx context.Context, cfg cli.Config, o cli.SetupOptions) error {
	ctx, stop := withSignals(ctx, stopLimit, nil)
	defer stop()
	dir := o.Dir
	if dir == "" {
		dir = cfg.ONNXRuntime
	}
	say := func(line string) { fmt.Fprintln(c.Stderr, line) }
	want := ortlib.Options{CUDA: o.CUDA, ReleaseSHA256: o.ReleaseSHA256, Log: say}
	path, err := "", error(nil)
	if dir == "" {
		path, err = ortlib.Ensure(ctx, want)
	} else {
		if dir, err = filepath.Abs(dir); err != nil {
			return fmt.Errorf("finding the folder for the library: %w", err)
		}
		path, err = ortlib.Install(ctx, dir, want)
	}
	if err != nil {
		return err
	}
	if err := ortlib.Probe(path); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c.Stdout, path); err != nil {
		return err
	}
	switch _, none := device.GPUs(); {
	case o.CUDA:
		say("onnxruntime: this build needs NVIDIA's driver, CUDA 13 (cudart, cublas, curand) and, for fast convolutions, cuDNN 9")
	case none == nil:
		say("onnxruntime: this machine has an NVIDIA GPU; `comfygo setup --cuda` fetches the build that uses it")
	}
	if dir != "" && dir != cfg.ONNXRuntime {
		say("start the server with --onnxruntime " + dir + ", or with COMFYGO_ONNXRUNTIME=" + dir)
	}
	return nil
}
