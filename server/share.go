package server

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/queue"
)

// postJobShare lets others read a finished job and its results, or no longer. Body: shared, true unless it says false.
func (s *Server) postJobShare(c echo.Context) error {
	in := struct {
		Shared bool `json:"shared"`
	}{true}
	if c.Request().ContentLength != 0 {
		if complaint, err := s.command(c, &in); err != nil || complaint != "" {
			if err != nil {
				return err
			}
			return s.complain(c, http.StatusBadRequest, complaint)
		}
	}
	found, err := s.jobs(c).Share(param(c, "job_id"), in.Shared)
	if err != nil {
		return err
	}
	if !found {
		return s.complain(c, http.StatusNotFound, "Job not found")
	}
	return s.json(c, http.StatusOK, pyjson.NewObject("shared", in.Shared))
}

// mayReadShared reports whether somebody may read what others share: all but guests.
func mayReadShared(p auth.Principal) bool {
	return p.Role != auth.RoleGuest && p.Within != auth.RoleGuest
}

// listsShared reports whether an answer holds what others share: by a job's id always, in lists with ?shared=true, and
// for whoever cannot run anything, and so has nothing of one's own.
func (s *Server) listsShared(c echo.Context, p auth.Principal) bool {
	if !mayReadShared(p) {
		return false
	}
	for _, name := range []string{"prompt_id", "job_id", "id"} {
		if c.Param(name) != "" {
			return true
		}
	}
	return flagged(c, "shared") || s.gate.Allow(p, auth.Access{Method: http.MethodPost, Route: "/prompt"}) != nil
}

// mostShared bounds how many shared jobs are looked through for a file, the newest first.
const mostShared = 500

// sharedFile finds a result that somebody shares; false when there is none of that name.
func (s *Server) sharedFile(c echo.Context, kind, subfolder, name string) (path string, ok bool) {
	if !s.owned() || !mayReadShared(s.who(c)) {
		return "", false
	}
	rows := s.queue.In(queue.Scope{One: true, Owner: nobody, Shared: true}).History(0, -1)
	for i := len(rows) - 1; i >= max(0, len(rows)-mostShared); i-- {
		if !shows(rows[i].Text(), kind, subfolder, name) {
			continue
		}
		dirs := s.cfg.Folders.For(rows[i].Owner)
		root, known := dirs.Dir(kind)
		if !known {
			return "", false
		}
		path, err := folders.Join(root, filepath.Join(subfolder, name))
		if err != nil {
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
