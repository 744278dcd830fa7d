package users

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
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/server/disk"
	"comfygo/server/reply"
)

// Store knows the users with a folder of their own below the user folder.
type Store struct {
	folders *folders.Folders
	disk    disk.Disk
	multi   bool
	// Owner returns the id of the owner of the files that a request accesses, or nil if requests are not authenticated.
	Owner func(r *http.Request) string

	// Turns serializes changes with those of other servers on the same user folder.
	Turns *disk.Turns

	mu    sync.Mutex
	names *pyjson.Object // name by id
	read  time.Time      // when the file that they are from was written
}

const (
	defaultUser      = "default"
	systemUserPrefix = "__"
)

// NewStore reads the list of users; without multi there is one, named default.
func NewStore(f *folders.Folders, multi bool) (*Store, error) {
	u := &Store{folders: f, disk: disk.New(f), multi: multi, names: pyjson.NewObject(), Turns: &disk.Turns{Folders: f}}
	if !multi {
		u.names.Set(defaultUser, defaultUser)
		return u, nil
	}
	if err := u.refresh(); err != nil {
		return nil, err
	}
	return u, nil
}

// refresh reads the list when another server has changed it. The lock is held, or the store is not shared yet.
func (u *Store) refresh() error {
	info, err := os.Stat(u.file())
	if errors.Is(err, fs.ErrNotExist) || err == nil && (!u.multi || info.ModTime().Equal(u.read)) {
		return nil
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(u.file())
	}
	names := u.names
	if err == nil {
		names, err = pyjson.UnmarshalObject(data)
	}
	if err != nil {
		return fmt.Errorf("reading the list of users: %w", err)
	}
	u.names, u.read = names, info.ModTime()
	return nil
}

func (u *Store) file() string { return filepath.Join(u.folders.User(), "users.json") }

// errUnknownUser answers a request that names no known user.
var errUnknownUser = errors.New("unknown user")

// Of returns the user of a request.
func (u *Store) Of(r *http.Request) (string, error) {
	if u.Owner != nil {
		if id := u.Owner(r); id != "" {
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
	if !u.names.Has(id) {
		if err := u.refresh(); err != nil {
			return "", err
		}
	}
	if strings.HasPrefix(id, systemUserPrefix) || !u.names.Has(id) {
		return "", fmt.Errorf("%w: %s", errUnknownUser, id)
	}
	return id, nil
}

// dir returns the folder of the request's user.
func (u *Store) dir(r *http.Request) (string, error) {
	id, err := u.Of(r)
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
func (u *Store) path(r *http.Request, name string, makeParent bool) (string, error) {
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
	path := disk.Join(root, name)
	if !disk.LexicallyWithin(root, path) || !folders.Within(root, path) {
		return "", nil
	}
	if makeParent {
		return path, u.makeParent(path)
	}
	return path, nil
}

// makeParent makes the folder of a file.
func (u *Store) makeParent(path string) error {
	if parent := filepath.Dir(path); !disk.Exists(parent) {
		if err := u.disk.MakeDir(parent); err != nil {
			return fmt.Errorf("making a folder of a user: %w", err)
		}
	}
	return nil
}

var notInID = regexp.MustCompile(`[^a-zA-Z0-9\-_]+`)

// add makes a user; complaint describes a fault of the name, or is "".
func (u *Store) add(name string) (id, complaint string, err error) {
	end, err := u.Turns.Take()
	if err != nil {
		return "", "", err
	}
	defer end()
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.refresh(); err != nil {
		return "", "", err
	}
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
		err = u.disk.Write(u.file(), func(w io.Writer) error {
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

// GetUsers lists the users, or reports that there is only one.
func (s *Service) GetUsers(c echo.Context) error {
	body := pyjson.NewObject("storage", "server")
	if s.MultiUser && !s.Access.Owned() {
		s.Users.mu.Lock()
		err := s.Users.refresh()
		body.Set("users", s.Users.names.Clone())
		s.Users.mu.Unlock()
		if err != nil {
			return err
		}
		return s.Reply.JSON(c, http.StatusOK, body)
	}
	dir, err := s.Users.dir(c.Request())
	if err != nil {
		return reply.Trouble("finding the user's folder: %w", err)
	}
	return s.Reply.JSON(c, http.StatusOK, body.Set("migrated", disk.Exists(dir)))
}

// PostUsers makes a user and answers with the id.
func (s *Service) PostUsers(c echo.Context) error {
	body, err := s.Reply.ReadJSON(c)
	if err != nil {
		return err
	}
	v, err := reply.Field(body, "username")
	if err != nil {
		return err
	}
	name, ok := v.(string)
	if !ok {
		return reply.Trouble("adding a user: username is a %s, not a string", pyjson.TypeName(v))
	}
	id, complaint, err := s.Users.add(name)
	if err != nil {
		return err
	}
	if complaint != "" {
		return s.Reply.JSON(c, http.StatusBadRequest, pyjson.NewObject("error", complaint))
	}
	return s.Reply.JSON(c, http.StatusOK, id)
}
