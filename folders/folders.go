// Package folders knows the folders on the disk: the search folders of every kind of model file, and the
// input, output, temp and user folders.
//
// It lists and finds files, resolves untrusted names without ever leaving the folder they belong to, reads
// extra search paths from YAML and picks the next free name for an image. It must not know what is inside the files,
// nor anything of nodes, prompts or HTTP.
package folders

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Config sets the paths of the folders. Only Base is required; every other empty field has its usual place below Base.
type Config struct {
	// Base holds models, custom_nodes, datasets, input, output, temp and user unless a field below says otherwise.
	Base string
	// Models replaces Base/models.
	Models string
	// Input replaces Base/input.
	Input string
	// Output replaces Base/output.
	Output string
	// Temp is the folder in which a folder called temp is made and emptied, as with the flag --temp-directory.
	Temp string
	// User replaces Base/user.
	User string
	// ExtraModelPaths are YAML files with more search folders, read in order.
	ExtraModelPaths []string
	// Logger receives a line for each added search path; nil means no log.
	Logger *slog.Logger
	// Now is the clock of the time tokens in file names; nil means time.Now.
	Now func() time.Time
}

// Folders is the table of folders. It is safe for concurrent use.
type Folders struct {
	base, models, input, output, temp, user string

	owner string // "" unless made by For
	log   *slog.Logger
	now   func() time.Time

	*table
	temporary *tempLock
	ctx       context.Context //nolint:containedctx // a view of the folders for one call; nil: no call
}

// During returns the folders for what happens in ctx: when that ends, so does the transfer of a file that Resolve or a SavePath of the view waits for.
func (f *Folders) During(ctx context.Context) *Folders {
	if f == nil {
		return nil
	}
	view := *f
	view.ctx = ctx
	return &view
}

// during is the context of a view.
func (f *Folders) during() context.Context {
	if f.ctx == nil {
		return context.Background()
	}
	return f.ctx
}

// table is shared by all views of the folders.
type table struct {
	mu    sync.RWMutex
	order []string
	kinds map[string]*kind
	cache map[string]listing

	stamp   stamp
	numbers numbering
	watch   atomic.Pointer[watcher] // nil without a watcher
	remote  *remoteFiles            // nil where the folders on the disk are all there is
}

// kind is one row of the table: the search folders of a kind, and the file extensions that count.
type kind struct {
	roots []string
	exts  []string          // empty: every file
	extra map[string]string // names added by AddFile, with their paths
}

// New makes the table: upstream's kinds in upstream's order, then the YAML files, then the folders below the output
// folder in which nodes save models. It reads the YAML files and writes nothing. It fails when Base is empty or a YAML
// file is missing or malformed.
func New(c Config) (*Folders, error) {
	if c.Base == "" {
		return nil, fmt.Errorf("making the folder table: no base folder given")
	}
	f := &Folders{log: c.Logger, now: c.Now, temporary: &tempLock{}, table: &table{kinds: map[string]*kind{}, cache: map[string]listing{}}}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if f.now == nil {
		f.now = time.Now
	}
	if err := f.place(c); err != nil {
		return nil, err
	}
	f.addDefaults()
	for _, path := range c.ExtraModelPaths {
		if err := f.LoadExtraPaths(path); err != nil {
			return nil, err
		}
	}
	for _, k := range outputKinds {
		f.AddRoot(k.kind, filepath.Join(f.output, k.folder), false)
	}
	return f, nil
}

func (f *Folders) place(c Config) error {
	base, err := filepath.Abs(c.Base)
	if err != nil {
		return fmt.Errorf("making the folder table: %w", err)
	}
	f.base = base
	temp := ""
	if c.Temp != "" {
		temp = filepath.Join(c.Temp, "temp")
	}
	for _, p := range []struct {
		to         *string
		given, sub string
	}{
		{&f.models, c.Models, "models"},
		{&f.input, c.Input, "input"},
		{&f.output, c.Output, "output"},
		{&f.temp, temp, "temp"},
		{&f.user, c.User, "user"},
	} {
		path := p.given
		if path == "" {
			path = filepath.Join(base, p.sub)
		}
		if *p.to, err = filepath.Abs(path); err != nil {
			return fmt.Errorf("placing the %s folder: %w", p.sub, err)
		}
	}
	return nil
}

// Base returns the absolute base folder.
func (f *Folders) Base() string { return f.base }

// Models returns the absolute folder of the models.
func (f *Folders) Models() string { return f.models }

// Input returns the absolute folder of uploaded files.
func (f *Folders) Input() string { return f.input }

// Output returns the absolute folder of saved results.
func (f *Folders) Output() string { return f.output }

// Temp returns the absolute folder of previews; it is emptied at start and removed at the end.
func (f *Folders) Temp() string { return f.temp }

// User returns the absolute folder of the users' settings and files.
func (f *Folders) User() string { return f.user }

// Dir returns the folder of one of the types that URLs and node outputs name: "input", "output" or "temp".
func (f *Folders) Dir(kind string) (string, bool) {
	switch kind {
	case "input":
		return f.input, true
	case "output":
		return f.output, true
	case "temp":
		return f.temp, true
	}
	return "", false
}

// systemUserPrefix marks user folders that no request may name.
const systemUserPrefix = "__"

// UserDir returns the folder of a user that a request names; false for no name, a name that would leave the user
// folder, and the names of system users (they begin with two underscores).
func (f *Folders) UserDir(user string) (string, bool) {
	if user == "" || strings.HasPrefix(user, systemUserPrefix) {
		return "", false
	}
	dir := filepath.Join(f.user, user)
	if dir == f.user || !Within(f.user, dir) {
		return "", false
	}
	return dir, true
}

// Prepare makes the input, user and temp folders and empties the temp folder, unless another server uses it. Call it once at
// start.
func (f *Folders) Prepare() error {
	if err := f.takeTemp(); err != nil {
		return err
	}
	for _, dir := range []string{f.input, f.user, f.temp} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("making folder %s: %w", dir, err)
		}
	}
	return nil
}

// MakeModelFolders makes the folders for model files below the models folder.
func (f *Folders) MakeModelFolders() error {
	for _, kind := range f.Kinds() {
		for _, root := range f.Roots(kind) {
			if !Within(f.models, root) {
				continue
			}
			if err := os.MkdirAll(root, 0o755); err != nil {
				return fmt.Errorf("making folder %s: %w", root, err)
			}
		}
	}
	return nil
}

// Kinds returns the names of all kinds in the order in which they were added.
func (f *Folders) Kinds() []string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return slices.Clone(f.order)
}

// Has reports whether a kind exists under exactly this name: legacy names are not kinds.
func (f *Folders) Has(kind string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.kinds[kind] != nil
}

// Roots returns the search folders of a kind in search order, or nil for an unknown kind. Legacy names work.
func (f *Folders) Roots(kind string) []string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if k := f.kinds[legacy(kind)]; k != nil {
		return slices.Clone(k.roots)
	}
	return nil
}

// Extensions returns the endings that files of a kind have, with their dots; empty when every file counts.
func (f *Folders) Extensions(kind string) []string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if k := f.kinds[legacy(kind)]; k != nil {
		return slices.Clone(k.exts)
	}
	return nil
}

// AddRoot adds a search folder to a kind, at the front when first is set, else at the end. A folder that is already
// there only moves when first is set. An unknown kind becomes a new kind that accepts every file.
func (f *Folders) AddRoot(name, folder string, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.kind(legacy(name))
	at := slices.Index(k.roots, folder)
	switch {
	case at >= 0 && !first:
		return
	case at >= 0:
		k.roots = slices.Delete(k.roots, at, at+1)
		k.roots = slices.Insert(k.roots, 0, folder)
	case first:
		k.roots = slices.Insert(k.roots, 0, folder)
	default:
		k.roots = append(k.roots, folder)
	}
	delete(f.cache, legacy(name))
}

// AddFile lists one file under a given name in a kind, in any folder. It takes precedence over a file of that name in the
// search folders.
func (f *Folders) AddFile(name, file, path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.kind(legacy(name))
	if k.extra == nil {
		k.extra = map[string]string{}
	}
	k.extra[file] = path
	delete(f.cache, legacy(name))
}

// kind returns a row of the table, which it makes if it is missing; f.mu is held.
func (f *Folders) kind(name string) *kind {
	k := f.kinds[name]
	if k == nil {
		k = &kind{}
		f.kinds[name] = k
		f.order = append(f.order, name)
	}
	return k
}
