package models

import (
	"encoding/binary"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/server/disk"
	"comfygo/server/reply"
)

// GetEmbeddings lists the embeddings without their endings.
func (s *Service) GetEmbeddings(c echo.Context) error {
	names := []any{}
	for _, n := range s.Folders.List("embeddings") {
		base, _ := reply.SplitExt(n)
		names = append(names, base)
	}
	return s.Reply.JSON(c, http.StatusOK, names)
}

// GetModels lists the kinds of model files.
func (s *Service) GetModels(c echo.Context) error {
	return s.Reply.JSON(c, http.StatusOK, reply.Strs(s.Folders.Kinds()))
}

// GetModelsOf lists the files of a kind.
func (s *Service) GetModelsOf(c echo.Context) error {
	kind := reply.Param(c, "folder")
	if !s.Folders.Has(kind) {
		return s.Reply.Empty(c, http.StatusNotFound)
	}
	return s.Reply.JSON(c, http.StatusOK, reply.Strs(s.Folders.List(kind)))
}

// GetViewMetadata returns the __metadata__ of a safetensors file.
func (s *Service) GetViewMetadata(c echo.Context) error {
	name, _ := reply.Query(c, "filename")
	if !strings.HasSuffix(name, ".safetensors") || strings.ContainsRune(name, 0) {
		return s.Reply.Empty(c, http.StatusNotFound)
	}
	path, ok := s.Folders.Find(reply.Param(c, "folder_name"), name)
	if !ok {
		return s.Reply.Empty(c, http.StatusNotFound)
	}
	metadata, ok := safetensorsMetadata(path, 1<<20)
	if !ok {
		return s.Reply.Empty(c, http.StatusNotFound)
	}
	return s.Reply.JSON(c, http.StatusOK, metadata)
}

// safetensorsMetadata reads the __metadata__ of a file with a header of at most limit bytes.
func safetensorsMetadata(path string, limit int64) (any, bool) {
	f, _, err := disk.OpenRegular(path, os.Stat, os.Open)
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
