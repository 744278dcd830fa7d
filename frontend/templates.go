package frontend

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// manifest is the list in the templates' core package.
type manifest struct {
	Templates []struct {
		Bundle string `json:"bundle"`
		Assets []struct {
			Filename string `json:"filename"`
			Bundle   string `json:"bundle"`
		} `json:"assets"`
	} `json:"templates"`
}

// maxManifest bounds the size that is read of a manifest.
const maxManifest = 64 << 20

// templates lists the files of the templates by name: workflows and indexes in one package, images and videos in one
// for each bundle. Files whose package is not installed are omitted; upstream would then serve no template at all.
// Releases before 0.3.0 held all files in one folder, which is then read.
func templates(dir string) map[string]string {
	var m manifest
	if data, err := readBounded(filepath.Join(dir, manifestModule, "manifest.json")); err != nil || json.Unmarshal(data, &m) != nil {
		return folderOf(filepath.Join(dir, templateModule, "templates"))
	}
	files := make(map[string]string)
	for _, t := range m.Templates {
		for _, a := range t.Assets {
			module := jsonModule
			if !strings.HasSuffix(a.Filename, ".json") {
				bundle := a.Bundle
				if bundle == "" {
					bundle = t.Bundle
				}
				module = templateModule + "_" + strings.ReplaceAll(bundle, "-", "_")
			}
			name := filepath.FromSlash(a.Filename)
			if path := filepath.Join(dir, module, "templates", name); filepath.IsLocal(name) && filepath.IsLocal(module) && isFile(path) {
				files[a.Filename] = path
			}
		}
	}
	return files
}

// folderOf lists the files below a folder by name.
func folderOf(dir string) map[string]string {
	files := make(map[string]string)
	_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil // what cannot be read is not served
		}
		if rel, err := filepath.Rel(dir, path); err == nil {
			files[filepath.ToSlash(rel)] = path
		}
		return nil
	})
	return files
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxManifest {
		return nil, os.ErrInvalid
	}
	return os.ReadFile(path)
}
