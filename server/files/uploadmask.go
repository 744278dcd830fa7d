package files

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/folders"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/internal/webp"
	"comfygo/server/disk"
	"comfygo/server/images"
	"comfygo/server/reply"
)

// alphaEndings are those of files that can hold alpha. All but WebP files are written as PNG; readers go by the contents.
var alphaEndings = []string{".png", ".apng", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".ico", ".tga"}

// PostUploadMask keeps a picture of the folders with the alpha of the uploaded one.
func (s *Service) PostUploadMask(c echo.Context) error {
	return s.receive(c, func(u *upload, path string) error {
		ref, err := pyjson.UnmarshalObject([]byte(u.fields["original_ref"]))
		if err != nil {
			return reply.Trouble("reading original_ref: %w", err)
		}
		if !ref.Has("filename") {
			return reply.Trouble("reading original_ref: it has no filename")
		}
		original, ok := s.original(c, ref)
		if !ok {
			return nil // upstream answers as if the mask had been written
		}
		if ext := strings.ToLower(filepath.Ext(path)); !slices.Contains(alphaEndings, ext) {
			return reply.Trouble("keeping a mask: pictures with alpha cannot be kept as %q", ext)
		}
		return s.mask(c, original, u.staged, path)
	})
}

// original finds the picture that a mask is for; false when the reference leads nowhere or is not allowed.
func (s *Service) original(c echo.Context, ref *pyjson.Object) (string, bool) {
	name, kind := folders.SplitAnnotated(ref.String("filename"))
	if name == "" || name[0] == '/' || strings.Contains(name, "..") || strings.ContainsRune(name, 0) {
		return "", false
	}
	if kind == "" {
		kind = "output"
		if v, given := ref.Get("type"); given {
			kind, _ = v.(string)
		}
	}
	root, ok := s.Access.Folders(c).Dir(kind)
	if !ok {
		return "", false
	}
	path := filepath.Join(disk.Join(root, ref.String("subfolder")), name)
	if strings.ContainsRune(path, 0) || !disk.LexicallyWithin(root, path) || !folders.Within(root, path) {
		return "", false
	}
	info, err := os.Stat(path)
	return path, err == nil && info.Mode().IsRegular()
}

// mask writes the original with the mask's alpha; texts of a PNG original stay.
func (s *Service) mask(c echo.Context, original, maskFile, path string) error {
	ctx := c.Request().Context()
	var texts []imaging.Text
	if f, _, err := s.Disk.Open(original); err == nil {
		texts, err = imaging.ReadText(f)
		if err = errors.Join(err, f.Close()); err != nil {
			texts = nil // not PNG, or its texts are broken
		}
	}
	var alpha []byte
	var alphaSize [2]int
	_, err := s.Images.WithImage(ctx, maskFile, func(p images.Picture) ([]byte, error) {
		m := p.Nrgba()
		alphaSize = [2]int{m.Rect.Dx(), m.Rect.Dy()}
		for i := 3; i < len(m.Pix); i += 4 {
			alpha = append(alpha, m.Pix[i])
		}
		return nil, nil
	})
	if err != nil {
		return err
	}
	file, err := s.Images.WithImage(ctx, original, func(p images.Picture) ([]byte, error) {
		o := p.Nrgba()
		w, h := o.Rect.Dx(), o.Rect.Dy()
		if alphaSize != [2]int{w, h} {
			return nil, fmt.Errorf("the mask is %dx%d, the original %dx%d", alphaSize[0], alphaSize[1], w, h)
		}
		pix := bytes.Clone(o.Pix)
		for i, a := range alpha {
			pix[4*i+3] = a
		}
		var b bytes.Buffer
		if strings.EqualFold(filepath.Ext(path), ".webp") {
			const quality = 80 // Pillow's
			masked := &image.NRGBA{Pix: pix, Stride: 4 * w, Rect: image.Rect(0, 0, w, h)}
			err := webp.Encode(&b, masked, quality, true)
			return b.Bytes(), err
		}
		err := imaging.WritePNG(&b, pix, w, h, 4, imaging.PNGOptions{Level: 4, Text: texts})
		return b.Bytes(), err
	})
	if err != nil {
		return err
	}
	return s.Disk.Write(path, func(w io.Writer) error {
		_, err := w.Write(file)
		return err
	})
}
