package frontend

import (
	"os"
	"path/filepath"
	"strings"
)

// EnvDir names a folder of packages to use instead of all others, as --front-end-packages does.
const EnvDir = "COMFYGO_FRONTEND"

// None as the folder means no front end at all.
const None = "none"

// Found lists what was found on this machine; missing parts are empty.
type Found struct {
	// Root is the folder of the front end's files.
	Root string
	// Docs is the folder of the nodes' documentation.
	Docs string
	// Templates are the files of the workflow templates, path by name.
	Templates map[string]string
	// Versions are the packages' versions by the names of their distributions.
	Versions map[string]string
}

// Find looks for each of the packages in the given folders, which are in the layout of site-packages; the first that
// holds one wins.
func Find(dirs []string) Found {
	found := Found{Versions: make(map[string]string)}
	for _, p := range pins {
		for _, dir := range dirs {
			if v := version(dir, p.Module); v != "" {
				found.Versions[p.Project] = v
				found.take(dir, p.Module)
				break
			}
		}
	}
	return found
}

// take records the contents of a package.
func (f *Found) take(dir, module string) {
	switch module {
	case frontEndModule:
		if root := filepath.Join(dir, module, "static"); isFile(filepath.Join(root, "index.html")) {
			f.Root = root
		}
	case docsModule:
		if docs := filepath.Join(dir, module, "docs"); isDir(docs) {
			f.Docs = docs
		}
	case templateModule:
		f.Templates = templates(dir)
	}
}

// Places lists the folders in which packages may lie, the most specific first: the active environment of Python, the
// user's and the system's packages, and last what Install has brought. A folder that the user named, by the flag or
// else by EnvDir, is the only one. env reads an environment variable.
func Places(named string, env func(string) string) []string {
	if named == "" {
		named = env(EnvDir)
	}
	switch named {
	case "":
	case None:
		return nil
	default:
		return []string{named}
	}
	var patterns []string
	for _, name := range []string{"VIRTUAL_ENV", "CONDA_PREFIX"} {
		if root := env(name); root != "" {
			patterns = append(patterns, filepath.Join(root, "lib", "python3*", "site-packages"), filepath.Join(root, "Lib", "site-packages"))
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		patterns = append(patterns, filepath.Join(home, ".local", "lib", "python3*", "site-packages"),
			filepath.Join(home, "Library", "Python", "3*", "lib", "python", "site-packages"))
	}
	if data := env("APPDATA"); data != "" {
		patterns = append(patterns, filepath.Join(data, "Python", "Python3*", "site-packages"))
	}
	patterns = append(patterns, "/usr/local/lib/python3*/dist-packages", "/usr/local/lib/python3*/site-packages",
		"/usr/lib/python3/dist-packages", "/usr/lib/python3*/site-packages")
	var dirs []string
	for _, p := range patterns {
		if found, err := filepath.Glob(p); err == nil {
			dirs = append(dirs, found...)
		}
	}
	if dir, err := DefaultDir(); err == nil {
		dirs = append(dirs, dir)
	}
	return dirs
}

// version reads a package's version from the name of the folder that pip keeps beside it, or returns "" if it is
// missing.
func version(dir, module string) string {
	if !isDir(filepath.Join(dir, module)) {
		return ""
	}
	matches, err := filepath.Glob(filepath.Join(dir, module+"-*.dist-info"))
	if err != nil || len(matches) == 0 {
		return ""
	}
	name := filepath.Base(matches[len(matches)-1])
	return strings.TrimSuffix(strings.TrimPrefix(name, module+"-"), ".dist-info")
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
