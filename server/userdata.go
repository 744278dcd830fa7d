package server

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/folders"
	"comfygo/internal/pyjson"
)

// userFile finds the file that a path parameter names. Without an error and with a status above 0 the request is to be
// answered with that status.
func (s *Server) userFile(c echo.Context, name string, mustExist bool) (path string, status int, err error) {
	path, err = s.users.path(c.Request(), param(c, name), true)
	switch {
	case err != nil:
		return "", 0, userTrouble(err)
	case path == "":
		return "", http.StatusForbidden, nil
	case mustExist && !exists(path):
		return "", http.StatusNotFound, nil
	}
	return path, 0, nil
}

// userTrouble is what upstream answers for a user that it does not know, or a folder that cannot be made.
func userTrouble(err error) error { return trouble("looking for a user's file: %w", err) }

// fileInfo describes a file as upstream does.
func fileInfo(path, root string) (*pyjson.Object, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(root, path)
	if err != nil {
		return nil, err
	}
	return pyjson.NewObject("path", filepath.ToSlash(rel), "size", info.Size(), "modified", info.ModTime().UnixMilli(),
		"created", changeTime(info).UnixMilli()), nil
}

// flagged reports whether a query parameter is "true", in any case of letters.
func flagged(c echo.Context, name string) bool {
	v, _ := query(c, name)
	return strings.EqualFold(v, "true")
}

// listUserdata lists the files of a user's folder.
func (s *Server) listUserdata(c echo.Context) error {
	dir, _ := query(c, "dir")
	if dir == "" {
		return s.plain(c, http.StatusBadRequest, "Directory not provided")
	}
	path, err := s.users.path(c.Request(), dir, true)
	if err != nil {
		return userTrouble(err)
	}
	if path == "" {
		return s.plain(c, http.StatusForbidden, "Invalid directory")
	}
	if !exists(path) {
		return s.plain(c, http.StatusNotFound, "Directory not found")
	}
	list := []any{}
	for _, file := range visibleFiles(path, flagged(c, "recurse")) {
		rel := strings.TrimPrefix(file, path+string(filepath.Separator))
		rel = filepath.ToSlash(rel)
		switch {
		case flagged(c, "full_info"):
			info, err := fileInfo(file, path)
			if err != nil {
				continue // gone in the meantime
			}
			list = append(list, info)
		case flagged(c, "split"):
			list = append(list, append([]any{rel}, strs(strings.Split(rel, "/"))...))
		default:
			list = append(list, rel)
		}
	}
	return s.json(c, http.StatusOK, list)
}

// maxListed bounds a listing.
const maxListed = 100000

// visibleFiles returns the files of a folder, those below it too with recurse; hidden ones are left out, links are
// followed as long as they stay inside.
func visibleFiles(dir string, recurse bool) []string {
	var files []string
	var visit func(at string, depth int)
	visit = func(at string, depth int) {
		entries, err := os.ReadDir(at)
		if err != nil {
			return
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") || len(files) >= maxListed {
				continue
			}
			full := filepath.Join(at, e.Name())
			if e.Type()&fs.ModeSymlink != 0 && !folders.Within(dir, full) {
				continue
			}
			info, err := os.Stat(full)
			switch {
			case err != nil:
			case info.Mode().IsRegular():
				files = append(files, full)
			case info.IsDir() && recurse && e.Type()&fs.ModeSymlink == 0 && depth < 64:
				visit(full, depth+1)
			}
		}
	}
	visit(dir, 0)
	return files
}

// listUserdataV2 lists folders and files below a folder of the user.
func (s *Server) listUserdataV2(c echo.Context) error {
	given, _ := query(c, "path")
	root, err := s.users.dir(c.Request())
	if err != nil {
		return s.plain(c, http.StatusForbidden, "Invalid user specified in request")
	}
	path := root
	if given != "" {
		// One decoding here, and one more in path while a % is left, as upstream.
		if path, err = s.users.path(c.Request(), unquote(given), false); err != nil {
			return s.plain(c, http.StatusForbidden, "Invalid user specified in request")
		}
	}
	if path == "" {
		return s.plain(c, http.StatusBadRequest, "Invalid path requested")
	}
	info, err := os.Stat(path)
	switch {
	case err != nil && path == root:
		return s.json(c, http.StatusOK, []any{})
	case err != nil:
		return s.plain(c, http.StatusNotFound, "Requested path not found")
	case !info.IsDir():
		return s.plain(c, http.StatusBadRequest, "Requested path is not a directory")
	}
	return s.json(c, http.StatusOK, entriesBelow(root, path))
}

type userEntry struct {
	isFile bool
	name   string
	shown  *pyjson.Object
}

func entriesBelow(root, path string) []any {
	var entries []userEntry
	_ = filepath.WalkDir(path, func(full string, d fs.DirEntry, err error) error {
		if err != nil || full == path {
			return nil //nolint:nilerr // what cannot be read is left out
		}
		if len(entries) >= maxListed {
			return fs.SkipAll
		}
		if d.Type()&fs.ModeSymlink != 0 && !folders.Within(root, full) {
			return nil
		}
		info, err := os.Stat(full)
		rel, relErr := filepath.Rel(root, full)
		if relErr != nil {
			return nil //nolint:nilerr // cannot happen below path
		}
		e := userEntry{
			isFile: err != nil || !info.IsDir(), name: d.Name(),
			shown: pyjson.NewObject("name", d.Name(), "path", filepath.ToSlash(rel), "type", "directory"),
		}
		if e.isFile {
			e.shown.Set("type", "file")
			if err == nil {
				e.shown.Set("size", info.Size()).Set("modified", seconds(info.ModTime()))
			}
		}
		entries = append(entries, e)
		return nil
	})
	slices.SortStableFunc(entries, func(a, b userEntry) int {
		if a.isFile != b.isFile {
			if a.isFile {
				return 1
			}
			return -1
		}
		return cmp.Compare(strings.ToLower(a.name), strings.ToLower(b.name))
	})
	out := make([]any, len(entries))
	for i, e := range entries {
		out[i] = e.shown
	}
	return out
}

// getUserdata returns a file for saving; only user.css is for use in the page.
func (s *Server) getUserdata(c echo.Context) error {
	path, status, err := s.userFile(c, "file", true)
	if err != nil {
		return err
	}
	if status > 0 {
		return s.empty(c, status)
	}
	contentType, disposition := guessType(path), "attachment"
	if contentType == "" || isDangerous(contentType) {
		contentType = octetStream
	}
	if root, err := s.users.dir(c.Request()); err == nil && path == filepath.Join(root, "user.css") {
		contentType, disposition = "text/css", "inline"
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, contentType)
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	h.Set(echo.HeaderContentDisposition, disposition)
	return s.file(c, path)
}

// postUserdata keeps the request's body as a file.
func (s *Server) postUserdata(c echo.Context) error {
	path, status, err := s.userFile(c, "file", false)
	if err != nil {
		return err
	}
	if status > 0 {
		return s.empty(c, status)
	}
	if overwrite, given := query(c, "overwrite"); given && overwrite == "false" && exists(path) {
		return s.plain(c, http.StatusConflict, "File already exists")
	}
	body, err := s.readBody(c)
	if err != nil {
		return err
	}
	err = s.disk.write(path, func(w io.Writer) error {
		_, err := w.Write(body)
		return err
	})
	if err != nil {
		s.log.Warn("keeping a user's file", "error", err)
		return s.empty(c, http.StatusBadRequest)
	}
	return s.userFileAnswer(c, path)
}

// userFileAnswer tells about a file that was written: its path, or all about it with full_info.
func (s *Server) userFileAnswer(c echo.Context, path string) error {
	root, err := s.users.dir(c.Request())
	if err != nil {
		return userTrouble(err)
	}
	info, err := fileInfo(path, root)
	if err != nil {
		return err
	}
	if flagged(c, "full_info") {
		return s.json(c, http.StatusOK, info)
	}
	return s.json(c, http.StatusOK, info.String("path"))
}

// deleteUserdata removes a file.
func (s *Server) deleteUserdata(c echo.Context) error {
	path, status, err := s.userFile(c, "file", true)
	if err != nil {
		return err
	}
	if status > 0 {
		return s.empty(c, status)
	}
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return trouble("deleting a user's file: %s is a folder", filepath.Base(path))
	}
	if err := s.disk.remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.note(c, auth.ActionDelete, auth.ResultOK, "userdata/"+param(c, "file"), "")
	return s.empty(c, http.StatusNoContent)
}

// moveUserdata gives a file another name.
func (s *Server) moveUserdata(c echo.Context) error {
	source, status, err := s.userFile(c, "file", true)
	if err != nil {
		return err
	}
	if status > 0 {
		return s.empty(c, status)
	}
	dest, status, err := s.userFile(c, "dest", false)
	if err != nil {
		return err
	}
	if status > 0 {
		return s.empty(c, status)
	}
	if overwrite, given := query(c, "overwrite"); given && overwrite == "false" && exists(dest) {
		return s.plain(c, http.StatusConflict, "File already exists")
	}
	place := dest
	if info, err := os.Stat(dest); err == nil && info.IsDir() && source != dest { // into the folder, as shutil.move
		if place = filepath.Join(dest, filepath.Base(source)); exists(place) {
			return trouble("moving a user's file: %s is there already", filepath.Base(place))
		}
	}
	if source != place {
		if err := s.disk.rename(source, place); err != nil {
			return trouble("moving a user's file: %w", err)
		}
	}
	return s.userFileAnswer(c, dest)
}
