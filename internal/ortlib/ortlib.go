// Package ortlib finds the ONNX Runtime library on this machine and downloads it on request.
//
// Find only searches: the server uses it at start and reports a clear error if nothing is found. Ensure also
// downloads, through a client the machine already has (pip, npm, curl); the fetch-ort program and `make` run it. Every
// archive and every library it installs is checked against a pinned SHA-256, and files appear in the cache whole or
// not at all.
//
// The package must not load the library or know its purpose: that is engine/ort.
package ortlib

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"comfygo/internal/download"
)

// EnvLibrary names the environment variable that holds the path of a library to use as it is.
const EnvLibrary = "ONNXRUNTIME_LIB"

// ErrNotFound is wrapped by the errors of Find and Ensure if there is no library.
var ErrNotFound = errors.New("no ONNX Runtime library")

// Options set where to search and how to fetch. The zero value searches the usual places.
type Options struct {
	// Path is the library that the user named (--onnxruntime). If it is set, nothing else is tried.
	Path string
	// CUDA selects the build with NVIDIA providers. Find falls back to the CPU build, Ensure does not.
	CUDA bool
	// Cache is the folder fetched libraries go to; by default comfygo/onnxruntime in the user's cache folder, and none
	// where the user has no home folder.
	Cache string
	// Release is the address of the project's releases for the curl client; DefaultRelease if empty.
	Release string
	// ReleaseSHA256 is the checksum of the release archive, as the release page shows it. The curl client needs it.
	ReleaseSHA256 string
	// Log receives one line for each step; nil drops them.
	Log func(line string)

	// The seams below are for tests; the zero values are the real machine.

	// Platform is GOOS/GOARCH.
	Platform string
	// Env reads an environment variable.
	Env func(string) string
	// SystemDirs lists the folders of the system's library path.
	SystemDirs []string
	// Clients are tried in order by Ensure.
	Clients []download.Client
}

// complete fills the fields that have defaults.
func (o Options) complete() (Options, error) {
	if o.Platform == "" {
		o.Platform = runtime.GOOS + "/" + runtime.GOARCH
	}
	if o.Env == nil {
		o.Env = os.Getenv
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Release == "" {
		o.Release = DefaultRelease
	}
	if o.SystemDirs == nil {
		o.SystemDirs = systemDirs(o.Platform, o.Env)
	}
	if o.Clients == nil {
		o.Clients = download.Clients()
	}
	if o.Cache == "" {
		if base, err := os.UserCacheDir(); err == nil { // a service may have no HOME, and so no cache folder
			o.Cache = filepath.Join(base, "comfygo", "onnxruntime")
		}
	}
	return o, nil
}

// Find returns the path of a usable library without using the network: it searches the named path, then
// $ONNXRUNTIME_LIB, the system's library path and the cache. The error wraps ErrNotFound and explains what to do.
func Find(o Options) (string, error) {
	o, err := o.complete()
	if err != nil {
		return "", err
	}
	path, err := find(o)
	if err != nil && o.CUDA {
		if cpu := o; errors.Is(err, ErrNotFound) {
			cpu.CUDA = false
			return find(cpu)
		}
	}
	return path, err
}

// Ensure returns the result of Find, or fetches the pinned library into the cache if nothing is found. With CUDA set only
// a build with the CUDA provider beside the library counts as found.
func Ensure(ctx context.Context, o Options) (string, error) {
	o, err := o.complete()
	if err != nil {
		return "", err
	}
	path, err := find(o)
	if err == nil || !errors.Is(err, ErrNotFound) || o.Path != "" {
		return path, err
	}
	if o.Cache == "" {
		return "", fmt.Errorf("%w, and HOME is not set: name a folder for it by --dir", ErrNotFound)
	}
	return fetch(ctx, o)
}

// Install fetches the pinned library into dir, below which --onnxruntime dir finds it, and returns its path. What lies
// elsewhere on the machine does not count; what an earlier call put there is kept.
func Install(ctx context.Context, dir string, o Options) (string, error) {
	o.Path, o.Cache, o.SystemDirs = "", dir, []string{}
	o.Env = func(string) string { return "" }
	return Ensure(ctx, o)
}
