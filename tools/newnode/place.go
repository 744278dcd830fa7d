package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"go/format"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"comfygo/internal/pyjson"
)

// recorded reads a packed /object_info.
func recorded(path string) (*pyjson.Object, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the recorded classes: %w", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", path, err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", path, err)
	}
	return pyjson.UnmarshalObject(data)
}

// add writes one class and returns the path of its file.
func add(root, dir, name string, infos *pyjson.Object) (string, error) {
	info := infos.Object(name)
	if info == nil {
		return "", errors.New("the recorded object_info has no such class")
	}
	module := text(info, "python_module")
	if dir == "" {
		var err error
		if dir, err = folderOf(root, module, text(info, "category")); err != nil {
			return "", err
		}
	}
	path := filepath.Join(root, dir, fileOf(module))
	source, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		source, err = []byte("package "+filepath.Base(dir)+"\n\nimport (\n)\n\nfunc init() {\n}\n"), nil
	}
	if err != nil {
		return "", err
	}
	s, err := newSkeleton(name, info)
	if err != nil {
		return "", err
	}
	if regexp.MustCompile(`(?m)^type ` + s.ident + ` `).Match(source) {
		return "", fmt.Errorf("%s has a type %s", path, s.ident)
	}
	out, err := format.Source(s.insert(source))
	if err != nil {
		return "", fmt.Errorf("formatting %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, out, 0o644) //nolint:gosec // source code
}

// fileOf returns the file name of a module's classes.
func fileOf(module string) string {
	stem := strings.TrimPrefix(module[strings.LastIndexByte(module, '.')+1:], "nodes_")
	parts := strings.Split(stem, "_")
	if last := parts[len(parts)-1]; len(parts) > 1 && (last == "test" || slices.Contains(platforms, last)) {
		stem = strings.Join(parts, "")
	}
	return stem + ".go"
}

// platforms are endings of file names, behind an underscore, for which Go builds a file on that system or architecture only.
var platforms = []string{
	"aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux", "netbsd", "openbsd", "plan9", "solaris", "wasip1", "windows", "unix",
	"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64", "s390x", "wasm",
}

// folders are the folders of classes of a category whose module has no class yet. The longest match counts.
var folders = map[string]string{
	"model/latent": "latent", "model/conditioning": "conditioning", "model/loaders": "loaders", "model": "sampling", "image/mask": "mask", "image": "image",
	"utilities": "logic", "text": "text", "audio": "audio", "video": "video", "3d": "mesh", "advanced": "conditioning",
}

// folderOf finds the folder of a module: the one that already has classes of it, else that of the category.
func folderOf(root, module, category string) (string, error) {
	quoted := []byte(`"` + module + `"`)
	var found []string
	paths, err := filepath.Glob(filepath.Join(root, "nodes", "*", "*.go"))
	if err != nil {
		return "", err
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || filepath.Base(filepath.Dir(path)) == "all" || filepath.Base(filepath.Dir(path)) == "catalog" {
			continue
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		dir := filepath.Join("nodes", filepath.Base(filepath.Dir(path)))
		if bytes.Contains(source, quoted) && !slices.Contains(found, dir) {
			found = append(found, dir)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	best := ""
	for prefix := range folders {
		if (category == prefix || strings.HasPrefix(category, prefix+"/")) && len(prefix) > len(best) {
			best = prefix
		}
	}
	if best == "" {
		return "", fmt.Errorf("no folder is known for the category %q: give one with -dir", category)
	}
	return filepath.Join("nodes", folders[best]), nil
}

// insert returns the source with the class registered and added at the end.
func (s *skeleton) insert(source []byte) []byte {
	out := string(source)
	for _, path := range s.imports() {
		line := fmt.Sprintf("%q", path)
		if strings.Contains(out, line) {
			continue
		}
		switch at := strings.Index(out, "import (\n"); {
		case at >= 0:
			at += len("import (\n")
			out = out[:at] + "\t" + line + "\n" + out[at:]
		default:
			end := strings.IndexByte(out[strings.Index(out, "package "):], '\n') + strings.Index(out, "package ")
			out = out[:end+1] + "\nimport " + line + "\n" + out[end+1:]
		}
	}
	register := "nodes.Register(&" + s.ident + "{})"
	if at := strings.Index(out, "func init() {\n"); at >= 0 {
		end := at + strings.Index(out[at:], "\n}")
		out = out[:end] + "\n\t" + register + out[end:]
	} else if at := strings.Index(out, "func init() { nodes.Register("); at >= 0 {
		end := at + strings.Index(out[at:], ") }")
		out = out[:end] + ", &" + s.ident + "{}" + out[end:]
	} else {
		out += "\nfunc init() { " + register + " }\n"
	}
	return []byte(out + "\n" + s.source())
}

func text(o *pyjson.Object, key string) string {
	v, _ := o.Get(key)
	s, _ := v.(string)
	return s
}
