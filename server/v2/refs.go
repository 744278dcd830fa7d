package v2

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/folders"
	"comfygo/internal/pyjson"
)

const (
	typeKey   = "__type"
	assetType = "core/ASSET"
)

// refs finds the files of the assets that workflows refer to.
type refs struct {
	caller  func(c echo.Context) (lib *assets.Library, owner string, err error)
	folders func(c echo.Context) *folders.Folders // that the job of a request will read from
}

// resolve replaces the references to assets in a workflow by the names of files, as loader nodes take them.
func (r refs) resolve(c echo.Context, workflow *pyjson.Object) error {
	for id, v := range workflow.All() {
		node, _ := v.(*pyjson.Object)
		inputs := node.Object("inputs")
		for name, v := range inputs.All() {
			fresh, changed, err := r.resolved(c, v)
			if err != nil {
				p, ok := err.(*Problem) //nolint:errorlint // resolved makes it
				if ok {
					p.Details = map[string]any{"node_id": id, "field": name}
				}
				return err
			}
			if changed {
				inputs.Set(name, fresh)
			}
		}
	}
	return nil
}

// resolved is a value with the references in it replaced.
func (r refs) resolved(c echo.Context, v any) (fresh any, changed bool, err error) {
	switch v := v.(type) {
	case *pyjson.Object:
		if v.String(typeKey) == assetType {
			name, err := r.fileOf(c, v)
			return name, true, err
		}
		for key, inner := range v.All() {
			fresh, done, err := r.resolved(c, inner)
			if err != nil {
				return nil, false, err
			}
			if done {
				v.Set(key, fresh)
			}
		}
	case []any:
		for i, inner := range v {
			fresh, done, err := r.resolved(c, inner)
			if err != nil {
				return nil, false, err
			}
			if done {
				v[i] = fresh
			}
		}
	}
	return v, false, nil
}

func missing(format string, args ...any) *Problem {
	return problem(http.StatusUnprocessableEntity, MissingAsset, format, args...)
}

// fileOf is the name under which loaders find the asset of a reference.
func (r refs) fileOf(c echo.Context, ref *pyjson.Object) (string, error) {
	id := ref.Object("info").String("id")
	u, err := uuid.Parse(id)
	if err != nil {
		return "", missing("a reference to an asset needs info.id, the asset's UUID")
	}
	lib, owner, err := r.caller(c)
	if err != nil {
		return "", err
	}
	d, err := lib.Download(c.Request().Context(), u.String(), owner)
	if _, is := assets.IsProblem(err); is {
		return "", missing("there is no asset %s", id)
	}
	if err != nil {
		return "", err
	}
	return loaderName(c.Request().Context(), lib, r.folders(c), d.Path)
}

// jobFolders are the folders that a request's job will read from.
func (a *API) jobFolders(c echo.Context) *folders.Folders {
	if a.cfg.JobOwner == nil {
		return a.cfg.Folders("")
	}
	return a.cfg.Folders(a.cfg.JobOwner(c))
}

// loaderName is a file as loader nodes take it: its path below the input folder, or below the output or temp folder with the
// folder's name behind it, or below its folder of models. A file that no loader reaches (another owner has the same bytes)
// is put into the input folder.
func loaderName(ctx context.Context, lib *assets.Library, dirs *folders.Folders, file string) (string, error) {
	for _, place := range []struct{ dir, mark string }{{dirs.Input(), ""}, {dirs.Output(), " [output]"}, {dirs.Temp(), " [temp]"}} {
		rel, err := filepath.Rel(place.dir, file)
		if err == nil && filepath.IsLocal(rel) && folders.Within(place.dir, file) {
			return filepath.ToSlash(rel) + place.mark, nil
		}
	}
	if namespace, _, stored := lib.Place(file); !stored || namespace == "models" {
		if name := lib.LoaderPath(file); name != "" {
			return name, nil
		}
	}
	name := filepath.Base(file)
	if err := folders.Share(file, dirs.Input()); err != nil {
		return "", fmt.Errorf("bringing an asset to its job: %w", err)
	}
	if err := dirs.Keep(ctx, filepath.Join(dirs.Input(), name)); err != nil {
		return "", fmt.Errorf("bringing an asset to its job: %w", err)
	}
	return name, nil
}
