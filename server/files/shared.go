package files

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/folders"
	"comfygo/queue"
	"comfygo/server/access"
)

// mostShared bounds how many shared jobs are searched for a file, the newest first.
const mostShared = 500

// sharedFile finds a shared result; false when no result has that name.
func (s *Service) sharedFile(c echo.Context, kind, subfolder, name string) (path string, ok bool) {
	if !s.Access.Owned() || !access.MayReadShared(s.Access.Who(c)) {
		return "", false
	}
	rows := s.Queue.In(queue.Scope{One: true, Owner: access.NoOwner, Shared: true}).History(0, -1)
	for i := len(rows) - 1; i >= max(0, len(rows)-mostShared); i-- {
		if !shows(rows[i].Text(), kind, subfolder, name) {
			continue
		}
		dirs := s.Folders.For(rows[i].Owner)
		root, known := dirs.Dir(kind)
		if !known {
			return "", false
		}
		path, err := folders.Join(root, filepath.Join(subfolder, name))
		if err != nil {
			continue
		}
		if s.Folders.Fetch(c.Request().Context(), path) != nil {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, true
		}
	}
	return "", false
}

// shows reports whether a row of history has a file among its results.
func shows(row []byte, kind, subfolder, name string) bool {
	if !strings.Contains(string(row), name) {
		return false
	}
	var v struct {
		Outputs map[string]map[string]json.RawMessage `json:"outputs"`
	}
	if json.Unmarshal(row, &v) != nil {
		return false
	}
	for _, node := range v.Outputs {
		for _, list := range node {
			var files []struct{ Filename, Subfolder, Type string }
			if json.Unmarshal(list, &files) != nil {
				continue
			}
			for _, f := range files {
				if f.Filename == name && f.Subfolder == subfolder && f.Type == kind {
					return true
				}
			}
		}
	}
	return false
}
