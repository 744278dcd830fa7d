package server

import (
	"encoding/binary"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
)

// getEmbeddings lists the embeddings without their endings.
func (s *Server) getEmbeddings(c echo.Context) error {
	names := []any{}
	for _, n := range s.cfg.Folders.List("embeddings") {
		base, _ := splitExt(n)
		names = append(names, base)
	}
	return s.json(c, http.StatusOK, names)
}

// getModels lists the kinds of model files.
func (s *Server) getModels(c echo.Context) error {
	return s.json(c, http.StatusOK, strs(s.cfg.Folders.Kinds()))
}

// getModelsOf lists the files of a kind.
func (s *Server) getModelsOf(c echo.Context) error {
	kind := param(c, "folder")
	if !s.cfg.Folders.Has(kind) {
		return s.empty(c, http.StatusNotFound)
	}
	return s.json(c, http.StatusOK, strs(s.cfg.Folders.List(kind)))
}

// getViewMetadata returns the __metadata__ of a safetensors file.
func (s *Server) getViewMetadata(c echo.Context) error {
	name, _ := query(c, "filename")
	if !strings.HasSuffix(name, ".safetensors") || strings.ContainsRune(name, 0) {
		return s.empty(c, http.StatusNotFound)
	}
	path, ok := s.cfg.Folders.Find(param(c, "folder_name"), name)
	if !ok {
		return s.empty(c, http.StatusNotFound)
	}
	metadata, ok := safetensorsMetadata(path, 1<<20)
	if !ok {
		return s.empty(c, http.StatusNotFound)
	}
	return s.json(c, http.StatusOK, metadata)
}

// safetensorsMetadata reads the __metadata__ of a file whose header is at most limit bytes long.
func safetensorsMetadata(path string, limit int64) (any, bool) {
	f, _, err := openRegular(path, os.Stat, os.Open)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	header, err := safetensorsHeader(f, limit)
	if err != nil {
		return nil, false
	}
	o, err := pyjson.UnmarshalObject(header)
	if err != nil {
		return nil, false
	}
	return o.Get("__metadata__")
}

func safetensorsHeader(f *os.File, limit int64) ([]byte, error) {
	var size uint64
	if err := binary.Read(f, binary.LittleEndian, &size); err != nil {
		return nil, err
	}
	if size > uint64(limit) { //nolint:gosec // limit is a constant of ours
		return nil, io.ErrUnexpectedEOF
	}
	header := make([]byte, size)
	_, err := io.ReadFull(f, header)
	return header, err
}
