package v2

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/internal/pyjson"
)

const (
	// pathKey is the field of a reference's metadata that holds the file_path of the client.
	pathKey = "file_path"
	// linkLifetime is the time that clients may rely on a url. It names the content endpoint, which stays.
	linkLifetime = time.Hour
)

// assetView is an asset as clients get it.
type assetView struct {
	ID           string  `json:"id"`
	Hash         *string `json:"hash"`
	SizeBytes    int64   `json:"size_bytes"`
	ContentType  string  `json:"content_type"`
	FilePath     *string `json:"file_path"`
	CreatedNew   *bool   `json:"created_new,omitempty"`
	CreatedAt    string  `json:"created_at"`
	URL          string  `json:"url"`
	URLExpiresAt string  `json:"url_expires_at"`
	ExpiresAt    *string `json:"expires_at"`
	JobID        *string `json:"job_id,omitempty"`
	// Tags are not in the contract, which takes them and never shows them.
	Tags []string `json:"tags"`
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// stamp is a time as clients get it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func stampOf(s assets.Stamp) string { return s.ISO() + "Z" }

// origin is the scheme and authority that the client has reached the server by.
func origin(c echo.Context) string {
	r := c.Request()
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: r.Host}).String()
}

func contentURL(c echo.Context, id string) string {
	return origin(c) + Prefix + "/assets/" + id + "/content"
}

func (a *API) assetView(c echo.Context, lib *assets.Library, it assets.Item) assetView {
	v := assetView{
		ID: it.ID, Hash: optional(it.Asset.Hash), SizeBytes: it.Asset.Size, ContentType: it.Asset.MIME,
		CreatedAt: stampOf(it.Created), URL: contentURL(c, it.ID), URLExpiresAt: stamp(time.Now().Add(linkLifetime)),
		JobID: optional(it.JobID), FilePath: optional(filePath(lib, it)), Tags: it.Tags,
	}
	if v.ContentType == "" {
		v.ContentType = octetStream
	}
	if v.Tags == nil {
		v.Tags = []string{}
	}
	return v
}

const octetStream = "application/octet-stream"

// filePath is the path that the client gave, or where the file lies below the storage folders, or its name.
func filePath(lib *assets.Library, it assets.Item) string {
	if given := it.User.String(pathKey); given != "" {
		return given
	}
	if it.Path != "" {
		if namespace, name, ok := lib.Place(it.Path); ok && namespace != "input" {
			return namespace + "/" + name
		} else if ok {
			return name
		}
	}
	return it.Name
}

// param is a path parameter, decoded.
func param(c echo.Context, name string) string {
	v := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return v
	}
	if decoded, err := url.PathUnescape(v); err == nil {
		return decoded
	}
	return v
}

// id returns the path parameter of that name; the problem is the one of an unknown resource if it is not a
// UUID.
func id(c echo.Context) (string, error) {
	given := param(c, "id")
	u, err := uuid.Parse(given)
	if err != nil || u.String() != strings.ToLower(given) {
		return "", problem(http.StatusNotFound, NotFound, "nothing has this id")
	}
	return u.String(), nil
}

// caller returns what every handler of assets needs: the library and the owner.
func (a *API) caller(c echo.Context) (lib *assets.Library, owner string, err error) {
	if owner, err = a.owner(c); err != nil {
		return nil, "", err
	}
	lib, err = a.cfg.Library()
	return lib, owner, err
}

// assetError turns the catalogue's problems into the API's.
func assetError(err error) error {
	p, ok := assets.IsProblem(err)
	if !ok {
		return err
	}
	switch p.Kind {
	case assets.NotFound, assets.NoFile:
		return problem(http.StatusNotFound, NotFound, "there is no such asset")
	case assets.Forbidden:
		return problem(http.StatusForbidden, Forbidden, "%s", p.Message)
	case assets.HashMismatch:
		return problem(http.StatusConflict, HashMismatch, "%s", p.Message)
	case assets.InvalidCursor:
		return problem(http.StatusUnprocessableEntity, InvalidCursor, "%s", p.Message)
	}
	return invalid("%s", p.Message)
}

// getAsset answers with an asset. Statuses: 200, 404.
func (a *API) getAsset(c echo.Context) error {
	lib, owner, err := a.caller(c)
	if err != nil {
		return err
	}
	id, err := id(c)
	if err != nil {
		return err
	}
	it, err := lib.Get(c.Request().Context(), id, owner)
	if err != nil {
		return assetError(err)
	}
	return send(c, http.StatusOK, a.assetView(c, lib, it))
}

// deleteAsset drops an asset's record; its bytes stay. Statuses: 204, 403, 404.
func (a *API) deleteAsset(c echo.Context) error {
	lib, owner, err := a.caller(c)
	if err != nil {
		return err
	}
	id, err := id(c)
	if err != nil {
		return err
	}
	if err := lib.Delete(c.Request().Context(), id, owner); err != nil {
		return assetError(err)
	}
	return c.NoContent(http.StatusNoContent)
}

// getContent answers with an asset's bytes. Statuses: 200, 206, 304, 404, 416.
func (a *API) getContent(c echo.Context) error {
	lib, owner, err := a.caller(c)
	if err != nil {
		return err
	}
	id, err := id(c)
	if err != nil {
		return err
	}
	d, err := lib.Download(c.Request().Context(), id, owner)
	if err != nil {
		return assetError(err)
	}
	found, err := a.cfg.SendFile(c, d)
	if err == nil && !found {
		return problem(http.StatusNotFound, NotFound, "the asset's file is gone")
	}
	return err
}

// headByHash reports whether the caller may make an asset of known bytes. Statuses: 200, 404.
func (a *API) headByHash(c echo.Context) error {
	lib, owner, err := a.caller(c)
	if err != nil {
		return err
	}
	hash, ok := assets.CleanHash(param(c, "hash"))
	if ok {
		ok, err = usable(c.Request().Context(), lib, hash, owner)
	}
	switch {
	case err != nil:
		return err
	case !ok:
		return problem(http.StatusNotFound, BlobNotFound, "no known bytes have this hash")
	}
	return c.NoContent(http.StatusOK)
}

// usable reports whether there are bytes with a hash that the owner sees.
func usable(ctx context.Context, lib *assets.Library, hash, owner string) (bool, error) {
	_, err := lib.ByHash(ctx, hash, owner)
	if _, is := assets.IsProblem(err); is {
		return false, nil
	}
	return err == nil, err
}

// postFromHash makes an asset of known bytes. Statuses: 200 when there is the very same asset, 201, 404, 422.
func (a *API) postFromHash(c echo.Context) error {
	lib, owner, err := a.caller(c)
	if err != nil {
		return err
	}
	body, err := a.object(c)
	if err != nil {
		return err
	}
	text, problem422 := texts(body, "hash", pathKey)
	if problem422 != nil {
		return problem422
	}
	tags, err := tagList(body)
	if err != nil {
		return err
	}
	if err := retention(body); err != nil {
		return err
	}
	hash, ok := assets.CleanHash(text["hash"])
	if !ok {
		return invalid("hash must be blake3: and 64 hexadecimal digits")
	}
	ctx := c.Request().Context()
	if ok, err := usable(ctx, lib, hash, owner); err != nil || !ok {
		if err != nil {
			return err
		}
		return problem(http.StatusNotFound, BlobNotFound, "no known bytes have this hash")
	}
	status := http.StatusOK
	it, ok, err := sameAsset(ctx, lib, hash, owner, text[pathKey])
	if err == nil && !ok {
		status = http.StatusCreated
		it, err = lib.FromHash(ctx, hash, entry(owner, text[pathKey], "", tags))
	}
	if err != nil {
		return assetError(err)
	}
	v, fresh := a.assetView(c, lib, it), false
	v.CreatedNew = &fresh
	return send(c, status, v)
}

// sameAsset looks for an asset of the owner with the same bytes and the same path.
func sameAsset(ctx context.Context, lib *assets.Library, hash, owner, path string) (assets.Item, bool, error) {
	if path == "" {
		return assets.Item{}, false, nil
	}
	list, err := lib.List(ctx, assets.Page{
		Filter: assets.Filter{Owner: owner, Metadata: pyjson.NewObject(pathKey, path)}, Sort: "created_at", Limit: 100,
	})
	if err != nil {
		return assets.Item{}, false, err
	}
	for _, it := range list.Items {
		if it.Asset.Hash == hash && it.Owner == owner {
			return it, true, nil
		}
	}
	return assets.Item{}, false, nil
}

// entry is the reference to be made for a file_path.
func entry(owner, path, contentType string, tags []string) assets.Entry {
	e := assets.Entry{Owner: owner, Name: path, MIME: contentType, Tags: tags, User: pyjson.NewObject()}
	if path != "" {
		e.User.Set(pathKey, path)
	}
	return e
}
