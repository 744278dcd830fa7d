package models

import (
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/server/disk"
	"comfygo/server/reply"
)

// GetModelFolders lists the kinds of model files with their folders and endings.
func (s *Service) GetModelFolders(c echo.Context) error {
	list := []any{}
	for _, kind := range s.Folders.Kinds() {
		if kind == "configs" || kind == "custom_nodes" {
			continue
		}
		endings := s.Folders.Extensions(kind)
		slices.Sort(endings)
		list = append(list, pyjson.NewObject("name", kind, "folders", reply.Strs(s.Folders.Roots(kind)), "extensions", reply.Strs(endings)))
	}
	return s.Reply.JSON(c, http.StatusOK, list)
}

// GetModelFilesOf lists the weight files of a kind with their sizes and times.
func (s *Service) GetModelFilesOf(c echo.Context) error {
	kind := reply.Param(c, "folder")
	if !s.Folders.Has(kind) {
		return s.Reply.Empty(c, http.StatusNotFound)
	}
	list := []any{}
	for i, root := range s.Folders.Roots(kind) {
		for _, file := range visibleFilesFollowing(root) {
			if !slices.Contains(folders.ModelExtensions(), folders.Ext(file)) {
				continue
			}
			info, err := os.Stat(file)
			rel, relErr := filepath.Rel(root, file)
			if err != nil || relErr != nil {
				continue
			}
			list = append(list, pyjson.NewObject("name", filepath.ToSlash(rel), "pathIndex", int64(i), "modified", reply.Seconds(info.ModTime()),
				"created", reply.Seconds(disk.ChangeTime(info)), "size", info.Size()))
		}
	}
	return s.Reply.JSON(c, http.StatusOK, list)
}

// visibleFilesFollowing returns all files below a folder of models; links are followed, since users keep their models
// in other places, hidden names are left out.
func visibleFilesFollowing(root string) []string {
	var files []string
	var visit func(dir string, above []os.FileInfo)
	visit = func(dir string, above []os.FileInfo) {
		self, err := os.Stat(dir)
		if err != nil || slices.ContainsFunc(above, func(a os.FileInfo) bool { return os.SameFile(a, self) }) {
			return
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return
		}
		var below []string
		for _, e := range entries {
			full := filepath.Join(dir, e.Name())
			if strings.HasPrefix(e.Name(), ".") {
				continue
			}
			if info, err := os.Stat(full); err == nil && info.IsDir() {
				below = append(below, full)
			} else if err == nil && len(files) < disk.MaxListed {
				files = append(files, full)
			}
		}
		for _, b := range below {
			visit(b, append(slices.Clone(above), self))
		}
	}
	visit(root, nil)
	return files
}

// GetModelPreview returns the image that belongs to a model file, as WebP.
func (s *Service) GetModelPreview(c echo.Context) error {
	kind, name := reply.Param(c, "folder"), reply.Param(c, "*")
	if !s.Folders.Has(kind) {
		return s.Reply.Empty(c, http.StatusNotFound)
	}
	if name == "" || strings.ContainsRune(name, 0) {
		return s.Reply.Empty(c, http.StatusBadRequest)
	}
	v, ok := pyjson.ParseInt(reply.Param(c, "path_index"))
	if !ok {
		return s.Reply.Empty(c, http.StatusBadRequest)
	}
	index, _ := v.(int64)
	roots := s.Folders.Roots(kind)
	if _, small := v.(int64); !small || index < 0 || index >= int64(len(roots)) {
		return s.Reply.Empty(c, http.StatusNotFound)
	}
	root := roots[index]
	full := disk.Join(root, name)
	if !folders.Within(root, full) {
		return s.Reply.Empty(c, http.StatusForbidden)
	}
	file, embedded := modelPreview(full)
	if file == "" && embedded == nil {
		return s.Reply.Empty(c, http.StatusNotFound)
	}
	if file != "" && !folders.Within(root, file) {
		return s.Reply.Empty(c, http.StatusForbidden)
	}
	img, err := s.previewWebP(c, file, embedded)
	var unusable *reply.Unusable
	switch {
	case err == nil:
		return s.Reply.Body(c, http.StatusOK, "image/webp", img)
	case errors.As(err, &unusable), disk.NamedWrong(err): // upstream answers so for a file that is not an image, too
		return s.Reply.Empty(c, http.StatusNotFound)
	}
	return err
}

// modelPreview finds a model's image: an image file of the same name, or one inside the safetensors file.
func modelPreview(model string) (file string, embedded []byte) {
	base, _ := reply.SplitExt(model)
	entries, err := os.ReadDir(filepath.Dir(base))
	if err != nil {
		return "", nil
	}
	stem := filepath.Base(base)
	weights := ""
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), stem+".") {
			continue
		}
		name, _ := reply.SplitExt(e.Name())
		if (name == stem || name == stem+".preview") && folders.ContentType(e.Name()) == "image" && file == "" {
			file = filepath.Join(filepath.Dir(base), e.Name())
		}
		if weights == "" && strings.HasSuffix(e.Name(), ".safetensors") {
			weights = filepath.Join(filepath.Dir(base), e.Name())
		}
	}
	if file != "" || weights == "" {
		return file, nil
	}
	return "", coverImage(weights)
}

// coverImage is the first image that a safetensors file carries in its metadata.
func coverImage(file string) []byte {
	v, _ := safetensorsMetadata(file, 8<<20)
	metadata, _ := v.(*pyjson.Object)
	list, err := pyjson.Unmarshal([]byte(metadata.String("ssmd_cover_images")))
	if err != nil {
		return nil
	}
	images, _ := list.([]any)
	if len(images) == 0 {
		return nil
	}
	text, _ := images[0].(string)
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return data
}

// previewQuality is Pillow's own for WebP.
const previewQuality = 80

func (s *Service) previewWebP(c echo.Context, file string, embedded []byte) ([]byte, error) {
	if file != "" {
		return s.Images.Preview(c.Request().Context(), file, "webp", previewQuality, false)
	}
	return s.Images.PreviewData(c.Request().Context(), embedded, "webp", previewQuality, false)
}
