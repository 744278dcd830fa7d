package folders

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"

	"comfygo/internal/plainfile"
)

// LoadExtraPaths adds the search folders that a YAML file lists. The file is a map of sections whose names mean
// nothing; in a section base_path and is_default are settings and every other key is a kind with one path or several
// lines of paths. Paths are relative to base_path, or to the folder of the file. It fails when the file cannot be read
// or does not have this form.
func (f *Folders) LoadExtraPaths(file string) error {
	data, _, err := plainfile.Read(file, plainfile.MaxSize)
	if err != nil {
		return fmt.Errorf("reading extra model paths: %w", err)
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("reading extra model paths: %w", err)
	}
	sections, err := readSections(data)
	if err != nil {
		return fmt.Errorf("reading extra model paths %s: %w", file, err)
	}
	for _, s := range lastOfEach(sections) {
		if s.Value == nil {
			continue
		}
		section, ok := s.Value.(yaml.MapSlice)
		if !ok {
			return fmt.Errorf("reading extra model paths %s: section %v is not a map of kinds to paths", file, s.Key)
		}
		if err := f.addSection(lastOfEach(section), filepath.Dir(abs)); err != nil {
			return fmt.Errorf("reading extra model paths %s: section %v: %w", file, s.Key, err)
		}
	}
	return nil
}

// readSections reads the one document of a file.
func readSections(data []byte) (yaml.MapSlice, error) {
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, errors.New("this is no UTF-8 text")
	}
	d := yaml.NewDecoder(bytes.NewReader(data), yaml.UseOrderedMap(), yaml.AllowDuplicateMapKey())
	var sections yaml.MapSlice
	if err := d.Decode(&sections); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var more any
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one document in it")
	}
	return sections, nil
}

// lastOfEach returns a map in which a repeated key has its last value at its first place, as in Python.
func lastOfEach(m yaml.MapSlice) yaml.MapSlice {
	var out yaml.MapSlice
	at := map[string]int{}
	for _, item := range m {
		key := fmt.Sprint(item.Key)
		i, known := at[key]
		if !known {
			at[key], out = len(out), append(out, item)
			continue
		}
		out[i].Value = item.Value
	}
	return out
}

func (f *Folders) addSection(section yaml.MapSlice, fileDir string) error {
	root, first := fileDir, false
	for _, item := range section {
		switch fmt.Sprint(item.Key) {
		case "base_path":
			text, ok := item.Value.(string)
			if !ok {
				return fmt.Errorf("base_path is no text")
			}
			if root = expandPath(text); !filepath.IsAbs(root) {
				root = filepath.Join(fileDir, root)
			}
		case "is_default":
			first = truth(item.Value)
		}
	}
	for _, item := range section {
		key := fmt.Sprint(item.Key)
		if key == "base_path" || key == "is_default" {
			continue
		}
		text, ok := item.Value.(string)
		if !ok {
			return fmt.Errorf("the value of %s is no text", key)
		}
		for _, line := range strings.Split(text, "\n") {
			if line == "" {
				continue
			}
			path := filepath.Clean(line)
			if !filepath.IsAbs(path) {
				path = filepath.Join(root, line)
			}
			f.log.Info("adding extra search path", "kind", key, "path", path)
			f.AddRoot(key, path, first)
		}
	}
	return nil
}

// truth reads a YAML 1.1 boolean, which also has yes and on; any other text or number counts as in Python.
func truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case yaml.MapSlice:
		return len(v) > 0
	case []any:
		return len(v) > 0
	case string:
		return !slices.Contains([]string{"", "no", "off", "false"}, strings.ToLower(v))
	}
	return fmt.Sprint(v) != "0"
}

var envName = regexp.MustCompile(`\$(\w+|\{[^}]*\})`)

// expandPath replaces a leading ~ or ~name by a home folder and $NAME or ${NAME} by the environment. Unknown names
// stay as they are.
func expandPath(p string) string {
	if strings.HasPrefix(p, "~") {
		name, rest, _ := strings.Cut(p[1:], "/")
		if home := homeOf(name); home != "" {
			p = filepath.Join(home, rest)
		}
	}
	return envName.ReplaceAllStringFunc(p, func(ref string) string {
		if v, ok := os.LookupEnv(strings.Trim(ref[1:], "{}")); ok {
			return v
		}
		return ref
	})
}

func homeOf(name string) string {
	if name == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		return home
	}
	u, err := user.Lookup(name)
	if err != nil {
		return ""
	}
	return u.HomeDir
}
