package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/internal/pyjson"
)

// GuessType returns the media type of a file by its name, "" when it is unknown.
func GuessType(name string) string { return guessType(name) }

// scanAssets starts the scan that compares the catalogue with the folders.
func (s *Server) scanAssets() {
	if s.cfg.Assets != nil {
		s.cfg.Assets.ScanAll()
	}
}

// lookForFiles starts a scan for files that have come or gone, unless one runs: a client that asks for the lists of files is
// about to show them.
func (s *Server) lookForFiles() {
	if s.cfg.Assets != nil {
		s.cfg.Assets.Scan(assets.Everything())
	}
}

// viewedAsset finds a file with the content that a hash names.
func (s *Server) viewedAsset(c echo.Context, hash string) (path, name, contentType string, status int, err error) {
	if s.cfg.Assets == nil {
		return "", "", "", http.StatusNotFound, nil
	}
	owner, err := s.assetOwner(c)
	if err != nil {
		return "", "", "", 0, err
	}
	d, err := s.cfg.Assets.ByHash(c.Request().Context(), hash, owner)
	if _, is := assets.IsProblem(err); is {
		return "", "", "", http.StatusNotFound, nil
	}
	if err != nil {
		return "", "", "", 0, err
	}
	return d.Path, d.Name, cleanType(d.ContentType), http.StatusOK, nil
}

// registerUpload enters a kept upload into the catalogue and adds to the answer what became of it. That it cannot be
// entered does not hurt the upload.
func (s *Server) registerUpload(c echo.Context, reply *pyjson.Object, path string) {
	if s.cfg.Assets == nil {
		return
	}
	tag := reply.String("type")
	if tag != "output" {
		tag = "input"
	}
	it, err := s.cfg.Assets.Register(c.Request().Context(), path, assets.Entry{
		Name: reply.String("name"), Tags: append([]string{tag}, assets.KnownSubfolderTags(reply.String("subfolder"))...),
	})
	if err != nil {
		s.log.Warn("registering an upload", "error", err)
		return
	}
	reply.Set("asset", pyjson.NewObject("id", it.ID, "name", it.Name, "asset_hash", orNull(it.Asset.Hash), "size", it.Asset.Size,
		"mime_type", orNull(it.Asset.MIME), "tags", it.Tags))
}

// orNull is a text, or null for none.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
