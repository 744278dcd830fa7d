package v2

import (
	"context"
	"net/http"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/nodes/pyjson"
)

const (
	typeKey   = "__type"
	assetType = "core/ASSET"
)

// resolve replaces the references to assets in a workflow by the names of files, as loader nodes take them.
func (a *API) resolve(c echo.Context, workflow *pyjson.Object) error {
	for id, v := range workflow.All() {
		node, _ := v.(*pyjson.Object)
		inputs := node.Object("inputs")
		for name, v := range inputs.All() {
			fresh, changed, err := a.resolved(c, v)
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
func (a *API) resolved(c echo.Context, v any) (fresh any, changed bool, err error) {
	switch v := v.(type) {
	case *pyjson.Object:
		if v.String(typeKey) == assetType {
			name, err := a.fileOf(c, v)
			return name, true, err
		}
		for key, inner := range v.All() {
			fresh, done, err := a.resolved(c, inner)
			if err != nil {
				return nil, false, err
			}
			if done {
				v.Set(key, fresh)
			}
		}
	case []any:
		for i, inner := range v {
			fresh, done, err := a.resolved(c, inner)
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
func (a *API) fileOf(c echo.Context, ref *pyjson.Object) (string, error) {
	id := ref.Object("info").String("id")
	u, err := uuid.Parse(id)
	if err != nil {
		return "", missing("a reference to an asset needs info.id, the asset's UUID")
	}
	lib, owner, err := a.caller(c)
	if err != nil {
		return "", err
	}
	name, err := loaderName(c.Request().Context(), lib, u.String(), owner)
	if _, is := assets.IsProblem(err); is {
		return "", missing("there is no asset %s", id)
	}
	if err == nil && name == "" {
		return "", missing("the file of asset %s is where no node can load it", id)
	}
	return name, err
}

// loaderName is the file of an asset as loader nodes take it: its path below the input folder, or below the output or temp
// folder with the folder's name behind it, or below its folder of models.
func loaderName(ctx context.Context, lib *assets.Library, id, owner string) (string, error) {
	d, err := lib.Download(ctx, id, owner)
	if err != nil {
		return "", err
	}
	namespace, name, ok := lib.Place(d.Path)
	switch {
	case ok && namespace == "input":
		return name, nil
	case ok && (namespace == "output" || namespace == "temp"):
		return name + " [" + namespace + "]", nil
	}
	return lib.LoaderPath(d.Path), nil
}
