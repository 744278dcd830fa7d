package files

import (
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/folders"
	"comfygo/server/disk"
	"comfygo/server/images"
	"comfygo/server/reply"
)

// GetView returns a file of the input, output or temp folder: as it is, as a small preview, or one of its channels.
func (s *Service) GetView(c echo.Context) error {
	given, ok := reply.Query(c, "filename")
	if !ok {
		return s.Reply.Empty(c, http.StatusNotFound)
	}
	path, name, contentType, status, err := s.viewedOrAsset(c, given)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return s.Reply.Empty(c, status)
	}
	if f, _, err := s.Disk.Open(path); err != nil {
		return s.Reply.Empty(c, http.StatusNotFound)
	} else if err := f.Close(); err != nil {
		return err
	}
	channel, hasChannel := reply.Query(c, "channel")
	if preview, ok := reply.Query(c, "preview"); ok {
		return s.viewPreview(c, path, name, preview, channel)
	}
	if hasChannel && (channel == "rgb" || channel == "a") {
		return s.viewChannel(c, path, name, channel)
	}
	return s.viewFile(c, path, name, contentType)
}

// viewedOrAsset is viewed for names, and for hashes of assets, which also determine the content type.
func (s *Service) viewedOrAsset(c echo.Context, given string) (path, name, contentType string, status int, err error) {
	if strings.HasPrefix(given, "blake3:") {
		return s.Assets.Viewed(c, given)
	}
	path, name, status, err = s.viewed(c, given)
	return path, name, "", status, err
}

// viewed finds the file that a request names; status is 200 when the name is allowed, though the file may not exist.
func (s *Service) viewed(c echo.Context, given string) (path, name string, status int, err error) {
	name, kind := folders.SplitAnnotated(given)
	if name == "" || name[0] == '/' || strings.Contains(name, "..") || strings.ContainsRune(name, 0) {
		return "", "", http.StatusBadRequest, nil
	}
	if kind == "" {
		kind = "output"
		if t, ok := reply.Query(c, "type"); ok {
			kind = t
		}
	}
	root, ok := s.Access.Folders(c).Dir(kind)
	if !ok {
		return "", "", http.StatusBadRequest, nil
	}
	dir := root
	if sub, ok := reply.Query(c, "subfolder"); ok {
		if strings.ContainsRune(sub, 0) {
			return "", "", http.StatusBadRequest, nil
		}
		dir = filepath.Join(root, sub)
		if filepath.IsAbs(sub) {
			dir = filepath.Clean(sub)
		}
		if !disk.LexicallyWithin(root, dir) {
			return "", "", http.StatusForbidden, nil
		}
	}
	name = name[strings.LastIndexByte(name, '/')+1:]
	path = filepath.Join(dir, name)
	if !folders.Within(root, path) { // a link to the outside
		return "", "", http.StatusForbidden, nil
	}
	here, err := s.taken(c.Request().Context(), path)
	if err != nil {
		return "", "", 0, err
	}
	if s.Access.Owned() && !here {
		if sub, err := filepath.Rel(root, dir); err == nil {
			if shared, ok := s.sharedFile(c, kind, strings.TrimPrefix(sub, "."), name); ok {
				path, here = shared, true
			}
		}
	}
	if !here && s.Folders.HasRemote() {
		return "", "", http.StatusNotFound, nil
	}
	return path, name, http.StatusOK, nil
}

// viewFile returns a file as it is. What could run scripts in a browser is only for saving.
func (s *Service) viewFile(c echo.Context, path, name, contentType string) error {
	if contentType == "" {
		contentType = reply.GuessType(name)
	}
	if contentType == "" {
		contentType = reply.OctetStream
	}
	h := c.Response().Header()
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	disposition := reply.Filename(name)
	if reply.IsDangerous(contentType) {
		h.Set(echo.HeaderVary, "Sec-Fetch-Dest")
		h.Set("Cache-Control", "no-store")
		// In an <img> an SVG runs nothing.
		if c.Request().Header.Get("Sec-Fetch-Dest") != "image" || reply.BareType(contentType) != "image/svg+xml" {
			contentType = reply.OctetStream
			disposition = "attachment; " + disposition
		}
	}
	h.Set(echo.HeaderContentDisposition, disposition)
	h.Set(echo.HeaderContentType, contentType)
	return s.Disk.Send(c, path)
}

// viewPreview returns an image as WebP or JPEG. The parameter is FORMAT;QUALITY.
func (s *Service) viewPreview(c echo.Context, path, name, preview, channel string) error {
	parts := strings.Split(preview, ";")
	format := parts[0]
	if format != "jpeg" || strings.Contains(channel, "a") {
		format = "webp"
	}
	quality := 90
	if last := parts[len(parts)-1]; last != "" && disk.Digits(last) {
		n, err := strconv.Atoi(last)
		if err != nil || n > 100 {
			n = 100
		}
		quality = max(1, n)
	}
	data, err := s.Images.Preview(c.Request().Context(), path, format, quality, format == "jpeg" || channel == "rgb")
	if err != nil {
		return err
	}
	return s.sendImage(c, name, "image/"+format, data)
}

func (s *Service) viewChannel(c echo.Context, path, name, channel string) error {
	out := &images.Spill{}
	defer out.Close() //nolint:errcheck // a temporary file
	if err := s.Images.Channel(c.Request().Context(), out, path, channel); err != nil {
		return err
	}
	if data, small := out.Small(); small {
		return s.sendImage(c, name, "image/png", data)
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentDisposition, reply.Filename(name))
	h.Set(echo.HeaderContentType, "image/png")
	h.Set(echo.HeaderContentLength, strconv.FormatInt(out.Size(), 10))
	c.Response().WriteHeader(http.StatusOK)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	_, err := out.WriteTo(c.Response())
	return err
}

func (s *Service) sendImage(c echo.Context, name, contentType string, data []byte) error {
	c.Response().Header().Set(echo.HeaderContentDisposition, reply.Filename(name))
	return s.Reply.Body(c, http.StatusOK, contentType, data)
}
