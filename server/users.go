package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"comfygo/folders"
	"comfygo/internal/pyjson"
)

// users knows who has a folder of their own below the user folder.
type users struct {
	folders *folders.Folders
	disk    disk
	multi   bool
	// owner is the id of whose files a request deals with, where requests say who makes them; nil elsewhere.
	owner func(r *http.Request) string

	mu    sync.Mutex
	names *pyjson.Object // name by id
}

const (
	defaultUser      = "default"
	systemUserPrefix = "__"
)

func newUsers(f *folders.Folders, multi bool) (*users, error) {
	u := &users{folders: f, disk: newDisk(f), multi: multi, names: pyjson.NewObject()}
	if !multi {
		u.names.Set(defaultUser, defaultUser)
		return u, nil
	}
	data, err := os.ReadFile(u.file())
	if errors.Is(err, fs.ErrNotExist) {
		return u, nil
	}
	if err == nil {
		u.names, err = pyjson.UnmarshalObject(data)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the list of users: %w", err)
	}
	return u, nil
}

func (u *users) file() string { return filepath.Join(u.folders.User(), "users.json") }

// errUnknownUser is what a request gets that names nobody.
var errUnknownUser = errors.New("unknown user")

// of returns the user of a request.
func (u *users) of(r *http.Request) (string, error) {
	if u.owner != nil {
		if id := u.owner(r); id != "" {
			return id, nil
		}
		return defaultUser, nil
	}
	id := defaultUser
	if given, ok := r.Header["Comfy-User"]; ok && u.multi {
		id = given[0]
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if strings.HasPrefix(id, systemUserPrefix) || !u.names.Has(id) {
		return "", fmt.Errorf("%w: %s", errUnknownUser, id)
	}
	return id, nil
}

// dir returns the folder of the request's user.
func (u *users) dir(r *http.Request) (string, error) {
	id, err := u.of(r)
	if err != nil {
		return "", err
	}
	dir, ok := u.folders.UserDir(id)
	if !ok {
		return "", fmt.Errorf("%w: %s", errUnknownUser, id)
	}
	return dir, nil
}

// path returns where a file of the request's user lies, "" when the name leads out of the user's folder. A name that
// still has a % in it is decoded once more, as upstream does. With makeParent the folder it lies in is made.
func (u *users) path(r *http.Request, name string, makeParent bool) (string, error) {
	root, err := u.dir(r)
	if err != nil {
		return "", err
	}
	if strings.Contains(name, "%") {
		if decoded, err := url.PathUnescape(name); err == nil {
			name = decoded
		}
	}
	if strings.ContainsRune(name, 0) {
		return "", nil
	}
	path := join(root, name)
	if !lexicallyWithin(root, path) || !folders.Within(root, path) {
		return "", nil
	}
	if parent := filepath.Dir(path); makeParent && !exists(parent) {
		if err := u.disk.makeDir(parent); err != nil {
			return "", fmt.Errorf("making a folder of a user: %w", err)
		}
	}
	return path, nil
}

var notInID = regexp.MustCompile(`[^a-zA-Z0-9\-_]+`)

// add makes a user; complaint is what is wrong with the name, "" if nothing is.
func (u *users) add(name string) (id, complaint string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, taken := range u.names.All() {
		if taken == any(name) {
			return "", "Duplicate username.", nil
		}
	}
	name = strings.TrimSpace(name)
	id = notInID.ReplaceAllString(name, "-")
	switch {
	case name == "":
		return "", "username not provided", nil
	case strings.HasPrefix(name, systemUserPrefix), strings.HasPrefix(id, systemUserPrefix):
		return "", "System User prefix not allowed", nil
	}
	id += "_" + uuid.NewString()
	u.names.Set(id, name)
	text, err := pyjson.Marshal(u.names)
	if err == nil {
		err = os.MkdirAll(u.folders.User(), 0o755)
	}
	if err == nil {
		err = u.disk.write(u.file(), func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
	}
	if err != nil {
		u.names.Delete(id)
		return "", "", fmt.Errorf("adding a user: %w", err)
	}
	return id, "", nil
}

// getUsers lists the users, or says that there is only one.
func (s *Server) getUsers(c echo.Context) error {
	body := pyjson.NewObject("storage", "server")
	if s.cfg.MultiUser && !s.owned() {
		s.users.mu.Lock()
		body.Set("users", s.users.names.Clone())
		s.users.mu.Unlock()
		return s.json(c, http.StatusOK, body)
	}
	dir, err := s.users.dir(c.Request())
	if err != nil {
		return trouble("finding the user's folder: %w", err)
	}
	return s.json(c, http.StatusOK, body.Set("migrated", exists(dir)))
}

// postUsers makes a user and answers with the id.
func (s *Server) postUsers(c echo.Context) error {
	body, err := s.readJSON(c)
	if err != nil {
		return err
	}
	v, err := field(body, "username")
	if err != nil {
		return err
	}
	name, ok := v.(string)
	if !ok {
		return trouble("adding a user: username is a %s, not a string", pyjson.TypeName(v))
	}
	id, complaint, err := s.users.add(name)
	if err != nil {
		return err
	}
	if complaint != "" {
		return s.json(c, http.StatusBadRequest, pyjson.NewObject("error", complaint))
	}
	return s.json(c, http.StatusOK, id)
}
