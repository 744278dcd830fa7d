package packs

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"path"
	"path/filepath"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/server/reply"
)

// subgraphFiles returns the packs' subgraphs: id, description, and file.
func (s *Service) subgraphFiles(visit func(id string, about *pyjson.Object, file string) bool) {
	const source = "custom_node"
	for _, dir := range s.packDirs() {
		for _, file := range globJSON(filepath.Join(dir, "subgraphs")) {
			file = filepath.ToSlash(file)
			sum := sha256.Sum256([]byte(source + file))
			name, _ := reply.SplitExt(path.Base(file))
			about := pyjson.NewObject("source", source, "name", name,
				"info", pyjson.NewObject("node_pack", "custom_nodes."+filepath.Base(dir)))
			if !visit(hex.EncodeToString(sum[:]), about, file) {
				return
			}
		}
	}
}

// GetSubgraphs lists the packs' subgraphs.
func (s *Service) GetSubgraphs(c echo.Context) error {
	out := pyjson.NewObject()
	s.subgraphFiles(func(id string, about *pyjson.Object, _ string) bool {
		out.Set(id, about)
		return true
	})
	return s.Reply.JSON(c, http.StatusOK, out)
}

// GetSubgraph returns one subgraph with its contents, or null if it is unknown.
func (s *Service) GetSubgraph(c echo.Context) error {
	var found any
	wanted := reply.Param(c, "id")
	s.subgraphFiles(func(id string, about *pyjson.Object, file string) bool {
		if id != wanted {
			return true
		}
		if info, err := os.Stat(file); err == nil && info.Size() <= maxLocaleFile {
			if data, err := os.ReadFile(file); err == nil {
				found = about.Set("data", string(data))
			}
		}
		return false
	})
	return s.Reply.JSON(c, http.StatusOK, found)
}
