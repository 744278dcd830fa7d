package files

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/server/disk"
	"comfygo/server/reply"
)

// GetInternalFiles lists the files of the input, output or temp folder, the newest first, as nodes name them.
func (s *Service) GetInternalFiles(c echo.Context) error {
	kind := reply.Param(c, "directory_type")
	dir, ok := s.Access.Folders(c).Dir(kind)
	if !ok {
		return s.Reply.JSON(c, http.StatusBadRequest, pyjson.NewObject("error", "Invalid directory type"))
	}
	files, stored, err := s.Access.Folders(c).Listed(c.Request().Context(), kind)
	if err == nil && !stored {
		files, err = filesIn(dir)
	}
	if err != nil {
		return fmt.Errorf("listing the %s folder: %w", kind, err)
	}
	files = slices.DeleteFunc(files, func(o folders.Object) bool { return strings.HasPrefix(o.Name, ".") })
	slices.SortStableFunc(files, func(a, b folders.Object) int { return b.Modified.Compare(a.Modified) })
	names := make([]any, len(files))
	for i, f := range files {
		names[i] = f.Name + " [" + kind + "]"
	}
	return s.Reply.JSON(c, http.StatusOK, names)
}

// filesIn lists the files directly in a folder of this machine.
func filesIn(dir string) (files []folders.Object, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for _, e := range entries {
		if info, err := os.Stat(disk.Join(dir, e.Name())); err == nil && info.Mode().IsRegular() {
			files = append(files, folders.Object{Name: e.Name(), Modified: info.ModTime()})
		}
	}
	return files, nil
}
