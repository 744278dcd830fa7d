package models

import (
	"context"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/server/reply"
)

// Description describes a model file.
type Description struct {
	// Kinds lists the contents of the file, Family is the model family, "" if it is unknown.
	Kinds  []string
	Family string
	// Problem explains why the file cannot be used from its folder and what to do, or is "".
	Problem string
}

// describeLimit bounds the time for all files of a folder.
const describeLimit = 30 * time.Second

// GetModelDescriptions lists the model files of a kind with their descriptions and whether they can be used. Files of
// kinds that are not described have null for both.
func (s *Service) GetModelDescriptions(c echo.Context) error {
	kind := reply.Param(c, "folder")
	if !s.Folders.Has(kind) {
		return s.Reply.Empty(c, http.StatusNotFound)
	}
	var names, paths []string
	var sizes []int64
	for _, name := range s.Folders.List(kind) {
		path, ok := s.Folders.Find(kind, name)
		if !ok {
			continue
		}
		size := int64(0)
		if info, err := os.Stat(path); err == nil {
			size = info.Size()
		}
		names, paths, sizes = append(names, name), append(paths, path), append(sizes, size)
	}
	var found []Description
	if s.Describe != nil {
		ctx, stop := context.WithTimeout(c.Request().Context(), describeLimit)
		defer stop()
		found = s.Describe(ctx, kind, paths)
	}
	list := []any{}
	for i, name := range names {
		o := pyjson.NewObject("name", name, "size", sizes[i], "kinds", nil, "family", nil, "usable", nil, "problem", nil)
		if found != nil {
			d := found[i]
			o.Set("kinds", reply.Strs(d.Kinds)).Set("family", d.Family).Set("usable", d.Problem == "").Set("problem", d.Problem)
		}
		list = append(list, o)
	}
	return s.Reply.JSON(c, http.StatusOK, list)
}
