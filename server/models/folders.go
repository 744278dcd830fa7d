package models

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/server/reply"
)

// GetFolderPaths returns the search folders of every kind of model file.
func (s *Service) GetFolderPaths(c echo.Context) error {
	out := pyjson.NewObject()
	for _, kind := range s.Folders.Kinds() {
		out.Set(kind, reply.Strs(s.Folders.Roots(kind)))
	}
	return s.Reply.JSON(c, http.StatusOK, out)
}
