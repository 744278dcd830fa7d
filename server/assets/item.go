package assets

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/auth"
	"comfygo/internal/pyjson"
	"comfygo/server/disk"
	"comfygo/server/reply"
)

// HeadAssetHash reports whether there is content with a hash.
func (s *Service) HeadAssetHash(c echo.Context) error {
	hash, ok := assets.CleanHash(reply.Param(c, "hash"))
	if !ok {
		return s.assetError(c, http.StatusBadRequest, "INVALID_HASH", "hash must be like 'blake3:<hex>'", nil)
	}
	known, err := s.Library.Knows(c.Request().Context(), hash)
	if err != nil {
		return err
	}
	if !known {
		return s.Reply.Empty(c, http.StatusNotFound)
	}
	return s.Reply.Empty(c, http.StatusOK)
}

// sendAsset answers with a reference; created is included unless it is nil.
func (s *Service) sendAsset(c echo.Context, status int, it assets.Item, created *bool) error {
	list, err := s.assetObjects(c, []assets.Item{it})
	if err != nil {
		return err
	}
	out := list[0].(*pyjson.Object)
	if created != nil {
		out.Set("created_new", *created)
	}
	return s.Reply.JSON(c, status, out)
}

// GetAsset describes one reference.
func (s *Service) GetAsset(c echo.Context) error {
	owner, err := s.Assets.Owner(c)
	if err != nil {
		return err
	}
	it, err := s.Library.Get(c.Request().Context(), assetID(c), owner)
	if err != nil {
		return s.assetProblem(c, err, idDetails(c))
	}
	return s.sendAsset(c, http.StatusOK, it, nil)
}

// PutAsset changes name, metadata and preview.
func (s *Service) PutAsset(c echo.Context) error {
	owner, err := s.Assets.Owner(c)
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
	it, err := s.Library.Update(c.Request().Context(), assetID(c), owner, change)
	if err != nil {
		return s.assetProblem(c, err, idDetails(c))
	}
	return s.sendAsset(c, http.StatusOK, it, nil)
}

// DeleteAsset hides a reference.
func (s *Service) DeleteAsset(c echo.Context) error {
	owner, err := s.Assets.Owner(c)
	if err != nil {
		return err
	}
	if err := s.Library.Delete(c.Request().Context(), assetID(c), owner); err != nil {
		return s.assetProblem(c, err, nil)
	}
	s.Access.Note(c, auth.ActionDelete, auth.ResultOK, "asset "+assetID(c), "")
	return s.Reply.Empty(c, http.StatusNoContent)
}

// GetAssetContent sends the file.
func (s *Service) GetAssetContent(c echo.Context) error {
	owner, err := s.Assets.Owner(c)
	if err != nil {
		return err
	}
	d, err := s.Library.Download(c.Request().Context(), assetID(c), owner)
	if err != nil {
		return s.assetProblem(c, err, nil)
	}
	found, err := s.SendDownload(c, d)
	if err == nil && !found {
		return s.assetError(c, http.StatusNotFound, "FILE_NOT_FOUND", "Underlying file not found on disk.", nil)
	}
	return err
}

// SendDownload sends a file of the catalogue, or returns false if it is missing. Files that could run scripts in a browser
// are sent as attachments.
func (s *Service) SendDownload(c echo.Context, d assets.Download) (found bool, err error) {
	f, info, err := s.Disk.Open(d.Path)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	disposition, _ := reply.Query(c, "disposition")
	if disposition = strings.TrimSpace(strings.ToLower(disposition)); disposition != "inline" {
		disposition = "attachment"
	}
	h := c.Response().Header()
	contentType := cleanType(d.ContentType)
	if reply.IsDangerous(contentType) {
		h.Set(echo.HeaderVary, "Sec-Fetch-Dest")
		h.Set("Cache-Control", "no-store")
		if c.Request().Header.Get("Sec-Fetch-Dest") != "image" || contentType != "image/svg+xml" {
			contentType, disposition = reply.OctetStream, "attachment"
		}
	}
	name := strings.NewReplacer("\r", "", "\n", "").Replace(d.Name)
	h.Set(echo.HeaderContentType, contentType)
	h.Set(echo.HeaderContentDisposition, disposition+"; filename*=UTF-8''"+reply.QuotedPath(name))
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	return true, disk.SendOpened(c, f, info)
}

// cleanType returns an untrusted media type without parameters, or "" when it cannot be a header.
func cleanType(t string) string {
	t = reply.BareType(t)
	if t == "" || strings.Count(t, "/") != 1 || strings.IndexFunc(t, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return reply.OctetStream
	}
	return t
}

// PostAssetTags adds tags to a reference.
func (s *Service) PostAssetTags(c echo.Context) error {
	return s.changeAssetTags(c, "add", "added", "already_present")
}

// DeleteAssetTags takes tags off a reference.
func (s *Service) DeleteAssetTags(c echo.Context) error {
	return s.changeAssetTags(c, "remove", "removed", "not_present")
}

// changeAssetTags adds or removes tags; done and idle are how the answer calls what that did.
func (s *Service) changeAssetTags(c echo.Context, what, done, idle string) error {
	owner, err := s.Assets.Owner(c)
	if err != nil {
		return err
	}
	model, do := "TagsAdd", s.Library.AddTags
	if what == "remove" {
		model, do = "TagsRemove", s.Library.RemoveTags
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
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject(done, change.Done, idle, change.Idle, "total_tags", change.Total))
}
