// Package packdir looks after the folders of node packs and the virtual environment of what they require: it lists, installs, updates,
// disables and enables packs. It reads files and runs git and pip; code of a pack is never run, but for what pip runs to build a
// requirement.
package packdir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// disabled is the ending of the folder of a pack that is not loaded, as in ComfyUI.
const disabled = ".disabled"

// Dir is the folder of the packs.
type Dir struct {
	// Roots are the folders of packs. New ones go into the first.
	Roots []string
	// Venv is the folder of the virtual environment for requirements. It is made on demand.
	Venv string
	// Python makes the environment, which sees the packages of that interpreter; "" without an interpreter.
	Python string
	// Output receives the output of git and pip.
	Output io.Writer
}

// Pack is a pack as its files describe it.
type Pack struct {
	Name    string `json:"name"`
	Enabled bool   `json:"enabled"`
	// Version is that of pyproject.toml, Commit and Source are git's; "" if unknown.
	Version string `json:"version,omitempty"`
	Commit  string `json:"commit,omitempty"`
	Source  string `json:"source,omitempty"`
	// Requirements and Installer report that there is a requirements.txt, and an install.py, which is not run.
	Requirements bool   `json:"requirements"`
	Installer    bool   `json:"installer"`
	Path         string `json:"path"`
}

// List returns the packs of all folders, by name.
func (d *Dir) List() ([]Pack, error) {
	var out []Pack
	for _, root := range d.Roots {
		entries, err := os.ReadDir(root)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("listing node packs: %w", err)
		}
		for _, e := range entries {
			if p, ok := describe(root, e.Name()); ok {
				out = append(out, p)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Pack) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return out, nil
}

// find returns the pack of a name.
func (d *Dir) find(name string) (Pack, error) {
	list, err := d.List()
	if err != nil {
		return Pack{}, err
	}
	for _, p := range list {
		if p.Name == name {
			return p, nil
		}
	}
	return Pack{}, fmt.Errorf("there is no node pack %q in %s", name, strings.Join(d.Roots, ", "))
}

// Enable loads a pack from the next start on, or no longer, by the name of its folder.
func (d *Dir) Enable(name string, on bool) error {
	p, err := d.find(name)
	if err != nil || p.Enabled == on {
		return err
	}
	to := p.Path + disabled
	if on {
		to = strings.TrimSuffix(p.Path, disabled)
	}
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("renaming node pack %s: %s is there already", name, to)
	}
	if err := os.Rename(p.Path, to); err != nil {
		return fmt.Errorf("renaming node pack %s: %w", name, err)
	}
	return nil
}

// Install copies a folder, or clones what lies at a git address, and installs its requirements. ref is a branch or tag of the address; "" for
// its own choice. Nothing is left in the folder of packs when it fails.
func (d *Dir) Install(ctx context.Context, source, ref string, requirements bool) (_ Pack, err error) {
	if len(d.Roots) == 0 {
		return Pack{}, errors.New("installing a node pack: there is no folder custom_nodes")
	}
	root := d.Roots[0]
	info, statErr := os.Stat(source)
	local := statErr == nil && info.IsDir()
	if !local && !isAddress(source) {
		return Pack{}, fmt.Errorf("installing a node pack: %q is neither a folder nor a git address (https://…, ssh://…, user@host:path)", source)
	}
	if local && ref != "" {
		return Pack{}, errors.New("installing a node pack: --ref is for git addresses, and this is a folder")
	}
	name, err := nameOf(source)
	if err != nil {
		return Pack{}, err
	}
	target := filepath.Join(root, name)
	for _, taken := range []string{target, target + disabled} {
		if _, err := os.Lstat(taken); err == nil {
			return Pack{}, fmt.Errorf("installing node pack %s: %s is there already; packs update %s brings it up to date", name, taken, name)
		}
	}
	if err := os.MkdirAll(root, 0o755); err != nil { //nolint:gosec // a folder as others of the base folder
		return Pack{}, fmt.Errorf("installing node pack %s: %w", name, err)
	}
	temp, err := os.MkdirTemp(root, ".comfygo-install-")
	if err != nil {
		return Pack{}, fmt.Errorf("installing node pack %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	fresh := filepath.Join(temp, name)
	if local {
		err = os.CopyFS(fresh, os.DirFS(source))
	} else {
		err = d.clone(ctx, source, ref, fresh)
	}
	if err != nil {
		return Pack{}, fmt.Errorf("installing node pack %s: %w", name, err)
	}
	if _, err := os.Stat(filepath.Join(fresh, "__init__.py")); err != nil {
		return Pack{}, fmt.Errorf("installing node pack %s: it is no node pack, as it has no file __init__.py", name)
	}
	if requirements {
		if err := d.require(ctx, name, fresh); err != nil {
			return Pack{}, err
		}
	}
	if err := os.Rename(fresh, target); err != nil {
		return Pack{}, fmt.Errorf("installing node pack %s: %w", name, err)
	}
	p, _ := describe(root, name)
	return p, nil
}

// Update updates a pack that git has cloned, and installs its requirements.
func (d *Dir) Update(ctx context.Context, name string, requirements bool) (Pack, error) {
	p, err := d.find(name)
	if err != nil {
		return Pack{}, err
	}
	if _, err := os.Stat(filepath.Join(p.Path, ".git")); err != nil {
		return Pack{}, fmt.Errorf("updating node pack %s: git has not cloned it; remove %s and install it again from where it came from", name, p.Path)
	}
	if err := d.pull(ctx, p.Path); err != nil {
		return Pack{}, fmt.Errorf("updating node pack %s: %w", name, err)
	}
	if requirements {
		if err := d.require(ctx, name, p.Path); err != nil {
			return Pack{}, err
		}
	}
	return d.find(name)
}

// nameOf is the name of the folder that a pack gets.
func nameOf(source string) (string, error) {
	text := strings.TrimRight(filepath.ToSlash(source), "/")
	if abs, err := filepath.Abs(source); err == nil && !isAddress(source) {
		text = filepath.ToSlash(abs)
	}
	name := text[strings.LastIndexAny(text, "/:")+1:]
	name = strings.TrimSuffix(name, ".git")
	if name == "" || name[0] == '.' || name == "__pycache__" || strings.HasSuffix(name, disabled) || strings.ContainsAny(name, `\?#%`) {
		return "", fmt.Errorf("installing a node pack: %q does not end in a name for its folder", source)
	}
	return name, nil
}
