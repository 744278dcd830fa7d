package ort

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"
)

// EnvCUDADirs names the environment variable with further folders of NVIDIA's libraries, separated as PATH is. A
// folder may also be a Python site-packages: its nvidia/*/lib are looked into.
const EnvCUDADirs = "COMFYGO_CUDA_DIRS"

// envOrder is CUDA's own variable for the order in which it counts GPUs.
const envOrder = "CUDA_DEVICE_ORDER"

// ErrNoCUDA is wrapped by errors that state why CUDA cannot be used.
var ErrNoCUDA = errors.New("no CUDA")

// CheckCUDA reports whether the GPU with the given index can be used: nil, or an error that wraps ErrNoCUDA with the reason.
// A missing driver shows only when a session is made, so it makes a tiny one. The result is cached.
func (r *Runtime) CheckCUDA(ctx context.Context, index int) error {
	if err := r.enter(); err != nil {
		return fmt.Errorf("trying CUDA: %w", err)
	}
	defer r.leave()
	return r.checkCUDA(ctx, index)
}

func (r *Runtime) checkCUDA(ctx context.Context, index int) error {
	r.mu.Lock()
	err, known := r.cuda[index]
	r.mu.Unlock()
	if known {
		return err
	}
	if err = r.probeCUDA(ctx, index); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err = fmt.Errorf("%w: %s", ErrNoCUDA, plain(err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cuda[index] = err
	return err
}

// plain is the library's message without its source location.
func plain(err error) string {
	_, said, found := strings.Cut(err.Error(), "[ONNXRuntimeError] : ")
	if parts := strings.SplitN(said, " : ", 3); found && len(parts) == 3 { // code, its name, the message
		return parts[2]
	}
	return err.Error()
}

func (r *Runtime) probeCUDA(ctx context.Context, index int) error {
	if index < 0 {
		return fmt.Errorf("GPU %d does not exist", index)
	}
	// GPUs are to be counted as device.GPUs counts them, in the order of the bus. The user's own setting stands.
	if _, set := os.LookupEnv(envOrder); !set {
		if err := os.Setenv(envOrder, "PCI_BUS_ID"); err != nil {
			return err
		}
	}
	for _, name := range r.preloadCUDA() {
		r.cfg.Log.Debug("preloaded", "library", name)
	}
	out, err := r.probe(ctx, &SessionSpec{Name: "cuda-probe", Model: addModel(), Device: Device{Kind: CUDA, Index: index}}, map[string]Value{"x": Floats([]float32{1, 2}, 2)})
	if err != nil {
		return err
	}
	if y, err := out["y"].Float32s(); err != nil || len(y) != 2 || y[0] != 2 || y[1] != 4 {
		return fmt.Errorf("GPU %d computes 1+1, 2+2 as %v", index, y)
	}
	// cuDNN is opened when the first convolution or attention runs, not with the provider.
	_, err = r.probe(ctx, &SessionSpec{Name: "cuda-network-probe", Model: networkModel(), Device: Device{Kind: CUDA, Index: index}}, map[string]Value{
		"image": Floats(make([]float32, 4*4), 1, 1, 4, 4), "tokens": Floats(make([]float32, 8*64), 1, 8, 64),
	})
	if err != nil {
		return fmt.Errorf("GPU %d cannot run a convolution and attention; is cuDNN 9 for CUDA 13 installed (for example with pip install nvidia-cudnn-cu13), in a folder of LD_LIBRARY_PATH or %s? ONNX Runtime says: %s", index, EnvCUDADirs, plain(err))
	}
	return nil
}

// probe runs a model once.
func (r *Runtime) probe(ctx context.Context, spec *SessionSpec, in map[string]Value) (map[string]Value, error) {
	opts, err := r.newOptions(spec)
	s := &Session{r: r, name: spec.Name, opts: opts, names: map[string]*C.char{}}
	defer s.free()
	if err == nil {
		err = s.create(ctx, spec)
	}
	if err == nil {
		err = s.describe()
	}
	if err != nil {
		return nil, err
	}
	return s.run(ctx, in, nil)
}

// appendCUDA makes a session run on a GPU. Both steps fail when the provider or a library it needs is not there.
func appendCUDA(o *ort.SessionOptions, spec *SessionSpec) error {
	cuda, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer func() { _ = cuda.Destroy() }()
	settings := map[string]string{
		"device_id":                    strconv.Itoa(spec.Device.Index),
		"use_tf32":                     "0",
		"cudnn_conv_algo_search":       "HEURISTIC",
		"cudnn_conv_use_max_workspace": "1",
		"arena_extend_strategy":        "kSameAsRequested",
		"fuse_conv_bias":               "1",
	}
	if spec.TF32 {
		settings["use_tf32"] = "1"
	}
	if spec.Flash {
		const flash, efficient, math = 1, 2, 16
		settings["sdpa_kernel"] = strconv.Itoa(flash | efficient | math)
	}
	if spec.Graphs {
		settings["enable_cuda_graph"] = "1"
	}
	if err := cuda.Update(settings); err != nil {
		return err
	}
	return o.AppendExecutionProviderCUDA(cuda)
}

// cudaLibraries are the libraries that the provider needs, ordered so that each is loaded after its dependencies. The pinned
// build is for CUDA 13 alone.
var cudaLibraries = []string{
	"libcudart.so.13", "libnvrtc.so.13", "libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10", "libnvJitLink.so.13", "libcudnn.so.9",
}

// preloadCUDA opens NVIDIA's libraries by their full paths, so that the provider finds them by name in any folder. It
// returns the opened ones. The provider reports a missing or unusable library.
func (r *Runtime) preloadCUDA() []string {
	if runtime.GOOS != "linux" {
		return nil
	}
	var opened []string
	dirs := cudaDirs(r.cfg.CUDADirs, os.Getenv)
	for _, pattern := range cudaLibraries {
		for _, dir := range dirs {
			found, _ := filepath.Glob(filepath.Join(dir, pattern)) // the pattern is well-formed
			if len(found) == 0 {
				continue
			}
			newest := found[len(found)-1]
			name := C.CString(newest)
			var msg [512]C.char
			failed := C.cg_preload(name, &msg[0], C.size_t(len(msg)))
			C.free(unsafe.Pointer(name))
			if failed == 0 {
				opened = append(opened, newest)
				break
			}
			r.cfg.Log.Debug("preloading", "library", newest, "err", C.GoString(&msg[0]))
		}
	}
	return opened
}

// cudaDirs lists the folders that may hold NVIDIA's libraries, the configured ones first.
func cudaDirs(configured []string, env func(string) string) []string {
	roots := append([]string(nil), configured...)
	roots = append(roots, filepath.SplitList(env(EnvCUDADirs))...)
	roots = append(roots, filepath.SplitList(env("LD_LIBRARY_PATH"))...)
	if home := env("CUDA_HOME"); home != "" {
		roots = append(roots, filepath.Join(home, "lib64"))
	}
	patterns := []string{"/usr/local/cuda/lib64", "/usr/local/cuda-13*/lib64", "/usr/local/cuda*/targets/*/lib"}
	var dirs []string
	for _, root := range roots {
		if root != "" {
			dirs = append(dirs, root)
			patterns = append(patterns, filepath.Join(root, "nvidia", "*", "lib"))
		}
	}
	for _, p := range patterns {
		found, _ := filepath.Glob(p)
		dirs = append(dirs, found...)
	}
	return dirs
}
