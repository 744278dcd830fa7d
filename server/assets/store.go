package assets

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/internal/pyjson"
	"comfygo/server/reply"
)

// Scan starts the scan that compares the catalogue with the folders.
func (s *Store) Scan() {
	if s.Library != nil {
		s.Library.ScanAll()
	}
}

// Look starts a scan for new and missing files, unless one runs: a client that requests the lists of files is about
// to show them.
func (s *Store) Look() {
	if s.Library != nil {
		s.Library.Scan(assets.Everything())
	}
}

// Viewed finds a file with the content that a hash names.
func (s *Store) Viewed(c echo.Context, hash string) (path, name, contentType string, status int, err error) {
	if s.Library == nil {
		return "", "", "", http.StatusNotFound, nil
	}
	owner, err := s.Owner(c)
	if err != nil {
		return "", "", "", 0, err
	}
	d, err := s.Library.ByHash(c.Request().Context(), hash, owner)
	if _, is := assets.IsProblem(err); is {
		return "", "", "", http.StatusNotFound, nil
	}
	if err != nil {
		return "", "", "", 0, err
	}
	return d.Path, d.Name, cleanType(d.ContentType), http.StatusOK, nil
}

// Register enters a kept upload into the catalogue and adds to the answer what became of it. That it cannot be
// entered does not hurt the upload.
func (s *Store) Register(c echo.Context, answer *pyjson.Object, path string) {
	if s.Library == nil {
		return
	}
	tag := answer.String("type")
	if tag != "output" {
		tag = "input"
	}
	it, err := s.Library.Register(c.Request().Context(), path, assets.Entry{
		Name: answer.String("name"), Tags: append([]string{tag}, assets.KnownSubfolderTags(answer.String("subfolder"))...),
	})
	if err != nil {
		s.Log.Warn("registering an upload", "error", err)
		return
	}
	answer.Set("asset", pyjson.NewObject("id", it.ID, "name", it.Name, "asset_hash", reply.OrNull(it.Asset.Hash), "size", it.Asset.Size,
		"mime_type", reply.OrNull(it.Asset.MIME), "tags", it.Tags))
}
