package files

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

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
		if info, err := os.Stat(disk.Join(dir, e.Name())); err == nil && info.Mode().IsRegular() {
			files = append(files, file{e.Name(), info.ModTime()})
		}
	}
	slices.SortStableFunc(files, func(a, b file) int { return b.at.Compare(a.at) })
	names := make([]any, len(files))
	for i, f := range files {
		names[i] = f.name + " [" + kind + "]"
	}
	return s.Reply.JSON(c, http.StatusOK, names)
}
