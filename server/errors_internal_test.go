package server

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/labstack/echo/v4"

	"comfygo/server/jobs"
	"comfygo/server/reply"
)

// TestDiskErrors: a full disk is answered with 507, in both APIs, and no answer has a path on the server.
func TestDiskErrors(t *testing.T) {
	t.Parallel()
	const secret = "/srv/secret/place"
	path := &fs.PathError{Op: "open", Path: secret + "/a.png", Err: syscall.ENAMETOOLONG}
	link := &os.LinkError{Op: "rename", Old: secret + "/a", New: secret + "/b", Err: syscall.EXDEV}
	full := &fs.PathError{Op: "write", Path: secret + "/a.png", Err: syscall.ENOSPC}
	s := &Server{log: slog.New(slog.DiscardHandler), handlers: handlers{reply: &reply.Service{}, jobs: &jobs.Service{}}}
	for name, c := range map[string]struct {
		err    error
		status int
		want   string
	}{
		"a name":             {path, 400, "file name too long"},
		"a wrapped name":     {reply.Trouble("keeping an upload: %w", fmt.Errorf("writing: %w", path)), 400, "keeping an upload: writing: open: file name too long"},
		"two errors":         {reply.Trouble("moving: %w", errors.Join(path, link)), 400, "rename: invalid cross-device link"},
		"full":               {full, 507, "disk_full"},
		"full in an upload":  {reply.Trouble("keeping an upload: %w", full), 507, "disk_full"},
		"a quota is used up": {errors.Join(link, &fs.PathError{Op: "write", Path: secret, Err: syscall.EDQUOT}), 507, "disk_full"},
	} {
		for _, at := range []string{"/upload/image", "/api/v2/assets"} {
			w := httptest.NewRecorder()
			s.handleError(c.err, echo.New().NewContext(httptest.NewRequest("POST", at, nil), w))
			status := c.status
			if v2 := strings.HasPrefix(at, "/api/v2"); v2 && status == 400 {
				continue // its own answers are the API's own matter, but for paths
			}
			if w.Code != status || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("%s at %s: %d %s, want %d with %q", name, at, w.Code, w.Body, status, c.want)
			}
			if strings.Contains(w.Body.String(), secret) {
				t.Errorf("%s at %s tells a path: %s", name, at, w.Body)
			}
		}
	}
}
