package users

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
	"comfygo/server/disk"
	"comfygo/server/reply"
)

// userFile finds the file that a path parameter names. Without an error and with a status above 0 the request is to be
// answered with that status.
func (s *Service) userFile(c echo.Context, name string, mustExist bool) (path string, status int, err error) {
	path, err = s.Users.path(c.Request(), reply.Param(c, name), false)
	switch {
	case err != nil:
		return "", 0, userTrouble(err)
	case path == "":
		return "", http.StatusForbidden, nil
	case mustExist && !disk.Exists(path):
		return "", http.StatusNotFound, nil
	}
	return path, 0, nil
}

// userTrouble returns upstream's answer for an unknown user, or a folder that cannot be made.
func userTrouble(err error) error { return reply.Trouble("looking for a user's file: %w", err) }

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
		"created", disk.ChangeTime(info).UnixMilli()), nil
}

// ListUserdata lists the files of a user's folder.
func (s *Service) ListUserdata(c echo.Context) error {
	dir, _ := reply.Query(c, "dir")
	if dir == "" {
		return s.Reply.Plain(c, http.StatusBadRequest, "Directory not provided")
	}
	path, err := s.Users.path(c.Request(), dir, false)
	if err != nil {
		return userTrouble(err)
	}
	if path == "" {
		return s.Reply.Plain(c, http.StatusForbidden, "Invalid directory")
	}
	if !disk.Exists(path) {
		return s.Reply.Plain(c, http.StatusNotFound, "Directory not found")
	}
	list := []any{}
	for _, file := range disk.VisibleFiles(path, reply.Flagged(c, "recurse")) {
		rel := strings.TrimPrefix(file, path+string(filepath.Separator))
		rel = filepath.ToSlash(rel)
		switch {
		case reply.Flagged(c, "full_info"):
			info, err := fileInfo(file, path)
			if err != nil {
				continue // gone in the meantime
			}
			list = append(list, info)
		case reply.Flagged(c, "split"):
			list = append(list, append([]any{rel}, reply.Strs(strings.Split(rel, "/"))...))
		default:
			list = append(list, rel)
		}
	}
	return s.Reply.JSON(c, http.StatusOK, list)
}

// ListUserdataV2 lists folders and files below a folder of the user.
func (s *Service) ListUserdataV2(c echo.Context) error {
	given, _ := reply.Query(c, "path")
	root, err := s.Users.dir(c.Request())
	if err != nil {
		return s.Reply.Plain(c, http.StatusForbidden, "Invalid user specified in request")
	}
	path := root
	if given != "" {
		// One decoding here, and one more in path while a % is left, as upstream.
		if path, err = s.Users.path(c.Request(), reply.Unquote(given), false); err != nil {
			return s.Reply.Plain(c, http.StatusForbidden, "Invalid user specified in request")
		}
	}
	if path == "" {
		return s.Reply.Plain(c, http.StatusBadRequest, "Invalid path requested")
	}
	info, err := os.Stat(path)
	switch {
	case err != nil && path == root:
		return s.Reply.JSON(c, http.StatusOK, []any{})
	case err != nil:
		return s.Reply.Plain(c, http.StatusNotFound, "Requested path not found")
	case !info.IsDir():
		return s.Reply.Plain(c, http.StatusBadRequest, "Requested path is not a directory")
	}
	return s.Reply.JSON(c, http.StatusOK, entriesBelow(root, path))
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
		if len(entries) >= disk.MaxListed {
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
				e.shown.Set("size", info.Size()).Set("modified", reply.Seconds(info.ModTime()))
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

// GetUserdata returns a file for saving; only user.css is for use in the page.
func (s *Service) GetUserdata(c echo.Context) error {
	path, status, err := s.userFile(c, "file", true)
	if err != nil {
		return err
	}
	if status > 0 {
		return s.Reply.Empty(c, status)
	}
	contentType, disposition := reply.GuessType(path), "attachment"
	if contentType == "" || reply.IsDangerous(contentType) {
		contentType = reply.OctetStream
	}
	if root, err := s.Users.dir(c.Request()); err == nil && path == filepath.Join(root, "user.css") {
		contentType, disposition = "text/css", "inline"
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, contentType)
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	h.Set(echo.HeaderContentDisposition, disposition)
	return s.Disk.Send(c, path)
}

// PostUserdata keeps the request's body as a file.
func (s *Service) PostUserdata(c echo.Context) error {
	path, status, err := s.userFile(c, "file", false)
	if err != nil {
		return err
	}
	if status > 0 {
		return s.Reply.Empty(c, status)
	}
	if overwrite, given := reply.Query(c, "overwrite"); given && overwrite == "false" && disk.Exists(path) {
		return s.Reply.Plain(c, http.StatusConflict, "File already exists")
	}
	body, err := s.Reply.ReadBody(c)
	if err != nil {
		return err
	}
	root, err := s.Users.dir(c.Request())
	if err != nil {
		return userTrouble(err)
	}
	quota, err := s.Access.Hold(c, root)
	if err != nil {
		return err
	}
	defer quota.Release()
	if err := quota.Room(int64(len(body)), path); err != nil {
		return err
	}
	if err := s.Users.makeParent(path); err != nil {
		return userTrouble(err)
	}
	err = s.Disk.Write(path, func(w io.Writer) error {
		_, err := w.Write(body)
		return err
	})
	switch {
	case err == nil:
	case disk.Full(err):
		return err
	default:
		s.Log.Warn("keeping a user's file", "error", err)
		return s.Reply.Empty(c, http.StatusBadRequest)
	}
	return s.userFileAnswer(c, path)
}

// userFileAnswer describes a file that was written: its path, or all its data with full_info.
func (s *Service) userFileAnswer(c echo.Context, path string) error {
	root, err := s.Users.dir(c.Request())
	if err != nil {
		return userTrouble(err)
	}
	info, err := fileInfo(path, root)
	if err != nil {
		return err
	}
	if reply.Flagged(c, "full_info") {
		return s.Reply.JSON(c, http.StatusOK, info)
	}
	return s.Reply.JSON(c, http.StatusOK, info.String("path"))
}

// DeleteUserdata removes a file.
func (s *Service) DeleteUserdata(c echo.Context) error {
	path, status, err := s.userFile(c, "file", true)
	if err != nil {
		return err
	}
	if status > 0 {
		return s.Reply.Empty(c, status)
	}
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return reply.Trouble("deleting a user's file: %s is a folder", filepath.Base(path))
	}
	if err := s.Disk.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.Access.Note(c, auth.ActionDelete, auth.ResultOK, "userdata/"+reply.Param(c, "file"), "")
	return s.Reply.Empty(c, http.StatusNoContent)
}

// MoveUserdata gives a file another name.
func (s *Service) MoveUserdata(c echo.Context) error {
	source, status, err := s.userFile(c, "file", true)
	if err != nil {
		return err
	}
	if status > 0 {
		return s.Reply.Empty(c, status)
	}
	dest, status, err := s.userFile(c, "dest", false)
	if err != nil {
		return err
	}
	if status > 0 {
		return s.Reply.Empty(c, status)
	}
	if overwrite, given := reply.Query(c, "overwrite"); given && overwrite == "false" && disk.Exists(dest) {
		return s.Reply.Plain(c, http.StatusConflict, "File already exists")
	}
	place := dest
	if info, err := os.Stat(dest); err == nil && info.IsDir() && source != dest { // into the folder, as shutil.move
		if place = filepath.Join(dest, filepath.Base(source)); disk.Exists(place) {
			return reply.Trouble("moving a user's file: %s is there already", filepath.Base(place))
		}
	}
	if source != place {
		root, err := s.Users.dir(c.Request())
		if err != nil {
			return userTrouble(err)
		}
		quota, err := s.Access.Hold(c, root)
		if err != nil {
			return err
		}
		defer quota.Release()
		if err := quota.FoldersFor(place); err != nil {
			return err
		}
		if err := s.Users.makeParent(place); err != nil {
			return userTrouble(err)
		}
		if err := s.Disk.Rename(source, place); err != nil {
			return reply.Trouble("moving a user's file: %w", err)
		}
	}
	return s.userFileAnswer(c, dest)
}
