package ortlib

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// MinVersion is the oldest ONNX Runtime whose C interface (24) the engine can use.
const MinVersion = "1.24.0"

// find looks for a library of exactly the wanted kind.
func find(o Options) (string, error) {
	if o.Path != "" {
		return named(o, o.Path, "--onnxruntime")
	}
	if p := o.Env(EnvLibrary); p != "" {
		return named(o, p, EnvLibrary)
	}
	for _, dir := range o.SystemDirs {
		if p := newest(dir, o.CUDA); p != "" {
			return p, nil
		}
	}
	if p := cached(o); p != "" {
		return p, nil
	}
	name := "the library"
	if a, ok := pinned(o.Platform, o.CUDA); ok {
		name = filepath.Base(a.Files[0].Member)
	}
	if o.Cache == "" {
		return "", fmt.Errorf("%w: looked in $%s and the system's library path (HOME is not set, so there is no cache folder); run `comfygo setup --dir DIR` and start with --onnxruntime DIR",
			ErrNotFound, EnvLibrary)
	}
	return "", fmt.Errorf("%w: looked in $%s, the system's library path and %s; run `comfygo setup`, or put %s (version %s or newer) into %s",
		ErrNotFound, EnvLibrary, o.Cache, name, MinVersion, filepath.Join(o.Cache, folder(o)))
}

// named resolves a path that the user gave; a folder means the library in it, or the one that Ensure put below it.
func named(o Options, path, origin string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("finding the ONNX Runtime library given by %s: %w", origin, err)
	}
	if info.IsDir() {
		o.Cache = path
		if p := cached(o); p != "" {
			return p, nil
		}
		if p := newest(path, false); p != "" {
			return p, nil
		}
		if o.CUDA = false; cached(o) != "" {
			return cached(o), nil
		}
		return "", fmt.Errorf("finding the ONNX Runtime library given by %s: %w in the folder %s; `comfygo setup --dir %s` puts one there", origin, ErrNotFound, path, path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("finding the ONNX Runtime library given by %s: %w", origin, err)
	}
	return abs, nil
}

// cached returns the library in the cache: the one Ensure installed, or one that the user put there.
func cached(o Options) string {
	if o.Cache == "" {
		return ""
	}
	return newest(filepath.Join(o.Cache, folder(o)), o.CUDA)
}

var libraryName = regexp.MustCompile(`^(?:libonnxruntime\.so(?:\.(\d+(?:\.\d+)*))?|libonnxruntime(?:\.(\d+(?:\.\d+)*))?\.dylib|onnxruntime\.dll)$`)

// newest returns the library in dir with the highest version, or "". Libraries known to be too old are passed over,
// and so are those without a CUDA provider beside them when one is wanted.
func newest(dir string, cuda bool) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	type found struct {
		path    string
		version []int
	}
	var all []found
	for _, e := range entries {
		if !libraryName.MatchString(e.Name()) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			continue
		}
		v := versionOf(filepath.Base(real))
		if len(v) >= 2 && less(v, parse(MinVersion)) {
			continue
		}
		if cuda && !hasCUDA(filepath.Dir(real)) {
			continue
		}
		all = append(all, found{path, v})
	}
	if len(all) == 0 {
		return ""
	}
	sort.SliceStable(all, func(i, j int) bool { return less(all[j].version, all[i].version) })
	return all[0].path
}

// hasCUDA reports whether the CUDA provider lies in dir, where the runtime will look for it.
func hasCUDA(dir string) bool {
	for _, n := range []string{"libonnxruntime_providers_cuda.so", "onnxruntime_providers_cuda.dll"} {
		if _, err := os.Stat(filepath.Join(dir, n)); err == nil {
			return true
		}
	}
	return false
}

// versionOf reads the version from a library's file name, or returns nil.
func versionOf(name string) []int {
	m := libraryName.FindStringSubmatch(name)
	if m == nil {
		return nil
	}
	return parse(m[1] + m[2])
}

func parse(version string) []int {
	if version == "" {
		return nil
	}
	var out []int
	for _, part := range strings.Split(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil
		}
		out = append(out, n)
	}
	return out
}

func less(a, b []int) bool {
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return len(a) < len(b)
}

// systemDirs lists where a library installed for all users would lie. The folder of the program comes first, so
// that a distribution can carry the library with it. Windows' own folder is left out: its onnxruntime.dll is old.
func systemDirs(platform string, env func(string) string) []string {
	var dirs []string
	if exe, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(exe), filepath.Join(filepath.Dir(exe), "lib"))
	}
	switch {
	case strings.HasPrefix(platform, "linux/"):
		dirs = append(dirs, filepath.SplitList(env("LD_LIBRARY_PATH"))...)
		triplet := map[string]string{"linux/amd64": "x86_64-linux-gnu", "linux/arm64": "aarch64-linux-gnu"}[platform]
		for _, root := range []string{"/usr/local/lib", "/usr/lib"} {
			dirs = append(dirs, root, filepath.Join(root, triplet))
		}
		dirs = append(dirs, "/usr/local/lib64", "/usr/lib64", "/opt/onnxruntime/lib")
	case strings.HasPrefix(platform, "darwin/"):
		dirs = append(dirs, filepath.SplitList(env("DYLD_LIBRARY_PATH"))...)
		dirs = append(dirs, "/opt/homebrew/lib", "/usr/local/lib")
	}
	var kept []string
	for _, d := range dirs {
		if d != "" {
			kept = append(kept, d)
		}
	}
	return kept
}
