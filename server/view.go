package server

import (
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/folders"
)

// getView returns a file of the input, output or temp folder: as it is, as a small preview, or one of its channels.
func (s *Server) getView(c echo.Context) error {
	given, ok := query(c, "filename")
	if !ok {
		return s.empty(c, http.StatusNotFound)
	}
	path, name, contentType, status, err := s.viewedOrAsset(c, given)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return s.empty(c, status)
	}
	if f, _, err := s.disk.open(path); err != nil {
		return s.empty(c, http.StatusNotFound)
	} else if err := f.Close(); err != nil {
		return err
	}
	channel, hasChannel := query(c, "channel")
	if preview, ok := query(c, "preview"); ok {
		return s.viewPreview(c, path, name, preview, channel)
	}
	if hasChannel && (channel == "rgb" || channel == "a") {
		return s.viewChannel(c, path, name, channel)
	}
	return s.viewFile(c, path, name, contentType)
}

// viewedOrAsset is viewed for names, and for hashes of assets, which also tell the content type.
func (s *Server) viewedOrAsset(c echo.Context, given string) (path, name, contentType string, status int, err error) {
	if strings.HasPrefix(given, "blake3:") {
		return s.viewedAsset(c, given)
	}
	path, name, status = s.viewed(c, given)
	return path, name, "", status, nil
}

// viewed finds the file that a request names; status is 200 when the name is allowed, though the file may not exist.
func (s *Server) viewed(c echo.Context, given string) (path, name string, status int) {
	name, kind := folders.SplitAnnotated(given)
	if name == "" || name[0] == '/' || strings.Contains(name, "..") || strings.ContainsRune(name, 0) {
		return "", "", http.StatusBadRequest
	}
	if kind == "" {
		kind = "output"
		if t, ok := query(c, "type"); ok {
			kind = t
		}
	}
	root, ok := s.folders(c).Dir(kind)
	if !ok {
		return "", "", http.StatusBadRequest
	}
	dir := root
	if sub, ok := query(c, "subfolder"); ok {
		if strings.ContainsRune(sub, 0) {
			return "", "", http.StatusBadRequest
		}
		dir = filepath.Join(root, sub)
		if filepath.IsAbs(sub) {
			dir = filepath.Clean(sub)
		}
		if !lexicallyWithin(root, dir) {
			return "", "", http.StatusForbidden
		}
	}
	name = name[strings.LastIndexByte(name, '/')+1:]
	path = filepath.Join(dir, name)
	if !folders.Within(root, path) { // a link to the outside
		return "", "", http.StatusForbidden
	}
	if s.owned() && !exists(path) {
		if sub, err := filepath.Rel(root, dir); err == nil {
			if shared, ok := s.sharedFile(c, kind, strings.TrimPrefix(sub, "."), name); ok {
				path = shared
			}
		}
	}
	return path, name, http.StatusOK
}

// viewFile returns a file as it is. What could run scripts in a browser is only for saving.
func (s *Server) viewFile(c echo.Context, path, name, contentType string) error {
	if contentType == "" {
		contentType = guessType(name)
	}
	if contentType == "" {
		contentType = octetStream
	}
	h := c.Response().Header()
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	disposition := `filename="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	if isDangerous(contentType) {
		h.Set(echo.HeaderVary, "Sec-Fetch-Dest")
		h.Set("Cache-Control", "no-store")
		// In an <img> an SVG runs nothing.
		if c.Request().Header.Get("Sec-Fetch-Dest") != "image" || bareType(contentType) != "image/svg+xml" {
			contentType = octetStream
			disposition = "attachment; " + disposition
		}
	}
	h.Set(echo.HeaderContentDisposition, disposition)
	h.Set(echo.HeaderContentType, contentType)
	return s.file(c, path)
}

// viewPreview returns a picture as WebP or JPEG. The parameter is FORMAT;QUALITY.
func (s *Server) viewPreview(c echo.Context, path, name, preview, channel string) error {
	parts := strings.Split(preview, ";")
	format := parts[0]
	if format != "jpeg" || strings.Contains(channel, "a") {
		format = "webp"
	}
	quality := 90
	if last := parts[len(parts)-1]; last != "" && digits(last) {
		n, err := strconv.Atoi(last)
		if err != nil || n > 100 {
			n = 100
		}
		quality = max(1, n)
	}
	data, err := s.withImage(c.Request().Context(), path, func(p picture) ([]byte, error) {
		return p.preview(format, quality, format == "jpeg" || channel == "rgb")
	})
	if err != nil {
		return err
	}
	return s.sendImage(c, name, "image/"+format, data)
}

func (s *Server) viewChannel(c echo.Context, path, name, channel string) error {
	data, err := s.withImage(c.Request().Context(), path, func(p picture) ([]byte, error) { return p.channel(channel) })
	if err != nil {
		return err
	}
	return s.sendImage(c, name, "image/png", data)
}

func (s *Server) sendImage(c echo.Context, name, contentType string, data []byte) error {
	c.Response().Header().Set(echo.HeaderContentDisposition, `filename="`+name+`"`)
	return s.body(c, http.StatusOK, contentType, data)
}
