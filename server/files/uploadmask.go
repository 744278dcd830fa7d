package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/folders"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/server/disk"
	"comfygo/server/reply"
)

// alphaEndings are those of files that can hold alpha. All but WebP files are written as PNG; readers go by the contents.
var alphaEndings = []string{".png", ".apng", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".ico", ".tga"}

// PostUploadMask keeps an image of the folders with the alpha of the uploaded one.
func (s *Service) PostUploadMask(c echo.Context) error {
	prepare := func(u *upload, path string) error {
		ref, err := pyjson.UnmarshalObject([]byte(u.fields["original_ref"]))
		if err != nil {
			return reply.Trouble("reading original_ref: %w", err)
		}
		if !ref.Has("filename") {
			return reply.Trouble("reading original_ref: it has no filename")
		}
		original, ok, err := s.original(c, ref)
		if err != nil {
			return err
		}
		if !ok {
			return nil // upstream answers as if the mask had been written
		}
		if ext := strings.ToLower(filepath.Ext(path)); !slices.Contains(alphaEndings, ext) {
			return reply.Trouble("keeping a mask: images with alpha cannot be kept as %q", ext)
		}
		return s.mask(c, u, original, path)
	}
	return s.receive(c, prepare, func(u *upload, path string, fresh bool) error {
		if u.masked == "" {
			return nil
		}
		return s.move(u.masked, path, fresh)
	})
}

// original finds the image that a mask is for; false when the reference leads nowhere or is not allowed.
func (s *Service) original(c echo.Context, ref *pyjson.Object) (path string, ok bool, err error) {
	name, kind := folders.SplitAnnotated(ref.String("filename"))
	if name == "" || name[0] == '/' || strings.Contains(name, "..") || strings.ContainsRune(name, 0) {
		return "", false, nil
	}
	if kind == "" {
		kind = "output"
		if v, given := ref.Get("type"); given {
			kind, _ = v.(string)
		}
	}
	root, ok := s.Access.Folders(c).Dir(kind)
	if !ok {
		return "", false, nil
	}
	path = filepath.Join(disk.Join(root, ref.String("subfolder")), name)
	if strings.ContainsRune(path, 0) || !disk.LexicallyWithin(root, path) || !folders.Within(root, path) {
		return "", false, nil
	}
	if err := s.Folders.Fetch(c.Request().Context(), path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return "", false, err
	}
	info, err := os.Stat(path)
	return path, err == nil && info.Mode().IsRegular(), nil //nolint:nilerr // it leads nowhere
}

// mask writes the original with the mask's alpha to a file beside the uploaded one; texts of a PNG original stay.
func (s *Service) mask(c echo.Context, u *upload, original, path string) error {
	var texts []imaging.Text
	if f, _, err := s.Disk.Open(original); err == nil {
		texts, err = imaging.ReadText(f)
		if err = errors.Join(err, f.Close()); err != nil {
			texts = nil // not PNG, or its texts are broken
		}
	}
	format := "png"
	if strings.EqualFold(filepath.Ext(path), ".webp") {
		format = "webp"
	}
	u.masked = u.staged + ".masked"
	return s.Disk.Write(u.masked, func(w io.Writer) error {
		return s.Images.Mask(c.Request().Context(), w, original, u.staged, format, texts)
	})
}
