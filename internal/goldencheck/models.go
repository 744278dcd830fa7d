package goldencheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"comfygo/engine/family"
	"comfygo/internal/golden"
	"comfygo/internal/recipe"
)

// manifest is a file that describes a checkpoint.
type manifest struct {
	path string
	name string // of the checkpoint
	file string // where it belongs below a models folder, slash-separated
}

// findManifests lists the manifests of a folder. A missing folder has none: goldens of networks are then not available, the
// others run.
func findManifests(dir string) ([]manifest, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for manifests: %w", err)
	}
	var list []manifest
	for _, e := range entries {
		if !strings.HasSuffix(strings.TrimSuffix(e.Name(), ".gz"), ".json") {
			continue
		}
		m, err := recipe.Load(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		list = append(list, manifest{path: filepath.Join(dir, e.Name()), name: m.Name, file: m.File()})
	}
	return list, nil
}

// spelling makes names comparable that differ in hyphens and underscores only.
func spelling(name string) string { return strings.ReplaceAll(name, "_", "-") }

// checkpoint makes the checkpoint that goldens call name (a manifest's name, or a file below a models folder) in the
// cache, unless it is there, and returns its path.
func (r *run) checkpoint(ctx context.Context, name string) (string, error) {
	if r.Runtime == nil {
		return "", unavailable("no runtime was given to run networks with")
	}
	i := slices.IndexFunc(r.manifests, func(m manifest) bool { return m.file == name || spelling(m.name) == spelling(name) })
	if i < 0 {
		return "", unavailable("no manifest in %s describes the checkpoint %s", r.Models, name)
	}
	return golden.Ensure(ctx, r.manifests[i].path)
}

// unmarshalObject decodes a JSON object; anything else leaves v as it is.
func unmarshalObject(b []byte, v any) error {
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	return json.Unmarshal(b, v)
}

// notBuilt marks an error of loading for a file of a family that the engine does not run. Other errors stay failures.
func notBuilt(err error) error {
	var unknown *family.UnknownError
	switch {
	case !errors.As(err, &unknown):
		return err
	case unknown.Family != "":
		return unavailable("the family %s is not built", unknown.Family)
	}
	return unavailable("%v", err)
}

// recipeName finds a recipe's name of three parts or more in a golden's JSON: "fwd/sd15/public/0".
var recipeName = regexp.MustCompile(`"(?:fwd|vae)/[\w.-]+/([\w.-]+)/`)

// recipeSet is the word that most names of a folder's recipes have in the third place: goldens that were recorded later have
// others. Goldens of modules leave their names out, so it is read off the other goldens of the folder.
func recipeSet(dir string) string {
	votes := map[string]int{}
	for _, sub := range []string{"forward", "vae"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			continue
		}
		for _, e := range entries {
			name, ok := strings.CutSuffix(strings.TrimSuffix(e.Name(), ".gz"), ".json")
			if !ok {
				continue
			}
			b, err := golden.ReadFile(filepath.Join(dir, sub, name+".json"))
			if m := recipeName.FindSubmatch(b); err == nil && m != nil {
				votes[string(m[1])]++
			}
		}
	}
	set := "public"
	for _, name := range slices.Sorted(maps.Keys(votes)) {
		if votes[name] > votes[set] {
			set = name
		}
	}
	return set
}
