package server

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
)

// getFolderPaths returns the search folders of every kind of model file.
func (s *Server) getFolderPaths(c echo.Context) error {
	out := pyjson.NewObject()
	for _, kind := range s.cfg.Folders.Kinds() {
		out.Set(kind, strs(s.cfg.Folders.Roots(kind)))
	}
	return s.json(c, http.StatusOK, out)
}

// getInternalFiles lists the files of the input, output or temp folder, the newest first, as nodes name them.
func (s *Server) getInternalFiles(c echo.Context) error {
	kind := param(c, "directory_type")
	dir, ok := s.folders(c).Dir(kind)
	if !ok {
		return s.json(c, http.StatusBadRequest, pyjson.NewObject("error", "Invalid directory type"))
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("listing the %s folder: %w", kind, err)
	}
	type file struct {
		name string
		at   time.Time
	}
	var files []file
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if info, err := os.Stat(join(dir, e.Name())); err == nil && info.Mode().IsRegular() {
			files = append(files, file{e.Name(), info.ModTime()})
		}
	}
	slices.SortStableFunc(files, func(a, b file) int { return b.at.Compare(a.at) })
	names := make([]any, len(files))
	for i, f := range files {
		names[i] = f.name + " [" + kind + "]"
	}
	return s.json(c, http.StatusOK, names)
}
