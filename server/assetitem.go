package server

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/auth"
	"comfygo/internal/pyjson"
)

// headAssetHash tells whether there is content with a hash.
func (s *Server) headAssetHash(c echo.Context) error {
	hash, ok := assets.CleanHash(param(c, "hash"))
	if !ok {
		return s.assetError(c, http.StatusBadRequest, "INVALID_HASH", "hash must be like 'blake3:<hex>'", nil)
	}
	known, err := s.cfg.Assets.Knows(c.Request().Context(), hash)
	if err != nil {
		return err
	}
	if !known {
		return s.empty(c, http.StatusNotFound)
	}
	return s.empty(c, http.StatusOK)
}

// sendAsset answers with a reference; created is told unless it is nil.
func (s *Server) sendAsset(c echo.Context, status int, it assets.Item, created *bool) error {
	list, err := s.assetObjects(c, []assets.Item{it})
	if err != nil {
		return err
	}
	out := list[0].(*pyjson.Object)
	if created != nil {
		out.Set("created_new", *created)
	}
	return s.json(c, status, out)
}

func (s *Server) getAsset(c echo.Context) error {
	owner, err := s.assetOwner(c)
	if err != nil {
		return err
	}
	it, err := s.cfg.Assets.Get(c.Request().Context(), assetID(c), owner)
	if err != nil {
		return s.assetProblem(c, err, idDetails(c))
	}
	return s.sendAsset(c, http.StatusOK, it, nil)
}

// putAsset changes name, metadata and preview.
func (s *Server) putAsset(c echo.Context) error {
	owner, err := s.assetOwner(c)
	if err != nil {
		return err
	}
	f, ok, err := s.checkBody(c, "UpdateAssetBody")
	if err != nil || !ok {
		return err
	}
	change := assets.Change{Name: f.bodyText("name"), User: f.bodyObject("user_metadata", true), PreviewID: f.bodyText("preview_id")}
	if f.errs == nil && change == (assets.Change{}) {
		f.valueError("Provide at least one of: name, user_metadata, preview_id.", f.body)
	}
	if f.errs != nil {
		return s.invalid(c, f, "INVALID_BODY", "Validation failed.")
	}
	it, err := s.cfg.Assets.Update(c.Request().Context(), assetID(c), owner, change)
	if err != nil {
		return s.assetProblem(c, err, idDetails(c))
	}
	return s.sendAsset(c, http.StatusOK, it, nil)
}

// deleteAsset hides a reference.
func (s *Server) deleteAsset(c echo.Context) error {
	owner, err := s.assetOwner(c)
	if err != nil {
		return err
	}
	if err := s.cfg.Assets.Delete(c.Request().Context(), assetID(c), owner); err != nil {
		return s.assetProblem(c, err, nil)
	}
	s.note(c, auth.ActionDelete, auth.ResultOK, "asset "+assetID(c), "")
	return s.empty(c, http.StatusNoContent)
}

// getAssetContent sends the file.
func (s *Server) getAssetContent(c echo.Context) error {
	owner, err := s.assetOwner(c)
	if err != nil {
		return err
	}
	d, err := s.cfg.Assets.Download(c.Request().Context(), assetID(c), owner)
	if err != nil {
		return s.assetProblem(c, err, nil)
	}
	found, err := s.sendDownload(c, d)
	if err == nil && !found {
		return s.assetError(c, http.StatusNotFound, "FILE_NOT_FOUND", "Underlying file not found on disk.", nil)
	}
	return err
}

// sendDownload sends a file of the catalogue; false when it is gone. What could run scripts in a browser is only for saving.
func (s *Server) sendDownload(c echo.Context, d assets.Download) (found bool, err error) {
	f, info, err := s.disk.open(d.Path)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	disposition, _ := query(c, "disposition")
	if disposition = strings.TrimSpace(strings.ToLower(disposition)); disposition != "inline" {
		disposition = "attachment"
	}
	h := c.Response().Header()
	contentType := cleanType(d.ContentType)
	if isDangerous(contentType) {
		h.Set(echo.HeaderVary, "Sec-Fetch-Dest")
		h.Set("Cache-Control", "no-store")
		if c.Request().Header.Get("Sec-Fetch-Dest") != "image" || contentType != "image/svg+xml" {
			contentType, disposition = octetStream, "attachment"
		}
	}
	name := strings.NewReplacer("\r", "", "\n", "").Replace(d.Name)
	h.Set(echo.HeaderContentType, contentType)
	h.Set(echo.HeaderContentDisposition, disposition+"; filename*=UTF-8''"+quotedPath(name))
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	r := fileReply{c: c, h: h, size: info.Size(), modified: info.ModTime(), req: c.Request()}
	r.etag = fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size())
	if status := r.conditions(); status != 0 {
		return true, r.unsent(status)
	}
	return true, r.send(f)
}

// cleanType is a stranger's media type without parameters; what cannot be a header is no type.
func cleanType(t string) string {
	t = bareType(t)
	if t == "" || strings.Count(t, "/") != 1 || strings.IndexFunc(t, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return octetStream
	}
	return t
}

// quotedPath is Python's quote, which leaves slashes alone.
func quotedPath(s string) string { return strings.ReplaceAll(quoted(s), "%2F", "/") }

func (s *Server) postAssetTags(c echo.Context) error {
	return s.changeAssetTags(c, "add", "added", "already_present")
}

func (s *Server) deleteAssetTags(c echo.Context) error {
	return s.changeAssetTags(c, "remove", "removed", "not_present")
}

// changeAssetTags adds or removes tags; done and idle are how the answer calls what that did.
func (s *Server) changeAssetTags(c echo.Context, what, done, idle string) error {
	owner, err := s.assetOwner(c)
	if err != nil {
		return err
	}
	model, do := "TagsAdd", s.cfg.Assets.AddTags
	if what == "remove" {
		model, do = "TagsRemove", s.cfg.Assets.RemoveTags
	}
	f, ok, err := s.checkBody(c, model)
	if err != nil || !ok {
		return err
	}
	var tags []string
	if f.errs == nil {
		tags = f.bodyTags()
	}
	if f.errs != nil {
		return s.invalid(c, f, "INVALID_BODY", "Invalid JSON body for tags "+what+".")
	}
	change, err := do(c.Request().Context(), assetID(c), owner, tags)
	if err != nil {
		return s.assetProblem(c, err, idDetails(c))
	}
	return s.json(c, http.StatusOK, pyjson.NewObject(done, change.Done, idle, change.Idle, "total_tags", change.Total))
}
